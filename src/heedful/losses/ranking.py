"""The K-wise ranking loss of the reward model (InstructGPT, eq. 1).

All completions of a prompt enter as one batch element: each is scored once, and every
strictly ordered pair of them compares two of those scores. Ties contribute nothing: the
denominator of a prompt is its number of strict pairs, which is C(K, 2) without ties.

Pairs are laid out as an N x N table of the microbatch, a cost that is small beside N
forward passes of a language model.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heedful.losses.masked import Metrics, at_least_float32


def ranking_loss(
    scores: Float[Tensor, " N"],
    ranks: Int[Tensor, " N"],
    groups: Int[Tensor, " N"],
    *,
    num_prompts: int | None = None,
) -> tuple[Float[Tensor, ""], Metrics]:
    """Mean over prompts of the mean over strict pairs of -log sigmoid(s_w - s_l).

    Args:
        scores: One score for each completion, several prompts one after the other.
        ranks: 1 is best; only their order within a prompt counts, equal ranks are ties.
        groups: Equal for completions of one prompt. A row alone in its group, such as
            padding, takes part in nothing.
        num_prompts: What the sum over prompts is divided by; default, the number of prompts
            with at least one strict pair. A caller that accumulates gradients over
            microbatches passes the minibatch's count of such prompts.

    Returns:
        The loss, and metrics. `reward/loss`, `reward/accuracy` (an equal score counts half)
        and `reward/margin` (s_w - s_l) are all means over pairs, then over prompts, and add
        up over microbatches where `num_prompts` is given; `reward/num_pairs` always does.
    """
    scores = at_least_float32(scores)
    same_prompt = groups[:, None] == groups[None, :]
    strict = _strict_pairs(ranks, groups)
    # Filled before softplus, so that no gradient comes back from pairs that do not count.
    margins = (scores[:, None] - scores[None, :]).masked_fill(~strict, 0.0)

    pairs_of_prompt = (same_prompt * strict.sum(1)).sum(1)  # [N], the same throughout a prompt
    if num_prompts is None:
        is_first = ~same_prompt.tril(-1).any(1)
        divisor = (is_first & (pairs_of_prompt > 0)).sum().clamp_min(1)
    else:
        divisor = torch.as_tensor(max(num_prompts, 1))
    weights = strict.to(scores.dtype) / (pairs_of_prompt.clamp_min(1) * divisor)[:, None]

    loss = (weights * torch.nn.functional.softplus(-margins)).sum()
    ordered_right = (margins.sign() + 1) / 2
    metrics = {
        "reward/loss": loss.detach(),
        "reward/accuracy": (weights * ordered_right).sum().detach(),
        "reward/margin": (weights * margins).sum().detach(),
        "reward/num_pairs": strict.sum().to(loss.dtype),
    }
    return loss, metrics


def _strict_pairs(ranks: Int[Tensor, " N"], groups: Int[Tensor, " N"]) -> Bool[Tensor, "N N"]:
    """True at [w, l] where w and l belong to one prompt and w is ranked strictly better."""
    return (groups[:, None] == groups[None, :]) & (ranks[:, None] < ranks[None, :])
