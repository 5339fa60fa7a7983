"""Drawing tokens from logits: pure functions on tensors, one row per completion.

The noise is an argument, so the same uniforms always give the same tokens. Logits stay in
the type they come in: in float32 they exist for a few rows at a time, while those are in the
processor's cache. This module knows nothing of models, caches or stop rules.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heedful.core.records import SamplingParameters

# Inverse-CDF sampling first picks a block of the vocabulary, then a token in the block.
_BLOCK = 256
_CHUNK = 2**19  # logits in float32 at a time, on a CPU
_RANKED = (128, 1024, 8192)  # tokens ranked in search of a nucleus, before all are
_TIES = 64  # ranked beyond top-k, since bfloat16 logits are often equal
_BELOW_ONE = 1.0 - 2.0**-53


def row_uniforms(seed: int, completion: int, count: int) -> Float[np.ndarray, " count"]:
    """The uniforms in [0, 1) of one completion, one a token, from (seed, completion) alone."""
    digest = hashlib.blake2b(f"{seed}:{completion}".encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key)).random(count)


def uniforms_of(completions: Sequence[tuple[int, int]], count: int) -> Float[Tensor, "B {count}"]:
    """`row_uniforms` of several completions, each named by (seed, completion)."""
    return torch.from_numpy(np.stack([row_uniforms(*name, count) for name in completions]))


def to_host(
    ids: Int[Tensor, " B"], logprobs: Float[Tensor, " B"]
) -> tuple[Int[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """What was drawn, brought from the device in one transfer."""
    both = torch.stack([ids.double(), logprobs.double()]).cpu().numpy()
    return both[0].astype(np.int64), both[1]


def sample_inverse_cdf(
    logits: Float[Tensor, "B V"],
    uniforms: Float[Tensor, " B"],
    temperature: Float[Tensor, " B"] | None = None,
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The token of each row at which the cumulative softmax first exceeds its uniform.

    Two levels, blocks of the vocabulary and then tokens of a block, so that no rounding
    of a vocabulary-long cumulative sum decides. A token of probability 0 is never drawn.

    Args:
        logits: Any float dtype; -inf removes a token, at least one must be finite.
        uniforms: float64 in [0, 1).
        temperature: Divides the logits; 1 where left out.

    Returns:
        Token ids, and their natural log-probabilities in float32 (nan where a row's logits
        are not numbers).
    """
    weights = _block_weights(logits, temperature)
    block, rest = _invert(weights, uniforms)
    columns = block[:, None] * _BLOCK + torch.arange(_BLOCK, device=logits.device)
    inside = logits.gather(-1, columns.clamp_max(logits.shape[-1] - 1)).float()
    if temperature is not None:
        inside = inside / temperature[:, None]
    inside = inside.masked_fill(columns >= logits.shape[-1], -torch.inf).softmax(-1)
    offset, _ = _invert(inside, rest)
    weight = weights.gather(-1, block[:, None]) * inside.gather(-1, offset[:, None])
    logprobs = (weight / weights.sum(-1, keepdim=True)).log().squeeze(-1)
    return block * _BLOCK + offset, logprobs


def _block_weights(
    logits: Float[Tensor, "B V"], temperature: Float[Tensor, " B"] | None
) -> Float[Tensor, "B blocks"]:
    """The probability of each block of the vocabulary, the last of which may be short."""
    batch, vocab = logits.shape
    whole = vocab // _BLOCK * _BLOCK
    weights = logits.new_empty(batch, -(-vocab // _BLOCK), dtype=torch.float32)
    at_once = _at_once(logits)
    for start in range(0, batch, at_once):
        rows = slice(start, start + at_once)
        if temperature is None:
            probs = logits[rows].softmax(-1, dtype=torch.float32)
        else:
            probs = (logits[rows].float() / temperature[rows, None]).softmax(-1)
        into = weights[rows]
        torch.sum(probs[:, :whole].unflatten(-1, (-1, _BLOCK)), -1, out=into[:, : whole // _BLOCK])
        if whole < vocab:
            into[:, -1] = probs[:, whole:].sum(-1)
    return weights


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


def sample_top(
    logits: Float[Tensor, "B V"],
    uniforms: Float[Tensor, " B"],
    temperature: Float[Tensor, " B"],
    top_k: Int[Tensor, " B"],
    top_p: Float[Tensor, " B"],
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """`sample_inverse_cdf` among what `keep_top` keeps."""
    ids = torch.empty(len(logits), dtype=torch.long, device=logits.device)
    logprobs = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
    rows = torch.arange(len(logits), device=logits.device)
    vocab = logits.shape[-1]
    largest = int(top_k.max()) + _TIES
    for num_ranked in (*(n for n in sorted({*_RANKED, largest}) if n < vocab), vocab):
        kept, kept_ids, whole = keep_top(
            logits[rows], temperature[rows], top_k[rows], top_p[rows], num_ranked
        )
        places, found = sample_inverse_cdf(kept, uniforms[rows])
        ids[rows] = kept_ids.gather(-1, places[:, None]).squeeze(-1)
        logprobs[rows] = found
        rows = rows[~whole]
        if not len(rows):
            break
    return ids, logprobs


def keep_top(
    logits: Float[Tensor, "B V"],
    temperature: Float[Tensor, " B"],
    top_k: Int[Tensor, " B"],
    top_p: Float[Tensor, " B"],
    num_ranked: int,
) -> tuple[Float[Tensor, "B N"], Int[Tensor, "B N"], Bool[Tensor, " B"]]:
    """The top k tokens (0: all), and of these the nucleus of top p, by rising id.

    The nucleus is the smallest set of most likely tokens whose probability, after
    temperature and top-k, is at least `top_p` (Holtzman et al. 2020). Among equal logits
    the lower id goes first.

    Args:
        logits: Of any float dtype.
        temperature: Divides the logits.
        top_k: See above.
        top_p: See above.
        num_ranked: N, how many tokens to rank in search of them.

    Returns:
        Logits over temperature, -inf for what is not kept; ids; and which rows are whole,
        as all are if N is V: the others need more tokens ranked.
    """
    vocab = logits.shape[-1]
    all_kept = (top_k == 0) | (top_k >= vocab)
    top_k = torch.where(all_kept, vocab, top_k)[:, None]
    best, ids = logits.topk(num_ranked)
    scaled = best.float() / temperature[:, None]
    rank = torch.arange(num_ranked, device=logits.device)
    in_k = rank < top_k
    total = scaled.masked_fill(~in_k, -torch.inf).logsumexp(-1)
    if num_ranked < vocab and bool(all_kept.any()):
        total = torch.where(all_kept, _log_total(logits, temperature), total)
    probs = (scaled - total[:, None]).double().exp()
    before = probs.cumsum(-1) - probs
    # The `rank == 0` keeps the best token whatever rounding does.
    kept = in_k & ((before < top_p[:, None]) | (top_p[:, None] == 1) | (rank == 0))
    num_kept = kept.sum(-1, keepdim=True)
    last = best.gather(-1, num_kept - 1)
    # Once something below the last one kept is ranked, all its equals are.
    whole = (all_kept | (top_k[:, 0] <= num_ranked)) & (best[:, -1] < last[:, 0])
    if num_ranked == vocab:
        best, ids, whole = logits, rank.expand_as(logits), torch.ones_like(whole)
    else:
        ids, order = ids.sort(-1)
        best = best.gather(-1, order)
    tied = best == last
    num_tied_kept = num_kept - (best > last).sum(-1, keepdim=True)
    # `~ <=` and not `>`, so that a logit that is not a number stays, and is noticed.
    keep = ~(best <= last) | (tied & (tied.cumsum(-1) <= num_tied_kept))
    return (best.float() / temperature[:, None]).masked_fill(~keep, -torch.inf), ids, whole


def _log_total(
    logits: Float[Tensor, "B V"], temperature: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """Logsumexp of the logits over temperature, a few rows at a time."""
    parts = logits.split(_at_once(logits))
    return torch.cat(
        [
            (part.float() / divisor[:, None]).logsumexp(-1)
            for part, divisor in zip(parts, temperature.split(_at_once(logits)), strict=True)
        ]
    )


def _at_once(logits: Tensor) -> int:
    return len(logits) if logits.is_cuda else max(1, _CHUNK // logits.shape[-1])


class RowSampling:
    """How the next token of each row is drawn: its parameters, its noise, and how far it is.

    Args:
        parameters: One per row; rows may differ.
        uniforms: One row of noise per completion, one column per token.
    """

    def __init__(
        self, parameters: Sequence[SamplingParameters], uniforms: Float[Tensor, "B steps"]
    ) -> None:
        self.parameters = list(parameters)
        self.uniforms = uniforms
        self.step = uniforms.new_zeros(len(uniforms), 1, dtype=torch.long)
        self._regroup()

    def _regroup(self) -> None:
        """Sort rows by how they are drawn, so that no step has to ask the device."""
        parameters, device = self.parameters, self.uniforms.device
        self._temperature = torch.tensor([p.temperature or 1.0 for p in parameters], device=device)
        self._tempered = any(p.temperature not in (0, 1) for p in parameters)
        self._top_k = torch.tensor([p.top_k for p in parameters], device=device)
        self._top_p = torch.tensor([p.top_p for p in parameters], device=device)
        kinds: dict[str, list[int]] = {}
        for row, p in enumerate(parameters):
            kind = "open" if p.top_k == 0 and p.top_p == 1 else "filtered"
            kinds.setdefault("greedy" if p.temperature == 0 else kind, []).append(row)
        self._kinds = {kind: torch.tensor(rows, device=device) for kind, rows in kinds.items()}

    def select(self, rows: Sequence[int]) -> "RowSampling":
        """The given rows only, as far as they are."""
        chosen = RowSampling([self.parameters[row] for row in rows], self.uniforms[list(rows)])
        chosen.step = self.step[list(rows)]
        return chosen

    def replace(self, rows: Sequence[int], new: "RowSampling") -> None:
        """Let `new` stand in the given rows, as far as it is."""
        for row, parameters in zip(rows, new.parameters, strict=True):
            self.parameters[row] = parameters
        self.uniforms[list(rows)] = new.uniforms
        self.step[list(rows)] = new.step
        self._regroup()

    def draw(self, logits: Float[Tensor, "B V"]) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
        """Token ids, and log-probabilities under the distribution drawn from (greedy: 0.0).

        Takes the next number of each row's noise; rows that are past their last repeat it.
        """
        last = self.uniforms.shape[1] - 1
        uniforms = self.uniforms.gather(1, self.step.clamp_max(last)).squeeze(1)
        self.step += 1
        if len(self._kinds) == 1:
            [kind] = self._kinds
            return self._draw_kind(kind, logits, uniforms, slice(None))
        ids = torch.empty(len(logits), dtype=torch.long, device=logits.device)
        logprobs = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
        for kind, rows in self._kinds.items():
            ids[rows], logprobs[rows] = self._draw_kind(kind, logits[rows], uniforms[rows], rows)
        return ids, logprobs

    def _draw_kind(
        self,
        kind: str,
        logits: Float[Tensor, "B V"],
        uniforms: Float[Tensor, " B"],
        rows: Tensor | slice,
    ) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
        if kind == "greedy":
            return _most_likely(logits)
        temperature = self._temperature[rows]
        if kind == "open":
            return sample_inverse_cdf(logits, uniforms, temperature if self._tempered else None)
        return sample_top(logits, uniforms, temperature, self._top_k[rows], self._top_p[rows])


def _most_likely(
    logits: Float[Tensor, "B V"],
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The best token of each row, and 0.0, or nan where the logits are not numbers."""
    best, ids = logits.max(dim=-1)
    return ids, best.sub(best).float()
