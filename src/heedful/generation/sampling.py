"""Drawing tokens from logits: pure functions on tensors, one row per completion.

The noise is an argument, so the same uniforms always give the same tokens. This module
knows nothing of models, caches or stop rules.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from heedful.core.records import SamplingParameters

# Inverse-CDF sampling first picks a block of the vocabulary, then a token in the block.
_BLOCK = 256
_RANKED = 1024
_BELOW_ONE = 1.0 - 2.0**-53


def row_uniforms(seed: int, completion: int, count: int) -> Float[np.ndarray, " count"]:
    """The uniforms in [0, 1) of one completion, one a token, from (seed, completion) alone."""
    digest = hashlib.blake2b(f"{seed}:{completion}".encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def keep_top(
    logits: Float[Tensor, "B V"], top_k: Int[Tensor, " B"], top_p: Float[Tensor, " B"]
) -> Float[Tensor, "B V"]:
    """Keep the top k tokens (0: all), then the nucleus of top p; the rest become -inf.

    The nucleus is the smallest set of most likely tokens whose probability, after top-k,
    is at least `top_p` (Holtzman et al. 2020). Among equal logits the lower id goes first.
    """
    logits = logits.float()
    vocab = logits.shape[-1]
    top_k = torch.where(top_k > 0, top_k, vocab).clamp_max(vocab)[:, None]
    log_total = logits.logsumexp(dim=-1, keepdim=True)
    # A nucleus rarely reaches beyond the first thousand; if one does, rank all tokens.
    largest_k = int(top_k.max())
    for num_ranked in (min(vocab, _RANKED) if largest_k == vocab else largest_k, vocab):
        best = logits.topk(num_ranked).values
        rank = torch.arange(num_ranked, device=logits.device)
        in_k = rank < top_k
        within_k = best.masked_fill(~in_k, -torch.inf).logsumexp(dim=-1, keepdim=True)
        probs = (best - torch.where(top_k < vocab, within_k, log_total)).double().exp()
        before = probs.cumsum(dim=-1) - probs
        # The `rank == 0` keeps the best token whatever rounding does.
        kept = in_k & ((before < top_p[:, None]) | (top_p[:, None] == 1) | (rank == 0))
        num_kept = kept.sum(dim=-1, keepdim=True)
        if bool(((top_k <= num_ranked) | ((top_k == vocab) & (num_kept < num_ranked))).all()):
            break
    last = best.gather(-1, num_kept - 1)
    tied = logits == last
    num_tied_kept = num_kept - (best > last).sum(dim=-1, keepdim=True)
    keep = (logits > last) | (tied & (tied.cumsum(dim=-1) <= num_tied_kept))
    return logits.masked_fill(~keep, -torch.inf)


def sample_inverse_cdf(
    logits: Float[Tensor, "B V"], uniforms: Float[Tensor, " B"]
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The token of each row at which the cumulative softmax first exceeds its uniform.

    Two levels, blocks of the vocabulary and then tokens of a block, so that no rounding
    of a vocabulary-long cumulative sum decides. A token of probability 0 is never drawn.

    Args:
        logits: Any float dtype; -inf removes a token, at least one must be finite.
        uniforms: float64 in [0, 1).

    Returns:
        Token ids, and their natural log-probabilities in float32.
    """
    batch, vocab = logits.shape
    peak = logits.amax(dim=-1, keepdim=True).float()
    weights = logits.new_zeros(batch, -(-vocab // _BLOCK) * _BLOCK, dtype=torch.float32)
    torch.sub(logits, peak, out=weights[:, :vocab])
    weights[:, :vocab].exp_()
    blocks = weights.view(batch, -1, _BLOCK)
    block_weights = blocks.sum(dim=-1)
    block, rest = _invert(block_weights, uniforms)
    rows = torch.arange(batch, device=logits.device)
    offset, _ = _invert(blocks[rows, block], rest)
    ids = block * _BLOCK + offset
    total = block_weights.sum(dim=-1, dtype=torch.float64)
    chosen = logits[rows, ids].double() - peak.squeeze(-1)
    return ids, (chosen - total.log()).float()


def _invert(
    weights: Float[Tensor, "B N"], uniforms: Float[Tensor, " B"]
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The index each uniform falls on, and how far into that index it falls, in [0, 1)."""
    positive = weights > 0
    cdf = weights.cumsum(dim=-1, dtype=torch.float64).masked_fill(~positive, 0.0)
    # u * total < total in float64 for every u < 1, so some positive entry is always hit.
    target = uniforms * cdf.amax(dim=-1)
    index = (cdf > target[:, None]).int().argmax(dim=-1)
    chosen = weights.gather(-1, index[:, None]).squeeze(-1).double()
    below = cdf.gather(-1, index[:, None]).squeeze(-1) - chosen
    return index, ((target - below) / chosen).clamp(0.0, _BELOW_ONE)


class RowSampling:
    """How the next token of each row is drawn: its parameters and its noise.

    Args:
        parameters: One per row; rows may differ.
        uniforms: One row of noise per completion, one column per step.
    """

    def __init__(
        self, parameters: Sequence[SamplingParameters], uniforms: Float[Tensor, "B steps"]
    ) -> None:
        device = uniforms.device
        self._parameters = parameters
        self._uniforms = uniforms
        self._temperature = torch.tensor([p.temperature or 1.0 for p in parameters], device=device)
        self._top_k = torch.tensor([p.top_k for p in parameters], device=device)
        self._top_p = torch.tensor([p.top_p for p in parameters], device=device)
        self._greedy = torch.tensor([p.temperature == 0 for p in parameters], device=device)
        # Known here, so that no step has to ask the device.
        self._num_greedy = sum(p.temperature == 0 for p in parameters)
        self._tempered = any(p.temperature not in (0, 1) for p in parameters)
        self._filtered = [
            row
            for row, p in enumerate(parameters)
            if p.temperature > 0 and (p.top_k > 0 or p.top_p < 1)
        ]

    def select(self, rows: Sequence[int]) -> "RowSampling":
        """The given rows only."""
        return RowSampling([self._parameters[row] for row in rows], self._uniforms[list(rows)])

    def draw(
        self, logits: Float[Tensor, "B V"], step: int
    ) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
        """Token ids, and log-probabilities under the distribution drawn from (greedy: 0.0)."""
        if self._num_greedy == len(logits):
            return _most_likely(logits)
        warped = logits
        if self._tempered or self._filtered:
            warped = logits / self._temperature[:, None]
        if rows := self._filtered:
            warped[rows] = keep_top(warped[rows], self._top_k[rows], self._top_p[rows])
        ids, logprobs = sample_inverse_cdf(warped, self._uniforms[:, step])
        if self._num_greedy:
            best_ids, certain = _most_likely(logits)
            ids = torch.where(self._greedy, best_ids, ids)
            logprobs = torch.where(self._greedy, certain, logprobs)
        return ids, logprobs


def _most_likely(
    logits: Float[Tensor, "B V"],
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The best token of each row, and 0.0, or nan where the logits are not numbers."""
    best, ids = logits.float().max(dim=-1)
    return ids, best.sub(best)
