"""Pairs of prompt and completion as one batch of tokens, whichever way the model takes them.

A model that attends with `heedful.models.attention` takes sequences side by side, shared
prompts once (`heedful.models.ragged`); any other takes rows padded on the right, which under
causal attention need no mask. What is read from a pass is the same for both: the state before
each completion token, and at each pair's last token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heedful.core.errors import ModelError
from heedful.models.attention import NAME
from heedful.models.ragged import SHARED_FROM, Layout, Segment


@runtime_checkable
class Pair(Protocol):
    """A prompt of at least one token, and its completion."""

    @property
    def prompt_ids(self) -> Sequence[int]:
        """Tokens that are given."""
        ...

    @property
    def completion_ids(self) -> Sequence[int]:
        """Tokens that are asked about."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """Tokens of B pairs, and where in the flattened row or rows to read.

    Attributes:
        options: Keywords of the transformer: positions and layout where side by side.
        before: The state that predicts each of M completion tokens, pair after pair.
        targets: Those tokens.
        last: The last token of each pair.
        mask: Which places of [B, C] the M tokens take, C the longest completion.
    """

    input_ids: Int[Tensor, "R T"]
    options: dict[str, Any]
    before: Int[Tensor, " M"]
    targets: Int[Tensor, " M"]
    last: Int[Tensor, " B"]
    mask: Bool[Tensor, "B C"]

    def unflatten(self, values: Float[Tensor, " M"]) -> Float[Tensor, "B C"]:
        """One row a pair; zeros after its completion's end."""
        return values.new_zeros(self.mask.shape).masked_scatter(self.mask, values)


def token_states(trunk: Any, batch: TokenBatch) -> Float[Tensor, "N H"]:
    """The trunk's last hidden states, as one list of tokens."""
    output = trunk(input_ids=batch.input_ids, use_cache=False, **batch.options)
    states: Tensor = output.last_hidden_state
    return states.flatten(0, 1)


def padded_rows(pairs: Sequence[Pair], pad_id: int, device: torch.device) -> TokenBatch:
    """One row per pair, as wide as the longest, padded on the right."""
    width = max(len(pair.prompt_ids) + len(pair.completion_ids) for pair in pairs)
    ids = np.full((len(pairs), width), pad_id, dtype=np.int64)
    starts = []
    for row, pair in enumerate(pairs):
        size = len(pair.prompt_ids) + len(pair.completion_ids)
        ids[row, :size] = [*pair.prompt_ids, *pair.completion_ids]
        starts.append(row * width + len(pair.prompt_ids))
    return _batch(pairs, ids, {}, starts, [start - 1 for start in starts], device)


def side_by_side(pairs: Sequence[Pair], device: torch.device) -> TokenBatch:
    """All pairs in one row; those with the same prompt share it.

    Segments stand in the order of their lengths, so that those of a group are neighbours.
    """
    pieces = _pieces(pairs)
    order = sorted(range(len(pieces)), key=lambda n: pieces[n].order)
    starts = [0] * len(pieces)
    ids: list[int] = []
    positions: list[int] = []
    for number in order:
        piece = pieces[number]
        starts[number] = len(ids)
        ids += piece.ids
        positions += range(piece.position, piece.position + len(piece.ids))
    segments = [
        Segment(starts[number], len(piece.ids))
        if piece.prefix is None
        else Segment(starts[number], len(piece.ids), starts[piece.prefix], piece.position)
        for number in order
        if (piece := pieces[number]).ids
    ]
    completions, prompts_end = [0] * len(pairs), [0] * len(pairs)
    for number, piece in enumerate(pieces):
        for pair in piece.pairs:
            own = 0 if piece.position else len(pairs[pair].prompt_ids)
            completions[pair] = starts[number] + own
            home = number if piece.prefix is None else piece.prefix
            prompts_end[pair] = starts[home] + len(pairs[pair].prompt_ids) - 1
    options = {
        "position_ids": torch.tensor([positions], device=device),
        "layout": Layout.of(segments, device),
        # Four dimensions: transformers makes no mask of its own then. Nobody reads it.
        "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),
    }
    row = np.array([ids], dtype=np.int64)
    return _batch(pairs, row, options, completions, prompts_end, device)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A segment to be: whole pair, shared prompt, or completion after a shared prompt."""

    ids: list[int]
    pairs: list[int]  # whose completion it holds
    position: int = 0
    prefix: int | None = None  # the piece that holds the prompt

    @property
    def order(self) -> tuple[bool, int, int]:
        return self.prefix is not None, -len(self.ids), -self.position


def _pieces(pairs: Sequence[Pair]) -> list[_Piece]:
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for number, pair in enumerate(pairs):
        by_prompt.setdefault(tuple(pair.prompt_ids), []).append(number)
    pieces: list[_Piece] = []
    for prompt, members in by_prompt.items():
        if len(members) == 1 or len(prompt) < SHARED_FROM:
            pieces += [_Piece([*prompt, *pairs[n].completion_ids], [n]) for n in members]
            continue
        home = len(pieces)
        pieces.append(_Piece([*prompt], []))
        pieces += [_Piece([*pairs[n].completion_ids], [n], len(prompt), home) for n in members]
    return pieces


def _batch(
    pairs: Sequence[Pair],
    ids: Any,
    options: dict[str, Any],
    completions: Sequence[int],
    prompts_end: Sequence[int],
    device: torch.device,
) -> TokenBatch:
    """The places to read, from where each completion begins and each prompt ends."""
    sizes = [len(pair.completion_ids) for pair in pairs]
    before, last = [], []
    for start, end, size in zip(completions, prompts_end, sizes, strict=True):
        before += [end, *range(start, start + size - 1)] if size else []
        last.append(start + size - 1 if size else end)
    targets = [*chain.from_iterable(pair.completion_ids for pair in pairs)]
    mask = np.arange(max(sizes))[None] < np.array(sizes)[:, None]

    def tensor(values: Any) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.int64)).to(device)

    return TokenBatch(
        input_ids=tensor(ids),
        options=options,
        before=tensor(before),
        targets=tensor(targets),
        last=tensor(last),
        mask=torch.from_numpy(mask).to(device),
    )


@dataclass(frozen=True, slots=True)
class _Probe:
    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]


@torch.no_grad()
def takes_side_by_side(trunk: Any) -> bool:
    """Whether `trunk` gives sequences in one row the states that it gives them alone.

    It must attend with `heedful.models.attention`, over all that comes before or a window of
    it; a few sequences are tried, with and without a shared prompt.
    """
    config = trunk.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if (
        config._attn_implementation != NAME  # noqa: SLF001
        or kinds - {"full_attention", "sliding_attention"}
        or getattr(config, "attention_chunk_size", None) is not None
    ):
        return False
    device = next(trunk.parameters()).device

    def some(start: int, number: int) -> list[int]:
        return [2 + (start + n) % (config.vocab_size - 2) for n in range(number)]

    probes = [
        _Probe(some(3, 4), some(1, 2)),
        *(_Probe(some(0, SHARED_FROM), some(7 * n, 3 + n)) for n in range(2)),
    ]
    try:
        together = side_by_side(probes, device)
        found = token_states(trunk, together)[together.before].float()
    except (ModelError, TypeError, ValueError, RuntimeError):
        return False
    rows = padded_rows(probes, 0, device)
    alone = token_states(trunk, rows)[rows.before].float()
    # A stranger seen moves a state by its own size; rounding in bfloat16 by a hundredth or two.
    return bool((found - alone).norm() <= 0.1 * alone.norm())
