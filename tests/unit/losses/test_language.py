import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.losses.language import language_model_loss

seeds = st.integers(0, 2**31 - 1)


def example(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and a mask."""
    generator = torch.Generator().manual_seed(seed)
    logprobs = -5 * torch.rand(3, 4, generator=generator, dtype=torch.float64)
    return logprobs, torch.rand(3, 4, generator=generator) < 0.6


def loss_twin(logprobs: list[list[float]], mask: list[list[bool]]) -> float:
    kept = [
        logprobs[row][column]
        for row in range(len(mask))
        for column in range(len(mask[0]))
        if mask[row][column]
    ]
    return -sum(kept) / len(kept) if kept else 0.0


def test_loss_closed_form():
    logprobs = torch.tensor([[-1.0, -2.0, -99.0], [-3.0, -99.0, -99.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    loss, metrics = language_model_loss(logprobs, mask)
    assert loss.item() == 2
    assert metrics["language/loss"].item() == 2
    assert metrics["language/num_tokens"].item() == 3
    assert language_model_loss(logprobs, mask, denominator=12)[0].item() == 0.5


def test_a_uniform_guess_costs_the_logarithm_of_the_vocabulary():
    logprobs = torch.full((5,), -math.log(64))
    loss, _ = language_model_loss(logprobs, torch.ones(5, dtype=torch.bool))
    assert loss.item() == pytest.approx(math.log(64))


@given(seeds)
def test_twin(seed: int):
    logprobs, mask = example(seed)
    loss, _ = language_model_loss(logprobs, mask)
    assert loss.item() == pytest.approx(loss_twin(logprobs.tolist(), mask.tolist()))


def test_gradients():
    logprobs, mask = example(0)
    assert torch.autograd.gradcheck(
        lambda logprobs: language_model_loss(logprobs, mask)[0], (logprobs.requires_grad_(),)
    )


@given(seeds)
def test_padding_changes_nothing(seed: int):
    logprobs, mask = example(seed)
    padded = torch.full((4, 9), -math.inf, dtype=torch.float64)
    padded[:3, :4] = logprobs
    padded_mask = torch.zeros(4, 9, dtype=torch.bool)
    padded_mask[:3, :4] = mask
    ours, theirs = language_model_loss(logprobs, mask), language_model_loss(padded, padded_mask)
    torch.testing.assert_close(ours, theirs)


@given(seeds)
def test_microbatches_add_up_to_the_minibatch(seed: int):
    logprobs, mask = example(seed)
    parts = [
        language_model_loss(logprobs[rows], mask[rows], denominator=mask.sum())
        for rows in ([0], [1, 2])
    ]
    loss, metrics = language_model_loss(logprobs, mask)
    torch.testing.assert_close(parts[0][0] + parts[1][0], loss)
    for name in metrics:
        torch.testing.assert_close(parts[0][1][name] + parts[1][1][name], metrics[name])


def test_metrics_carry_no_graph():
    logprobs = torch.zeros(3, requires_grad=True)
    _, metrics = language_model_loss(logprobs, torch.ones(3, dtype=torch.bool))
    assert not any(metric.requires_grad for metric in metrics.values())
    assert all(metric.shape == () for metric in metrics.values())


def test_nothing_is_read_back_from_the_device():
    logprobs, mask = (tensor.to("meta") for tensor in example(0))
    loss, metrics = language_model_loss(logprobs.requires_grad_(), mask, denominator=mask.sum())
    loss.backward()
    assert all(tensor.is_meta for tensor in (loss, *metrics.values()))
