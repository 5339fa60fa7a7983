from pathlib import Path

import pytest
import torch

from fakes.training_data import make_prompt
from heedful.core.run import Cost
from heedful.core.settings import Project
from heedful.losses.ppo import generalised_advantages
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import Experience, collect

PROMPTS = [make_prompt(number) for number in range(6)]


@pytest.fixture
def config(project, reward_run: Path) -> Project:
    return project(ppo={"reward": str(reward_run), "missing_eos_score": -2.0, "kl_coef": 0.5})


@pytest.fixture
def models(config: Project) -> Models:
    """Policy and reference apart, so that there is a KL."""
    models = Models.open(config)
    torch.manual_seed(0)
    with torch.no_grad():
        for master in models.policy.weights.masters.values():
            master.add_(0.02 * torch.randn_like(master))
    return models


def rollout(models: Models, config: Project, iteration: int = 0, prompts=PROMPTS):
    return collect(models, prompts, config, iteration, config.ppo.kl_coef, Cost())


def test_the_noise_is_decided_by_seed_and_iteration(models, config):
    first, again, other = (rollout(models, config, iteration)[0] for iteration in (0, 0, 1))
    assert first.pairs == again.pairs != other.pairs
    assert torch.equal(first.logprobs, again.logprobs)


def test_a_prompt_that_occurs_twice_is_answered_twice(models, config):
    experience, _ = rollout(models, config, prompts=[PROMPTS[0]] * 3)
    assert len({tuple(pair.completion_ids) for pair in experience.pairs}) == 3


def test_tensors_and_padding(models, config):
    experience, _ = rollout(models, config)
    lengths = [len(pair.completion_ids) for pair in experience.pairs]
    assert experience.mask.sum(1).tolist() == lengths
    assert experience.mask.shape == (6, max(lengths))
    for name in ("logprobs", "values", "advantages", "returns"):
        assert not getattr(experience, name)[~experience.mask].any(), name
    assert not models.policy.module.training
    assert all(master.grad is None for master in models.policy.weights.masters.values())


def test_metrics_follow_from_the_experience(models, config):
    experience, metrics = rollout(models, config)
    ended = torch.tensor(
        [p.completion_ids[-1] in models.language.tokenizer.eos_ids for p in experience.pairs]
    )
    scores = torch.tensor(models.scores(PROMPTS, experience.pairs, []))
    expected = torch.where(ended, scores, -2.0).mean() - 0.5 * metrics["objective/kl"]
    assert metrics["objective/reward"] == pytest.approx(expected.item(), abs=1e-4)
    assert metrics["objective/score"] == pytest.approx(scores.mean().item(), abs=1e-4)
    assert metrics["objective/eos_rate"] == pytest.approx(ended.float().mean().item())
    assert metrics["objective/kl"] != 0
    assert metrics["objective/kl_k3"] > 0
    assert metrics["policy/sampling_gap"] == pytest.approx(0, abs=1e-5)
    assert 0 < metrics["objective/entropy"] < 6


def test_whitening_may_be_left_out(models, config, project, reward_run):
    plain = project(
        "plain",
        ppo={"reward": str(reward_run), "whiten_advantages": False, "missing_eos": "ignore"},
    )
    whitened = rollout(models, config)[0].advantages
    mask = rollout(models, config)[0].mask
    assert whitened[mask].mean().item() == pytest.approx(0, abs=1e-5)
    assert whitened[mask].std(correction=0).item() == pytest.approx(1, abs=1e-3)
    experience, _ = rollout(models, plain)
    torch.testing.assert_close(
        experience.returns[experience.mask],
        (experience.advantages + experience.values)[experience.mask],
    )


def test_the_advantage_of_the_last_token_is_reward_minus_value(models, project, reward_run):
    config = project(
        "plain",
        ppo={
            "reward": str(reward_run),
            "whiten_advantages": False,
            "missing_eos": "ignore",
            "kl_coef": 0.0,
        },
    )
    experience, _ = rollout(models, config)
    scores = torch.tensor(models.scores(PROMPTS, experience.pairs, []))
    last = experience.mask.sum(1) - 1
    rows = torch.arange(len(last))
    torch.testing.assert_close(
        experience.advantages[rows, last], scores - experience.values[rows, last]
    )
    rewards = torch.zeros_like(experience.values)
    rewards[rows, last] = scores
    expected, _ = generalised_advantages(rewards, experience.values, experience.mask)
    torch.testing.assert_close(experience.advantages, expected)


def test_selecting_rows_cuts_to_their_longest(models, config):
    experience, _ = rollout(models, config)
    lengths = [len(pair.completion_ids) for pair in experience.pairs]
    chosen = sorted(range(6), key=lambda n: lengths[n])[:2][::-1]
    part: Experience = experience.select(chosen)
    assert part.mask.shape == (2, max(lengths[n] for n in chosen))
    assert part.pairs == [experience.pairs[n] for n in chosen]
    assert part.mask.sum(1).tolist() == [lengths[n] for n in chosen]
    width = part.mask.shape[1]
    assert torch.equal(part.returns, experience.returns[chosen][:, :width])


def test_every_pass_is_counted(models, config):
    cost = Cost()
    experience, _ = collect(models, PROMPTS, config, 0, 0.1, cost)
    assert cost.generated_tokens == sum(len(pair.completion_ids) for pair in experience.pairs)
    # Old policy, reference, reward model and value model.
    assert cost.scored_tokens == 4 * sum(map(len, experience.pairs))
    assert cost.trained_tokens == 0
