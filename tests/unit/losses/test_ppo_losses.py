"""The policy and value losses of heedful.losses.ppo."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import pad

from heedful.losses.masked import masked_mean, masked_whiten
from heedful.losses.ppo import explained_variance, policy_loss, value_loss

seeds = st.integers(0, 2**31 - 1)


class Batch(NamedTuple):
    """Random `[B, C]` tensors in float64; rows of 0 to C tokens, the first of 2."""

    logprobs: torch.Tensor
    old_logprobs: torch.Tensor
    values: torch.Tensor
    old_values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    mask: torch.Tensor


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(6, 4, 5, generator=generator, dtype=torch.float64)
    old_logprobs, old_values = -random[0].abs(), random[1]
    lengths = torch.randint(0, 6, (4, 1), generator=generator)
    lengths[0] = 2
    return Batch(
        logprobs=old_logprobs + 0.3 * random[2],
        old_logprobs=old_logprobs,
        values=old_values + 0.3 * random[3],
        old_values=old_values,
        advantages=random[4],
        returns=random[5],
        mask=torch.arange(5) < lengths,
    )


def padded(batch: Batch, junk: float) -> Batch:
    """The same batch with `junk` under the mask, in two more columns and in one more row."""
    *floats, narrow_mask = batch
    mask = pad(narrow_mask, (0, 2, 0, 1))
    return Batch(*(pad(t, (0, 2, 0, 1)).where(mask, junk) for t in floats), mask=mask)


def policy_loss_twin(batch: Batch, clip_range: float) -> dict[str, float]:
    totals = dict.fromkeys(("loss", "approx_kl", "clipfrac", "ratio"), 0.0)
    for row, column in batch.mask.nonzero().tolist():
        new, old = batch.logprobs[row, column].item(), batch.old_logprobs[row, column].item()
        advantage = batch.advantages[row, column].item()
        ratio = math.exp(new - old)
        surrogate = advantage * ratio
        clipped = advantage * min(max(ratio, 1 - clip_range), 1 + clip_range)
        totals["loss"] -= min(surrogate, clipped)
        totals["approx_kl"] += ratio - 1 - math.log(ratio)
        totals["clipfrac"] += clipped < surrogate
        totals["ratio"] += ratio
    return {f"policy/{name}": total / int(batch.mask.sum()) for name, total in totals.items()}


def value_loss_twin(batch: Batch, clip_range: float) -> dict[str, float]:
    total, num_clipped = 0.0, 0
    for row, column in batch.mask.nonzero().tolist():
        value, old = batch.values[row, column].item(), batch.old_values[row, column].item()
        target = batch.returns[row, column].item()
        near = min(max(value, old - clip_range), old + clip_range)
        total += max((value - target) ** 2, (near - target) ** 2) / 2
        num_clipped += (near - target) ** 2 > (value - target) ** 2
    count = int(batch.mask.sum())
    return {"value/loss": total / count, "value/clipfrac": num_clipped / count}


def numbers(metrics: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: metric.item() for name, metric in metrics.items()}


def test_policy_loss_closed_form():
    ratios = torch.tensor([1.5, 0.5, 1.5, 0.5, 1.1])
    advantages = torch.tensor([1.0, 1.0, -1.0, -1.0, 2.0])
    loss, metrics = policy_loss(
        ratios.log(), torch.zeros(5), advantages, torch.ones(5, dtype=torch.bool), clip_range=0.2
    )
    # Clipped: a good token already 1.5 times likelier, a bad one already half as likely.
    assert loss.item() == pytest.approx((-1.2 - 0.5 + 1.5 + 0.8 - 2.2) / 5)
    assert metrics["policy/clipfrac"].item() == pytest.approx(2 / 5)
    assert metrics["policy/ratio"].item() == pytest.approx(5.1 / 5)
    approx_kl = sum(ratio - 1 - math.log(ratio) for ratio in ratios.tolist()) / 5
    assert metrics["policy/approx_kl"].item() == pytest.approx(approx_kl, rel=1e-5)


@given(seeds, st.sampled_from([0.1, 0.2, 0.5]))
def test_policy_loss_twin(seed: int, clip_range: float):
    b = batch(seed)
    loss, metrics = policy_loss(
        b.logprobs, b.old_logprobs, b.advantages, b.mask, clip_range=clip_range
    )
    assert numbers(metrics) == pytest.approx(policy_loss_twin(b, clip_range), abs=1e-12)
    assert loss.item() == metrics["policy/loss"].item()


@given(seeds)
def test_first_update_on_a_fresh_batch(seed: int):
    b = batch(seed)
    logprobs = b.old_logprobs.float()
    advantages = masked_whiten(b.advantages.float(), b.mask)
    loss, metrics = policy_loss(logprobs, logprobs, advantages, b.mask)
    assert metrics["policy/ratio"].item() == 1
    assert metrics["policy/approx_kl"].item() == 0
    assert metrics["policy/clipfrac"].item() == 0
    assert loss.item() == pytest.approx(-masked_mean(advantages, b.mask).item(), abs=1e-7)
    assert abs(loss.item()) < 1e-6


def test_first_gradient_is_the_policy_gradient():
    b = batch(0)
    logprobs = b.old_logprobs.clone().requires_grad_()
    policy_loss(logprobs, b.old_logprobs, b.advantages, b.mask)[0].backward()
    torch.testing.assert_close(logprobs.grad, -b.advantages * b.mask / b.mask.sum())


def test_clipped_tokens_have_no_gradient():
    logprobs = torch.tensor([1.5, 0.5, 1.5, 0.5]).log().requires_grad_()
    advantages = torch.tensor([1.0, -1.0, -1.0, 1.0])
    mask = torch.ones(4, dtype=torch.bool)
    policy_loss(logprobs, torch.zeros(4), advantages, mask)[0].backward()
    assert logprobs.grad is not None
    assert logprobs.grad[:2].tolist() == [0, 0]  # the clip holds them
    assert logprobs.grad[2:].ne(0).all()  # and lets a wrong move be undone


def test_policy_loss_stays_finite_for_absurd_ratios():
    logprobs = torch.tensor([0.0, -1e4, 0.0, -1e4], requires_grad=True)
    old_logprobs = torch.tensor([-1e4, 0.0, -1e4, 0.0])
    advantages = torch.tensor([1.0, 1.0, -1.0, 0.0])
    mask = torch.ones(4, dtype=torch.bool)
    loss, metrics = policy_loss(logprobs, old_logprobs, advantages, mask)
    loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.isfinite().all()
    assert all(math.isfinite(number) for number in numbers(metrics).values())


def test_value_loss_closed_form():
    values, old_values = torch.tensor([1.0, 1.0, 0.1]), torch.zeros(3)
    returns = torch.tensor([2.0, 0.5, 1.1])
    mask = torch.ones(3, dtype=torch.bool)
    loss, metrics = value_loss(values, old_values, returns, mask, clip_range=0.2)
    # Clipped to 0.2 the first misses by 1.8 rather than 1, the second by 0.3 rather than 0.5.
    assert loss.item() == pytest.approx((1.8**2 + 0.5**2 + 1.0) / 6)
    assert metrics["value/clipfrac"].item() == pytest.approx(1 / 3)
    loss, metrics = value_loss(values, old_values, returns, mask, clip_range=None)
    assert loss.item() == pytest.approx((1 + 0.5**2 + 1) / 6)
    assert metrics["value/clipfrac"].item() == 0


@given(seeds, st.sampled_from([0.1, 0.2, 0.5, math.inf]))
def test_value_loss_twin(seed: int, clip_range: float):
    b = batch(seed)
    _, metrics = value_loss(b.values, b.old_values, b.returns, b.mask, clip_range=clip_range)
    assert numbers(metrics) == pytest.approx(value_loss_twin(b, clip_range))


def test_clipped_values_have_no_gradient():
    values = torch.tensor([1.0, 1.0], requires_grad=True)
    mask = torch.ones(2, dtype=torch.bool)
    value_loss(values, torch.zeros(2), torch.tensor([2.0, 0.5]), mask)[0].backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0.25]


def test_explained_variance_closed_form():
    returns, mask = torch.tensor([1.0, 3.0, 99.0]), torch.tensor([True, True, False])
    assert explained_variance(returns, returns, mask).item() == 1
    assert explained_variance(returns + 5, returns, mask).item() == 1  # variance, not error
    assert explained_variance(torch.zeros(3), returns, mask).item() == 0
    assert explained_variance(torch.tensor([1.5, 2.5, 0.0]), returns, mask).item() == 0.75
    assert explained_variance(-returns, returns, mask).item() == -3


def test_explained_variance_without_variance_is_zero():
    values, tenths = torch.randn(7), torch.full((7,), 0.1)  # the mean of tenths is rounded
    assert explained_variance(values, tenths, torch.ones(7, dtype=torch.bool)).item() == 0
    assert explained_variance(values, tenths, torch.zeros(7, dtype=torch.bool)).item() == 0


def losses(
    b: Batch, denominator: torch.Tensor | None = None
) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    yield policy_loss(b.logprobs, b.old_logprobs, b.advantages, b.mask, denominator=denominator)
    yield value_loss(b.values, b.old_values, b.returns, b.mask, denominator=denominator)


@given(seeds, st.sampled_from([7.0, math.nan, math.inf, -math.inf]))
def test_padding_does_not_change_losses_or_gradients(seed: int, junk: float):
    narrow, wide = batch(seed), padded(batch(seed), junk)
    for b in (narrow, wide):
        b.logprobs.requires_grad_()
        b.values.requires_grad_()
    for ours, theirs in zip(losses(narrow), losses(wide), strict=True):
        assert numbers(theirs[1]) == pytest.approx(numbers(ours[1]))
        ours[0].backward()
        theirs[0].backward()
    for our, their in ((narrow.logprobs, wide.logprobs), (narrow.values, wide.values)):
        assert our.grad is not None
        assert their.grad is not None
        torch.testing.assert_close(their.grad, pad(our.grad, (0, 2, 0, 1)))
    torch.testing.assert_close(
        explained_variance(wide.values, wide.returns, wide.mask),
        explained_variance(narrow.values, narrow.returns, narrow.mask),
    )


@given(seeds)
def test_microbatches_add_up_to_the_minibatch(seed: int):
    b = batch(seed)
    parts = [Batch(*(tensor[rows] for tensor in b)) for rows in ([0], [1, 2], [3])]
    by_part = [list(losses(part, b.mask.sum())) for part in parts]
    for whole, *pieces in zip(losses(b), *by_part, strict=True):
        assert sum(piece[0].item() for piece in pieces) == pytest.approx(whole[0].item())
        for name, metric in whole[1].items():
            assert sum(piece[1][name].item() for piece in pieces) == pytest.approx(metric.item())


def test_gradients():
    b = batch(0)
    b.logprobs.requires_grad_()
    b.values.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: policy_loss(x, b.old_logprobs, b.advantages, b.mask)[0], (b.logprobs,)
    )
    assert torch.autograd.gradcheck(
        lambda x: value_loss(x, b.old_values, b.returns, b.mask)[0], (b.values,)
    )


def test_metrics_carry_no_graph():
    b = batch(0)
    b.logprobs.requires_grad_()
    b.values.requires_grad_()
    for _, metrics in losses(b):
        assert not any(metric.requires_grad for metric in metrics.values())
        assert all(metric.shape == () for metric in metrics.values())


def test_half_precision_is_raised_to_float32():
    *floats, mask = batch(0)
    b = Batch(*(tensor.bfloat16() for tensor in floats), mask=mask)
    assert all(loss.dtype == torch.float32 for loss, _ in losses(b))


def test_nothing_is_read_back_from_the_device():
    b = Batch(*(tensor.to("meta") for tensor in batch(0)))
    for loss, metrics in losses(b, b.mask.sum()):
        assert all(tensor.is_meta for tensor in (loss, *metrics.values()))
    assert explained_variance(b.values, b.returns, b.mask).is_meta
