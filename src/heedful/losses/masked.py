"""Sums, means and variances over the true positions of a mask.

Every loss of this room reduces through these functions, so that what lies under a false
mask (padding, even NaN or infinity) changes neither a value nor a gradient. Half
precision is raised to float32 before it is summed; float32 and float64 stay as given.

There is no weighting here: a position counts or it does not.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Metrics = dict[str, Tensor]
Denominator = Tensor | float | None


def at_least_float32(values: Tensor) -> Tensor:
    """`values` in float32, or as they are where they are already that precise."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def masked_sum(
    values: Float[Tensor, "*N"], mask: Bool[Tensor, "*N"], dim: int | None = None
) -> Tensor:
    """Sum of the unmasked values over `dim`, or over everything."""
    return at_least_float32(values).masked_fill(~mask, 0.0).sum(dim)


def masked_mean(
    values: Float[Tensor, "*N"], mask: Bool[Tensor, "*N"], dim: int | None = None
) -> Tensor:
    """Mean of the unmasked values over `dim`, or over everything; 0 where there are none."""
    return masked_sum(values, mask, dim) / mask.sum(dim).clamp_min(1)


def mean_over(
    values: Float[Tensor, "*N"], mask: Bool[Tensor, "*N"], denominator: Denominator
) -> Float[Tensor, ""]:
    """Sum of the unmasked values divided by `denominator`; their mean where it is None.

    With the count of a whole minibatch as denominator, the results of its microbatches add
    up to the mean over the minibatch, however unevenly the tokens fall. A denominator of 0
    belongs to a minibatch without an unmasked token, whose result is 0.
    """
    if denominator is None:
        return masked_mean(values, mask)
    # Adding the truth value turns 0 into 1 without asking the GPU which it is.
    return masked_sum(values, mask) / (denominator + (denominator == 0))


def masked_variance(values: Float[Tensor, "*N"], mask: Bool[Tensor, "*N"]) -> Float[Tensor, ""]:
    """Population variance (divided by n, not n - 1) of the unmasked values."""
    deviations = at_least_float32(values) - masked_mean(values, mask)
    return masked_mean(deviations.masked_fill(~mask, 0.0).square(), mask)


def masked_whiten(
    values: Float[Tensor, "*N"],
    mask: Bool[Tensor, "*N"],
    *,
    shift_mean: bool = True,
    eps: float = 1e-8,
) -> Float[Tensor, "*N"]:
    """Scale the unmasked values to variance 1 and, with `shift_mean`, shift them to mean 0.

    The variance is the population variance, as in the code of Ziegler et al. (2019), so
    that a single value is whitened to 0 rather than NaN. `eps` is added to the variance.
    Masked positions come back as 0.
    """
    mean = masked_mean(values, mask)
    whitened = (at_least_float32(values) - mean) * torch.rsqrt(masked_variance(values, mask) + eps)
    if not shift_mean:
        whitened = whitened + mean
    return whitened.masked_fill(~mask, 0.0)
