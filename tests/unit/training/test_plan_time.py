import math
from pathlib import Path

import pytest

from fakes.planned_stage import PACE, case, work
from heedful.training.plan_time import effort


@pytest.fixture(scope="module")
def model(base: Path) -> Path:
    return base / "model"


def test_sft_counts_steps_and_validation(model: Path) -> None:
    """Four epochs of 100 in batches of 4, ten pairs to validate after each."""
    sft = case("sft", model)
    done = effort(sft, PACE)
    assert sft.num_steps == 100
    assert done.tokens["training"] == 400 * 30
    assert done.seconds["training"] == pytest.approx(400 * (30 * 1e-3 + 10 * 1e-4))
    assert done.flops["training"] == 6 * sft.shape.matrix_parameters * 400 * 30
    assert done.tokens["validation"] == 4 * 10 * 30
    assert done.seconds["validation"] == pytest.approx(40 * (30 * 3e-4 + 10 * 5e-5))
    assert done.seconds["optimiser"] == pytest.approx(100 * sft.shape.parameters * 1e-9)
    assert "pretraining text" not in done.tokens


def test_what_budgets_leave_out_is_not_trained_on(model: Path) -> None:
    half = effort(case("sft", model, workload=work(kept=0.5)), None)
    assert half.tokens["training"] == 200 * 30


def test_pretraining_text_has_a_target_at_every_token(model: Path) -> None:
    sft = case("sft", model, sft={"pretraining_share": 0.25, "pretraining_tokens": 16})
    done = effort(sft, PACE)
    count = sft.num_steps * 1 * 16
    assert done.tokens["pretraining text"] == count
    assert done.seconds["pretraining text"] == pytest.approx(count * (1e-3 + 1e-4))


def test_a_ranking_shares_its_prompt(model: Path) -> None:
    reward = case("reward", model, workload=work(completions=4.0), reward={"batch_size": 10})
    done = effort(reward, PACE)
    assert done.tokens["training"] == 2 * 100 * (20 + 4 * 10)
    assert done.tokens["centring"] == 100 * 30
    assert done.seconds["training"] == pytest.approx(2 * 100 * 60 * 1e-3)


def test_ppo_draws_scores_and_updates(model: Path) -> None:
    sizes = {"episodes": 32, "rollout_batch_size": 8, "minibatch_size": 4, "inner_epochs": 2}
    ppo = case("ppo", model, ppo=sizes)
    done = effort(ppo, PACE)
    assert done.tokens["drawing"] == 32 * 10
    assert done.seconds["drawing"] == pytest.approx(4 * 10 * 0.01 + 32 * 20 * 2e-4)
    # Reference and reward model; policy and value model half of it, the rest in their updates.
    assert done.tokens["scoring"] == 3 * 32 * 30
    assert done.tokens["updating"] == 2 * 2 * 32 * 30  # two epochs, policy and value model
    assert "evaluation: drawing" not in done.tokens


def test_the_first_minibatch_reads_the_value_model_and_perhaps_the_policy_once(model: Path) -> None:
    sizes = {"episodes": 32, "rollout_batch_size": 8, "minibatch_size": 8}
    whole = effort(case("ppo", model, ppo=sizes, budget=480), None)
    assert whole.tokens["scoring"] == 2 * 32 * 30  # reference and reward model
    parts = effort(case("ppo", model, ppo=sizes, budget=479), None)
    assert parts.tokens["scoring"] == 3 * 32 * 30
    assert whole.tokens["updating"] == parts.tokens["updating"] == 2 * 32 * 30


def test_drawn_completions_take_the_time_of_their_expected_length(model: Path) -> None:
    sizes = {"episodes": 32, "rollout_batch_size": 8, "minibatch_size": 8}
    ppo = case("ppo", model, ppo=sizes, budget=384, workload=work(drawn_tokens=4.0))
    done = effort(ppo, PACE)
    assert done.tokens["drawing"] == 32 * 4
    # Steps until the longest has ended, with fewer and fewer rows.
    assert done.seconds["drawing"] == pytest.approx(4 * (5 + 2) * 0.01 + 32 * 20 * 2e-4)
    assert done.tokens["updating"] == 2 * 32 * 24
    # Eight pairs of 24 tokens fit into half a microbatch, where those of 30 do not.
    assert not ppo.keeps_graph
    assert done.tokens["scoring"] == 2 * 32 * 24


def test_ppo_of_a_function_scores_without_a_reward_model(model: Path) -> None:
    sizes = {"episodes": 32, "rollout_batch_size": 8, "minibatch_size": 4}
    ppo = case("ppo", model, ppo={"reward": "json:dumps", "value_init": str(model), **sizes})
    assert effort(ppo, None).tokens["scoring"] == 2 * 32 * 30  # all of one, half of two


def test_evaluations_are_counted(model: Path) -> None:
    sizes = {"episodes": 32, "rollout_batch_size": 8, "minibatch_size": 4, "evaluate_every": 3}
    done = effort(case("ppo", model, ppo=sizes), None)
    assert done.tokens["evaluation: drawing"] == math.ceil(4 / 3) * 10 * 10


def test_without_a_pace_there_are_tokens_and_no_seconds(model: Path) -> None:
    done = effort(case("reward", model), None)
    assert not done.seconds
    assert done.tokens["training"]
