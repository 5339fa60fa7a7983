from pathlib import Path

import pytest
import torch

from fakes.training_data import make_prompt
from heedful.core.settings import Project
from heedful.losses.ppo import generalised_advantages
from heedful.training.batches import Batcher
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import Rollout, collect, experience_of, place, rewards_of

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


@pytest.fixture
def batcher(models: Models) -> Batcher:
    return Batcher(
        models.value.module.trunk, pad_id=models.pad_id, device=models.device, max_tokens=64
    )


def plain_logprobs(model, rollout: Rollout) -> torch.Tensor:
    """Each completion by itself."""
    found = rollout.empty()
    for row, pair in enumerate(rollout.pairs):
        ids = torch.tensor([[*pair.prompt_ids, *pair.completion_ids]])
        logprobs = model(input_ids=ids).logits[0].log_softmax(-1)
        for column, token in enumerate(pair.completion_ids):
            found[row, column] = logprobs[len(pair.prompt_ids) + column - 1, token]
    return found.detach()


def test_the_noise_is_decided_by_seed_and_iteration(models, batcher, config):
    first, again, other = (
        collect(models, batcher, PROMPTS, config, iteration) for iteration in (0, 0, 1)
    )
    assert first.pairs == again.pairs != other.pairs
    assert torch.equal(first.ref_logprobs, again.ref_logprobs)


def test_a_prompt_that_occurs_twice_is_answered_twice(models, batcher, config):
    rollout = collect(models, batcher, [PROMPTS[0]] * 3, config, 0)
    assert len({tuple(pair.completion_ids) for pair in rollout.pairs}) == 3


def test_scores_reference_and_padding(models, batcher, config):
    rollout = collect(models, batcher, PROMPTS, config, 0)
    lengths = [len(pair.completion_ids) for pair in rollout.pairs]
    assert rollout.mask.sum(1).tolist() == lengths
    assert rollout.mask.shape == (6, max(lengths))
    expected = plain_logprobs(models.ref_policy, rollout)
    torch.testing.assert_close(rollout.ref_logprobs, expected, rtol=1e-4, atol=1e-4)
    assert not rollout.ref_logprobs[~rollout.mask].any()
    assert rollout.scores.tolist() == pytest.approx(models.scores(PROMPTS, rollout.pairs, []))
    assert not models.policy.module.training
    assert all(master.grad is None for master in models.policy.weights.masters.values())


def test_numbers_of_a_batch_find_their_place(models, batcher, config):
    rollout = collect(models, batcher, PROMPTS, config, 0)
    rows = [4, 1]
    batch = batcher.batch([rollout.pairs[row] for row in rows])
    flat = torch.arange(1.0, 1.0 + len(batch.targets))
    into = rollout.empty()
    place(into, rows, batch, flat)
    assert torch.equal(rollout.flat(into, rows), flat)
    assert into[4, 0] == 1
    assert not into[[0, 2, 3, 5]].any()
    assert not into[~rollout.mask].any()


def test_metrics_follow_from_the_rollout(models, batcher, config):
    rollout = collect(models, batcher, PROMPTS, config, 0)
    logprobs = plain_logprobs(models.policy.module, rollout)
    recorded = logprobs.clone()
    recorded[0, 0] += 0.25
    entropy = rollout.mask * 2.0
    rewards, metrics = rewards_of(rollout, recorded, entropy, config.ppo, 0.5)
    ended = torch.tensor(
        [p.completion_ids[-1] in models.language.tokenizer.eos_ids for p in rollout.pairs]
    )
    assert torch.equal(rollout.ended, ended)
    expected = torch.where(ended, rollout.scores, -2.0).mean() - 0.5 * metrics["objective/kl"]
    assert metrics["objective/reward"] == pytest.approx(expected.item(), abs=1e-4)
    assert metrics["objective/score"] == pytest.approx(rollout.scores.mean().item(), abs=1e-4)
    assert metrics["objective/eos_rate"] == pytest.approx(ended.float().mean().item())
    assert metrics["objective/kl"] != 0
    assert metrics["objective/kl_k3"] > 0
    assert metrics["objective/entropy"] == pytest.approx(2)
    count_of_tokens = int(rollout.mask.sum())
    assert metrics["policy/sampling_gap"] == pytest.approx(0.25 / count_of_tokens, abs=1e-5)
    assert metrics["policy/sampling_gap_max"] == pytest.approx(0.25, abs=1e-5)
    assert not rewards[~rollout.mask].any()


def test_whitening_may_be_left_out(models, batcher, config, project, reward_run):
    rollout = collect(models, batcher, PROMPTS, config, 0)
    mask = rollout.mask
    torch.manual_seed(0)
    rewards, values, logprobs = (torch.randn(mask.shape) * mask for _ in range(3))
    whitened = experience_of(rollout, logprobs, values, rewards, config.ppo)
    assert whitened.advantages[mask].mean().item() == pytest.approx(0, abs=1e-5)
    assert whitened.advantages[mask].std(correction=0).item() == pytest.approx(1, abs=1e-3)
    plain = project("plain", ppo={"reward": str(reward_run), "whiten_advantages": False}).ppo
    found = experience_of(rollout, logprobs, values, rewards, plain)
    expected, returns = generalised_advantages(rewards, values, mask)
    assert torch.equal(found.advantages, expected)
    assert torch.equal(found.returns, returns)
    assert torch.equal(whitened.returns, returns)
