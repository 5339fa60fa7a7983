from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from heedful.core.errors import ConfigError
from heedful.core.file_hashes import sha256_file
from heedful.core.metrics import METRICS, read_metrics
from heedful.core.run import read_card, read_jsonl
from heedful.losses.ppo import adapt_kl_coef
from heedful.models.checkpoint import read_checkpoint
from heedful.training import ppo
from heedful.training.display import Display

LIKES_E = "fakes.rewards:likes_e"


def rows(config) -> list[dict[str, float]]:
    return read_metrics(config.run.dir / "metrics.jsonl")


def weights(config) -> dict[str, torch.Tensor]:
    return load_file(config.run.dir / "checkpoint" / "model.safetensors")


def digest(config) -> str:
    return sha256_file(config.run.dir / "checkpoint" / "model.safetensors")


@pytest.fixture
def train(project, display: Display, reward_run: Path):
    """Runs PPO with these `[ppo]` settings; returns the project."""

    def run(name: str = "run", *, sections: dict[str, dict] | None = None, **settings: object):
        reward = {"reward": str(reward_run)}
        if str(settings.get("reward", "")).startswith("fakes."):
            reward["value_init"] = str(reward_run)
        config = project(name, ppo=reward | settings, **(sections or {}))
        ppo.train(config, display)
        return config

    return run


class TestFirstUpdate:
    def test_the_policy_is_still_the_one_that_sampled(self, train):
        config = train(episodes=8, rollout_batch_size=8, minibatch_size=8)
        (row,) = rows(config)
        assert row["policy/ratio"] == pytest.approx(1, abs=1e-6)
        assert row["policy/approx_kl"] == pytest.approx(0, abs=1e-6)
        assert row["policy/clipfrac"] == 0
        assert row["value/clipfrac"] == 0
        assert row["policy/sampling_gap"] == pytest.approx(0, abs=1e-5)
        # Whitened advantages have mean 0.
        assert row["policy/loss"] == pytest.approx(0, abs=1e-5)

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_policy_and_reference_begin_as_one(self, train, dtype: str):
        model = {"compute_dtype": dtype}
        config = train(episodes=8, rollout_batch_size=8, sections={"model": model})
        (row,) = rows(config)
        assert row["objective/kl"] == row["objective/kl_k3"] == 0


class TestKL:
    def test_the_penalty_holds_the_policy_back(self, train):
        settings = {
            "reward": LIKES_E,
            "missing_eos": "ignore",
            "episodes": 320,
            "rollout_batch_size": 16,
            "minibatch_size": 8,
            "learning_rate": 1e-3,
        }
        free = train("free", kl_coef=0.0, **settings)
        held = train("held", kl_coef=20.0, **settings)
        far, near = (
            sum(row["objective/kl"] for row in rows(config)[-5:]) / 5 for config in (free, held)
        )
        assert far > 1
        assert abs(near) < far / 3
        assert rows(free)[-1]["objective/score"] > rows(free)[0]["objective/score"]

    def test_an_adaptive_coefficient_follows_the_kl(self, train):
        config = train(
            episodes=64,
            learning_rate=3e-3,
            kl_coef=0.1,
            target_kl=0.2,
            kl_horizon=100,
        )
        found = rows(config)
        for row, after in pairwise(found):
            expected = adapt_kl_coef(
                row["objective/kl_coef"],
                row["objective/kl"],
                target_kl=0.2,
                horizon=100,
                num_episodes=8,
            )
            assert after["objective/kl_coef"] == pytest.approx(expected, rel=1e-4)
        coefficients = [row["objective/kl_coef"] for row in found]
        assert coefficients[1] < coefficients[0] == 0.1
        assert coefficients[-1] > coefficients[1]

    def test_a_fixed_one_stays(self, train):
        assert {row["objective/kl_coef"] for row in rows(train(kl_coef=0.3))} == {0.3}


class TestPretraining:
    def test_without_ptx_its_settings_and_data_change_nothing(self, train):
        plain = train("plain", sections={"data": {"pretraining": None}})
        other = train("other", ptx_ratio=3.0, ptx_tokens=16)
        assert digest(plain) == digest(other)
        assert not any("ptx/loss" in row for row in rows(other))

    def test_ptx_lowers_the_pretraining_loss(self, train):
        settings = {"ptx_coef": 5.0, "ptx_tokens": 16, "ptx_ratio": 2.0, "learning_rate": 1e-2}
        config = train(episodes=64, **settings)
        found = rows(config)
        assert found[-1]["ptx/loss"] < found[0]["ptx/loss"] - 0.5
        assert read_card(config.run.dir).inputs.keys() == {"prompts", "pretraining"}


class TestScore:
    def test_a_completion_that_does_not_end_gets_the_fixed_score(self, train):
        settings = {"reward": "fakes.rewards:five", "episodes": 8, "missing_eos_score": -3.0}
        penalised = rows(train("penalised", **settings))[0]
        ignored = rows(train("ignored", missing_eos="ignore", **settings))[0]
        rate = penalised["objective/eos_rate"]
        assert rate < 1
        assert penalised["objective/reward"] == pytest.approx(5 * rate - 3 * (1 - rate), abs=1e-4)
        assert ignored["objective/reward"] == pytest.approx(5, abs=1e-4)
        assert penalised["objective/score"] == ignored["objective/score"] == 5

    def test_a_function_needs_a_value_model(self, project, display):
        with pytest.raises(ConfigError, match="no weights that the value model could start from"):
            ppo.train(project(ppo={"reward": LIKES_E}), display)

    def test_a_reward_is_needed(self, project, display):
        with pytest.raises(ConfigError, match=r"`ppo\.reward` is needed"):
            ppo.train(project(), display)

    @pytest.mark.parametrize("name", ["one_short", "undefined"])
    def test_what_a_function_returns_is_checked(self, train, name: str):
        with pytest.raises(ConfigError, match=name):
            train(reward=f"fakes.rewards:{name}")


class TestAverage:
    def test_a_slow_average_stays_at_the_start_and_a_fast_one_is_the_policy(self, train, base):
        settings = {"learning_rate": 1e-2, "ema": True}
        start = load_file(base / "model" / "model.safetensors")
        slow = weights(train("slow", ema_decay=1 - 1e-9, **settings))
        fast = weights(train("fast", ema_decay=1e-9, **settings))
        policy = weights(train("policy", learning_rate=1e-2))
        name = "model.layers.0.mlp.up_proj.weight"
        torch.testing.assert_close(slow[name], start[name])
        torch.testing.assert_close(fast[name], policy[name])
        assert (policy[name] - start[name]).abs().max() > 1e-2


class TestRun:
    def test_its_card_metrics_and_samples(self, train, reward_run: Path):
        config = train(evaluate_every=2, evaluation_prompts=3)
        found = rows(config)
        assert [row["progress/step"] for row in found] == [1, 2, 3]
        assert {name for row in found for name in row} - {"step", "at"} <= METRICS.keys()
        assert [row["step"] for row in found if "validation/score" in row] == [2, 3]
        samples = list(read_jsonl(config.run.dir / "samples.jsonl"))
        assert [row["step"] for row in samples] == [2] * 3 + [3] * 3
        assert len({row["prompt_id"] for row in samples}) == 3
        card = read_checkpoint(config.run.dir / "checkpoint")
        reward = read_checkpoint(reward_run / "checkpoint")
        assert card is not None
        assert reward is not None
        assert (card.kind, card.step) == ("policy", 3)
        assert card.made_by == ("simulated",)
        run = read_card(config.run.dir)
        assert run.parents == {"value": reward.id, "reward": reward.id}
        assert run.simulated
        assert run.cost.generated_tokens >= 24
        assert run.cost.trained_tokens > 0

    def test_the_same_seed_gives_the_same_bytes(self, train):
        one, two = train("one"), train("two")
        other = train("other", sections={"run": {"seed": 1}})
        assert digest(one) == digest(two) != digest(other)

    def test_several_passes_over_each_batch(self, train):
        config = train(inner_epochs=3, learning_rate=1e-2)
        assert rows(config)[-1]["policy/approx_kl"] > 0
        assert read_card(config.run.dir).cost.trained_tokens > 0

    def test_small_microbatches_change_rounding_only(self, train):
        whole = weights(train("whole", episodes=8))
        parts = weights(train("parts", episodes=8, sections={"model": {"microbatch_tokens": 40}}))
        # Adam's first step turns a rounding near 0 into a whole step: compare most of them.
        for name, tensor in whole.items():
            near = (tensor - parts[name]).abs() < 1e-5
            assert near.float().mean() > 0.98, name

    def test_adapters(self, train, base: Path):
        config = train(learning_rate=1e-2, sections={"model": {"lora_rank": 2}}, ema=True)
        before, after = load_file(base / "model" / "model.safetensors"), weights(config)
        assert before.keys() == after.keys()
        assert torch.equal(before["lm_head.weight"], after["lm_head.weight"])
        name = "model.layers.0.mlp.up_proj.weight"
        assert not torch.equal(before[name], after[name])

    def test_evaluation_needs_held_out_prompts(self, train, tmp_path, base):
        lines = (base / "demonstrations" / "prompts.jsonl").read_text().splitlines()
        kept = [line for line in lines if '"validation"' not in line]
        (tmp_path / "prompts.jsonl").write_text("\n".join(kept) + "\n")
        with pytest.raises(ConfigError, match="needs validation prompts"):
            train(evaluate_every=1, sections={"data": {"prompts": tmp_path / "prompts.jsonl"}})
