"""Rewards, KL estimates, advantages and the scalar formulas; the losses: test_ppo_losses.py."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn.functional import pad

from heedful.core.errors import ConfigError
from heedful.losses.ppo import (
    adapt_kl_coef,
    best_of_n_kl,
    generalised_advantages,
    kl_estimates,
    place_rewards,
    score_penalty,
)

Array = NDArray[np.float64]
seeds = st.integers(0, 2**31 - 1)
junk_values = st.sampled_from([7.0, math.nan, math.inf, -math.inf])
discounts = st.sampled_from([1.0, 0.9, 0.0])


class Rollout(NamedTuple):
    """Random `[B, C]` tensors in float64 with rows of 0 to C tokens."""

    scores: torch.Tensor
    kl: torch.Tensor
    rewards: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor


def rollout(seed: int) -> Rollout:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(4, generator=generator, dtype=torch.float64)
    per_token = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    lengths = torch.randint(0, 6, (4, 1), generator=generator)
    return Rollout(scores, *per_token, mask=torch.arange(5) < lengths)


def padded(rollout: Rollout, junk: float) -> Rollout:
    """The same rollout with `junk` under the mask, in two more columns and in one more row."""
    mask = pad(rollout.mask, (0, 2, 0, 1))
    per_token = (pad(t, (0, 2, 0, 1)).where(mask, junk) for t in rollout[1:4])
    return Rollout(pad(rollout.scores, (0, 1), value=junk), *per_token, mask=mask)


def assert_only_padding_added(wide: torch.Tensor, narrow: torch.Tensor) -> None:
    torch.testing.assert_close(wide, pad(narrow, (0, 2, 0, 1)))


def place_rewards_twin(scores: Array, kl: Array, mask: Array, kl_coef: float) -> Array:
    rewards = np.zeros_like(kl)
    for row in range(len(kl)):
        tokens = np.nonzero(mask[row])[0]
        for t in tokens:
            rewards[row, t] = -kl_coef * kl[row, t]
        if len(tokens):
            rewards[row, tokens[-1]] += scores[row]
    return rewards


def advantages_twin(
    rewards: Array, values: Array, mask: Array, discount: float, gae_lambda: float
) -> Array:
    """The sum over l of (discount * lambda)^l times the TD error l steps on."""
    advantages = np.zeros_like(values)
    for row in range(len(values)):
        tokens = list(np.nonzero(mask[row])[0])
        after = [*values[row, tokens], 0.0][1:]
        errors = [
            rewards[row, t] + discount * next_value - values[row, t]
            for t, next_value in zip(tokens, after, strict=True)
        ]
        for i, t in enumerate(tokens):
            advantages[row, t] = sum(
                (discount * gae_lambda) ** step * error for step, error in enumerate(errors[i:])
            )
    return advantages


def test_rewards_closed_form():
    mask = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])
    kl = torch.tensor([[0.5, -0.5, 9.0], [1.0, 9.0, 9.0], [9.0, 9.0, 9.0]])
    rewards = place_rewards(torch.tensor([2.0, -1.0, 7.0]), kl, mask, 0.1)
    expected = torch.tensor([[-0.05, 2.05, 0.0], [-1.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(rewards, expected)


@given(seeds)
def test_rewards_twin(seed: int):
    r = rollout(seed)
    twin = place_rewards_twin(r.scores.numpy(), r.kl.numpy(), r.mask.numpy(), 0.3)
    torch.testing.assert_close(place_rewards(r.scores, r.kl, r.mask, 0.3), torch.from_numpy(twin))


@given(seeds)
def test_rewards_of_a_row_add_up_to_eq_2(seed: int):
    r = rollout(seed)
    rewards = place_rewards(r.scores, r.kl, r.mask, 0.02)
    total = r.scores - 0.02 * (r.kl * r.mask).sum(1)
    torch.testing.assert_close(rewards.sum(1), total.where(r.mask.any(1), 0.0))


@given(seeds, junk_values)
def test_padding_does_not_change_rewards(seed: int, junk: float):
    narrow, wide = rollout(seed), padded(rollout(seed), junk)
    assert_only_padding_added(
        place_rewards(wide.scores, wide.kl, wide.mask, 0.1),
        place_rewards(narrow.scores, narrow.kl, narrow.mask, 0.1),
    )


def test_kl_estimates_closed_form():
    logprobs, ref_logprobs = (
        torch.tensor([0.5, 0.25, 0.1]).log(),
        torch.tensor([0.25, 0.5, 0.7]).log(),
    )
    kl = kl_estimates(logprobs, ref_logprobs, torch.tensor([True, True, False]))
    ln2 = math.log(2)
    torch.testing.assert_close(kl.k1, torch.tensor([ln2, -ln2, 0.0]))
    torch.testing.assert_close(kl.k3, torch.tensor([ln2 - 0.5, 1 - ln2, 0.0]))


def test_kl_estimates_are_unbiased():
    policy, ref = torch.randn(2, 50, dtype=torch.float64).log_softmax(-1)
    exact = (policy.exp() * (policy - ref)).sum()
    kl = kl_estimates(policy, ref, torch.ones(50, dtype=torch.bool))
    torch.testing.assert_close((policy.exp() * kl.k1).sum(), exact)
    torch.testing.assert_close((policy.exp() * kl.k3).sum(), exact)


@given(seeds)
def test_k3_is_never_negative_and_no_estimate_sees_padding(seed: int):
    r = padded(rollout(seed), math.nan)
    kl = kl_estimates(r.rewards, r.values, r.mask)
    assert kl.k3.ge(0).all()
    assert kl.k1[~r.mask].eq(0).all()
    assert kl.k3[~r.mask].eq(0).all()


def test_k3_keeps_its_precision_near_zero():
    kl = kl_estimates(torch.tensor([1e-3]), torch.tensor([0.0]), torch.tensor([True]))
    assert kl.k3.item() == pytest.approx(0.5e-6, rel=1e-2)


def test_score_penalty():
    scores, ended = torch.tensor([3.0, 2.0, -5.0]), torch.tensor([True, False, False])
    assert score_penalty(scores, ended, -1.0).tolist() == [3, -1, -1]
    assert score_penalty(scores, ended, None).tolist() == [3, 2, -5]


def test_advantages_closed_form():
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.25, 0.5]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    advantages, returns = generalised_advantages(
        rewards, values, mask, discount=1.0, gae_lambda=0.5
    )
    # TD errors -0.25, 0.25, 0.5; then backwards 0.5, 0.25 + 0.25, -0.25 + 0.25.
    torch.testing.assert_close(advantages, torch.tensor([[0.0, 0.5, 0.5]]))
    torch.testing.assert_close(returns, torch.tensor([[0.5, 0.75, 1.0]]))


@given(seeds, discounts, discounts)
def test_advantages_twin(seed: int, discount: float, gae_lambda: float):
    r = rollout(seed)
    holes = r.mask & (torch.rand(r.mask.shape, generator=torch.Generator().manual_seed(seed)) < 0.7)
    for mask in (r.mask, r.mask.flip(1), holes):
        twin = advantages_twin(
            r.rewards.numpy(), r.values.numpy(), mask.numpy(), discount, gae_lambda
        )
        advantages, returns = generalised_advantages(
            r.rewards, r.values, mask, discount=discount, gae_lambda=gae_lambda
        )
        torch.testing.assert_close(advantages, torch.from_numpy(twin))
        torch.testing.assert_close(returns, (advantages + r.values) * mask)


@given(seeds, discounts)
def test_lambda_1_gives_monte_carlo_returns(seed: int, discount: float):
    r = rollout(seed)
    _, returns = generalised_advantages(
        r.rewards, r.values, r.mask, discount=discount, gae_lambda=1.0
    )
    for row, length in enumerate(r.mask.sum(1).tolist()):
        for t in range(length):
            later = [discount**step * r.rewards[row, t + step].item() for step in range(length - t)]
            assert returns[row, t].item() == pytest.approx(sum(later))


@given(seeds, discounts)
def test_lambda_0_gives_td_errors(seed: int, discount: float):
    r = rollout(seed)
    advantages, _ = generalised_advantages(
        r.rewards, r.values, r.mask, discount=discount, gae_lambda=0.0
    )
    next_values = torch.cat([r.values * r.mask, torch.zeros(4, 1, dtype=torch.float64)], 1)[:, 1:]
    errors = r.rewards + discount * next_values - r.values
    torch.testing.assert_close(advantages, errors * r.mask)


def test_a_perfect_value_model_leaves_no_advantage():
    mask = torch.ones(1, 4, dtype=torch.bool)
    rewards = torch.tensor([[0.0, 0.0, 0.0, 8.0]])
    values = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    advantages, returns = generalised_advantages(rewards, values, mask, discount=0.5)
    assert advantages.tolist() == [[0, 0, 0, 0]]
    assert returns.tolist() == values.tolist()


@given(seeds, junk_values)
def test_padding_does_not_change_advantages(seed: int, junk: float):
    narrow, wide = rollout(seed), padded(rollout(seed), junk)
    ours = generalised_advantages(narrow.rewards, narrow.values, narrow.mask)
    theirs = generalised_advantages(wide.rewards, wide.values, wide.mask)
    for our, their in zip(ours, theirs, strict=True):
        assert_only_padding_added(their, our)


def test_half_precision_is_raised_to_float32():
    *floats, mask = rollout(0)
    scores, kl, rewards, values = (tensor.bfloat16() for tensor in floats)
    assert place_rewards(scores, kl, mask, 0.1).dtype == torch.float32
    assert generalised_advantages(rewards, values, mask)[0].dtype == torch.float32
    assert kl_estimates(rewards, values, mask).k1.dtype == torch.float32


def test_adapt_kl_coef():
    settings = {"target_kl": 6.0, "horizon": 10_000, "num_episodes": 500}
    assert adapt_kl_coef(0.2, 6.0, **settings) == 0.2
    assert adapt_kl_coef(0.2, 6.6, **settings) == pytest.approx(0.2 * (1 + 0.1 * 0.05))
    assert adapt_kl_coef(0.2, 99.0, **settings) == pytest.approx(0.2 * (1 + 0.2 * 0.05))
    assert adapt_kl_coef(0.2, -1.0, **settings) == pytest.approx(0.2 * (1 - 0.2 * 0.05))


@pytest.mark.parametrize(("n", "kl"), [(1, 0), (8, 1.2), (64, 3.2), (256, 4.5), (512, 5.2)])
def test_best_of_n_kl(n: int, kl: float):
    assert best_of_n_kl(n) == pytest.approx(kl, abs=0.06)
    assert best_of_n_kl(n) == math.log(n) - (n - 1) / n


def test_best_of_no_samples_is_refused():
    with pytest.raises(ConfigError, match="n = 0"):
        best_of_n_kl(0)


def test_nothing_is_read_back_from_the_device():
    r = Rollout(*(tensor.to("meta") for tensor in rollout(0)))
    assert place_rewards(r.scores, r.kl, r.mask, 0.1).is_meta
    assert generalised_advantages(r.rewards, r.values, r.mask)[0].is_meta
    assert kl_estimates(r.rewards, r.values, r.mask).k3.is_meta
