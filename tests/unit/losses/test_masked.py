import math

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from heedful.losses.masked import (
    masked_mean,
    masked_sum,
    masked_variance,
    masked_whiten,
    mean_over,
)

seeds = st.integers(0, 2**31 - 1)


def example(seed: int, rows: int = 3, columns: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    mask = torch.rand(rows, columns, generator=generator) < 0.6
    return values, mask


def whiten_twin(values: NDArray[np.float64], mask: NDArray[np.bool_], eps: float = 1e-8):
    kept = [
        values[row, column]
        for row in range(len(values))
        for column in range(len(values[0]))
        if mask[row, column]
    ]
    whitened = np.zeros_like(values)
    if kept:
        mean = sum(kept) / len(kept)
        variance = sum((value - mean) ** 2 for value in kept) / len(kept)
        for row, column in zip(*np.nonzero(mask), strict=True):
            whitened[row, column] = (values[row, column] - mean) / math.sqrt(variance + eps)
    return whitened


def test_sum_and_mean_closed_form():
    values = torch.tensor([[1.0, 2.0, 30.0], [4.0, 50.0, 60.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_sum(values, mask).item() == 7
    assert masked_sum(values, mask, 1).tolist() == [3, 4]
    assert masked_sum(values, mask, 0).tolist() == [5, 2, 0]
    assert masked_mean(values, mask).item() == pytest.approx(7 / 3)
    assert masked_mean(values, mask, 1).tolist() == [1.5, 4]
    assert masked_mean(values, mask, 0).tolist() == [2.5, 2, 0]


def test_variance_and_whitening_closed_form():
    values = torch.tensor([1.0, 3.0, 100.0])
    mask = torch.tensor([True, True, False])
    assert masked_variance(values, mask).item() == 1  # population variance, not 2
    torch.testing.assert_close(masked_whiten(values, mask), torch.tensor([-1.0, 1.0, 0.0]))
    torch.testing.assert_close(
        masked_whiten(values, mask, shift_mean=False), torch.tensor([1.0, 3.0, 0.0])
    )
    torch.testing.assert_close(
        masked_whiten(values * 10, mask, shift_mean=False), torch.tensor([19.0, 21.0, 0.0])
    )


def test_nothing_unmasked_gives_zero():
    values, mask = torch.tensor([math.nan, math.inf]), torch.tensor([False, False])
    assert masked_sum(values, mask).item() == 0
    assert masked_mean(values, mask).item() == 0
    assert masked_variance(values, mask).item() == 0
    assert masked_whiten(values, mask).tolist() == [0, 0]
    assert mean_over(values, mask, 0).item() == 0
    assert mean_over(values, mask, torch.tensor(0)).item() == 0


def test_a_single_value_is_whitened_to_zero():
    assert masked_whiten(torch.tensor([3.0]), torch.tensor([True])).tolist() == [0]


def test_half_precision_is_accumulated_in_float32():
    ones = torch.ones(1000, dtype=torch.bfloat16)  # bfloat16 cannot count past 256
    everything = torch.ones(1000, dtype=torch.bool)
    assert masked_sum(ones, everything).item() == 1000
    assert masked_sum(ones, everything).dtype == torch.float32
    assert masked_whiten(ones, everything).dtype == torch.float32
    assert masked_sum(ones.double(), everything).dtype == torch.float64


def test_whitening_keeps_precision_far_from_zero():
    near = torch.tensor([-1.0, 1.0, 3.0])
    mask = torch.ones(3, dtype=torch.bool)
    torch.testing.assert_close(masked_whiten(near + 1e4, mask), masked_whiten(near, mask))


@given(seeds)
def test_whiten_twin(seed: int):
    values, mask = example(seed)
    expected = torch.from_numpy(whiten_twin(values.numpy(), mask.numpy()))
    torch.testing.assert_close(masked_whiten(values, mask), expected)


@given(seeds)
def test_whitened_values_have_mean_0_and_variance_1(seed: int):
    values, mask = example(seed)
    mask[0, :2] = True
    whitened = masked_whiten(values, mask, eps=0.0)
    assert abs(masked_mean(whitened, mask).item()) < 1e-10
    assert masked_variance(whitened, mask).item() == pytest.approx(1)


@given(seeds, st.sampled_from([7.0, math.nan, math.inf, -math.inf]))
def test_padding_changes_nothing(seed: int, junk: float):
    values, mask = example(seed)
    padded = torch.full((5, 9), junk, dtype=torch.float64)
    padded[:3, :5] = values
    padded_mask = torch.zeros(5, 9, dtype=torch.bool)
    padded_mask[:3, :5] = mask
    for reduce in (masked_sum, masked_mean, masked_variance):
        torch.testing.assert_close(reduce(padded, padded_mask), reduce(values, mask))
    whitened = masked_whiten(padded, padded_mask)
    torch.testing.assert_close(whitened[:3, :5], masked_whiten(values, mask))
    assert whitened[~padded_mask].eq(0).all()


@given(seeds)
def test_microbatches_add_up_to_the_minibatch(seed: int):
    values, mask = example(seed)
    count = mask.sum()
    for denominator in (count, int(count)):
        parts = [mean_over(values[rows], mask[rows], denominator) for rows in ([0], [1, 2])]
        torch.testing.assert_close(sum(parts), masked_mean(values, mask))


def test_no_gradient_through_padding():
    values = torch.tensor([1.0, math.nan], requires_grad=True)
    masked_mean(values, torch.tensor([True, False])).backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 0]


def test_shapes_are_checked_under_test():
    with pytest.raises(jaxtyping.TypeCheckError):
        masked_sum(torch.zeros(2, 3), torch.ones(3, 2, dtype=torch.bool))
    with pytest.raises(jaxtyping.TypeCheckError):
        masked_sum(torch.zeros(2), torch.ones(2))


def test_nothing_is_read_back_from_the_device():
    values, mask = (tensor.to("meta") for tensor in example(0))
    assert masked_whiten(values, mask).is_meta
    assert mean_over(values, mask, mask.sum()).is_meta
