import json
from pathlib import Path

import pytest
import torch

from fakes.training_data import make_prompt
from heedful.core.run import Cost, read_jsonl
from heedful.core.settings import Project
from heedful.models.loading import trunk_of
from heedful.training.batches import Batcher
from heedful.training.ppo_evaluation import HeldOut
from heedful.training.ppo_models import Models

PROMPTS = [make_prompt(number) for number in range(5)]


@pytest.fixture
def held_out(project, reward_run: Path, tmp_path: Path) -> HeldOut:
    config = project(ppo={"reward": str(reward_run)})
    return held_out_of(config, tmp_path)


def held_out_of(config: Project, folder: Path) -> HeldOut:
    models = Models.open(config)
    batcher = Batcher(
        trunk_of(models.policy.module), pad_id=models.pad_id, device=models.device, max_tokens=100
    )
    return HeldOut(PROMPTS, models, batcher, config, folder / "samples.jsonl")


def test_two_evaluations_of_the_same_weights_agree(held_out):
    first, second = held_out.measure(1, Cost()), held_out.measure(2, Cost())
    assert first == second
    assert first["validation/kl"] == 0
    assert 1 <= first["validation/length"] <= 12
    assert 0 <= first["validation/eos_rate"] <= 1


def test_the_kl_is_that_of_the_samples(held_out):
    models = held_out._models
    torch.manual_seed(0)
    with torch.no_grad():
        for master in models.policy.weights.masters.values():
            master.add_(0.05 * torch.randn_like(master))
    measured = held_out.measure(1, Cost())["validation/kl"]
    pairs, _ = models.sample(PROMPTS, temperature=1.0, seed=held_out._config.run.seed + 7)
    total = 0.0
    for pair in pairs:
        ids = torch.tensor([[*pair.prompt_ids, *pair.completion_ids]])
        for sign, model in ((1, models.policy.module), (-1, models.ref_policy)):
            logprobs = model(input_ids=ids).logits[0].log_softmax(-1)
            places = range(len(pair.prompt_ids), len(pair))
            total += sign * sum(logprobs[n - 1, ids[0, n]].item() for n in places)
    assert measured == pytest.approx(total / len(pairs), rel=1e-3, abs=1e-4)


def test_samples_are_kept_and_those_of_a_lost_future_dropped(held_out, tmp_path: Path):
    file = tmp_path / "samples.jsonl"
    held_out.measure(2, Cost())
    held_out.measure(4, Cost())
    # Killed while it wrote, and resumed from step 3.
    with file.open("a") as handle:
        handle.write('{"step": 6, "pro')
    held_out.measure(4, Cost())
    rows = list(read_jsonl(file))
    assert [row["step"] for row in rows] == [2] * 5 + [4] * 5
    assert rows[0].keys() == {
        "step",
        "prompt_id",
        "prompt",
        "completion",
        "score",
        "finish_reason",
    }
    assert {row["prompt"] for row in rows} == {prompt.instruction for prompt in PROMPTS}
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_its_cost_is_counted(held_out):
    cost = Cost()
    held_out.measure(1, cost)
    assert cost.generated_tokens > 0
    assert cost.scored_tokens > 2 * cost.generated_tokens


def test_a_reward_function_gets_the_texts(project, reward_run: Path, tmp_path: Path):
    config = project(ppo={"reward": "fakes.rewards:five", "value_init": str(reward_run)})
    held_out = held_out_of(config, tmp_path)
    assert held_out.measure(1, Cost())["validation/score"] == 5
