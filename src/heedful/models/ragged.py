"""Sequences side by side in one row, [1, N], without padding, and who sees whom there.

A transformer treats tokens alike everywhere but in attention, so nothing but attention needs
to know where a sequence ends: it gets the `Layout` by keyword, gathers its segments into rows
of similar length, and scatters what it found (`heedful.models.attention`). Pairs with the same
prompt share its tokens: they stand there once, and every completion sees them. Only the last
and the completion's positions are ever read, so nobody misses the copies.

How many sequences a batch takes is `heedful.training.batches`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SHARED_FROM = 8  # tokens; a shorter prompt is not worth segments of its own
_CLOSE = 0.8  # segments of one group differ in length by no more than this
_NEAR = 8  # or by no more than so many tokens


Steps = tuple[int, int]


class Segment(NamedTuple):
    """Tokens that see those before them, and all of `prefix_length` tokens elsewhere."""

    start: int
    length: int
    prefix_start: int = 0
    prefix_length: int = 0


@dataclass(slots=True)
class Group:
    """Segments of similar length, one after the other, as rows of attention.

    Attributes:
        queries: Length of the longest segment; shorter ones are padded with a token whose
            results nobody reads.
        keys: The same with the prefix.
    """

    segments: list[Segment]
    device: torch.device
    queries: int = field(init=False)
    keys: int = field(init=False)
    _cache: dict[Any, Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.queries = max(segment.length for segment in self.segments)
        self.keys = max(segment.prefix_length + segment.length for segment in self.segments)

    @property
    def start(self) -> int:
        """The first token."""
        return self.segments[0].start

    @property
    def stop(self) -> int:
        """The first token of the next group."""
        return self.segments[-1].start + self.segments[-1].length

    @property
    def plain(self) -> bool:
        """Whether no segment has a prefix: attention is causal."""
        return not any(segment.prefix_length for segment in self.segments)

    def _columns(self) -> tuple[Any, Any, Any, Any]:
        """start, length, prefix start and prefix length, each [B, 1]."""
        table = np.array(self.segments, dtype=np.int64)
        return table[:, 0:1], table[:, 1:2], table[:, 2:3], table[:, 3:4]

    def _kept(self, name: Any, build: Any) -> Tensor:
        if name not in self._cache:
            built = build()
            found = torch.from_numpy(built) if isinstance(built, np.ndarray) else built
            self._cache[name] = found.to(self.device)
        return self._cache[name]

    def query_places(self, heads: int, steps: Steps, origin: int = 0) -> Int[Tensor, " R"]:
        """Where each row's query stands among states; rows are [B, heads, queries].

        Args:
            heads: Of the states.
            steps: States from one token to the next, and from one head to the next.
            origin: The token that the states begin with.
        """

        def build() -> Any:
            start, length, _, _ = self._columns()
            offset = np.arange(self.queries)[None]
            tokens = np.where(offset < length, start + offset, self.start)
            return _spread(tokens - origin, heads, steps)

        return self._kept(("query", heads, steps, origin), build)

    def key_places(self, heads: int, steps: Steps) -> Int[Tensor, " R"]:
        """The same for keys: the prefix, then the segment, then padding."""

        def build() -> Any:
            start, length, prefix_start, prefix = self._columns()
            offset = np.arange(self.keys)[None]
            own = np.where(offset < prefix + length, start + offset - prefix, self.start)
            return _spread(np.where(offset < prefix, prefix_start + offset, own), heads, steps)

        return self._kept(("key", heads, steps), build)

    def padded_places(self, heads: int) -> Int[Tensor, " P"]:
        """Which rows of queries are padding."""

        def build() -> Any:
            _, length, _, _ = self._columns()
            padded = np.broadcast_to(np.arange(self.queries)[None] >= length, self._size)
            return np.flatnonzero(np.repeat(padded[:, None], heads, 1))

        return self._kept(("padded", heads), build)

    def token_rows(self, heads: int) -> Int[Tensor, " T"]:
        """The row of each query of this group, tokens outermost: [stop - start, heads]."""

        def build() -> Any:
            _, length, _, _ = self._columns()
            row, offset = np.nonzero(np.arange(self.queries)[None] < length)
            return _rows_of(row, offset, self.queries, heads)

        return self._kept(("token", heads), build)

    @property
    def _size(self) -> tuple[int, int]:
        return len(self.segments), self.queries

    def seen(self, window: int | None) -> Bool[Tensor, "B 1 Q K"]:
        """Which keys each query sees; one mask for all rows where they are alike."""

        def build() -> Any:
            prefix = self._columns()[3][:, None, None, :]
            if self.plain or (prefix == prefix[0]).all():
                prefix = prefix[:1]
            place = prefix + np.arange(self.queries)[None, None, :, None]
            key = np.arange(self.keys)[None, None, None]
            mask = key <= place
            return mask if window is None else mask & (key > place - window)

        return self._kept(("seen", window), build)

    def hidden(self, window: int | None, dtype: torch.dtype) -> Float[Tensor, "B 1 1 Q K"]:
        """The same to be added to scores: 0 where seen, the lowest number elsewhere."""

        def build() -> Any:
            seen = self.seen(window)[:, :, None]
            hidden = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
            return hidden.masked_fill_(~seen, torch.finfo(dtype).min)

        return self._kept(("hidden", window, dtype), build)

    def key_rows(self) -> tuple[Any, Any, Any]:
        """Token, row and column of every key that is not padding."""
        start, length, prefix_start, prefix = self._columns()
        offset = np.arange(self.keys)[None]
        tokens = np.where(offset < prefix, prefix_start + offset, start + offset - prefix)
        row, column = np.nonzero(offset < prefix + length)
        return tokens[row, column], row, column


class Layout:
    """Who sees whom in a row of tokens, or in a stretch of it.

    Args:
        groups: Of the stretch, one after the other.
        num_tokens: Of the whole row.
        device: Of the tokens.
    """

    def __init__(self, groups: Sequence[Group], num_tokens: int, device: torch.device) -> None:
        self.groups = list(groups)
        self.num_tokens = num_tokens
        self.start, self.stop = self.groups[0].start, self.groups[-1].stop
        self.shared = not all(group.plain for group in self.groups)
        self._device = device
        self._bags: dict[int, tuple[Tensor, Tensor]] = {}
        self._stretches: dict[int, list[Layout]] = {}

    @classmethod
    def of(cls, segments: Sequence[Segment], device: torch.device) -> Self:
        """The layout of a whole row: segments from token 0 on, similar ones side by side."""
        groups = [Group(members, device) for members in _similar(segments)]
        return cls(groups, groups[-1].stop, device)

    def stretches(self, longest: int) -> "list[Layout]":
        """Cut into runs of groups with at most `longest` keys, and of groups with more."""
        if longest not in self._stretches:
            runs = [list(run) for _, run in groupby(self.groups, lambda g: g.keys <= longest)]
            self._stretches[longest] = (
                [self]
                if len(runs) == 1
                else [Layout(run, self.num_tokens, self._device) for run in runs]
            )
        return self._stretches[longest]

    def key_bags(self, heads: int) -> tuple[Int[Tensor, " R"], Int[Tensor, " T"]]:
        """Rows of all groups' keys that each token is, and where a token's rows begin.

        Tokens outermost, [N, heads]; a prompt token that K completions see is K + 1 rows.
        """
        if heads not in self._bags:
            places, rows, base = [], [], 0
            for group in self.groups:
                token, row, column = group.key_rows()
                places.append(_places(token, heads))
                rows.append(base * heads + _rows_of(row, column, group.keys, heads))
                base += len(group.segments) * group.keys
            place = np.concatenate(places)
            order = np.argsort(place, kind="stable")
            counts = np.bincount(place, minlength=self.num_tokens * heads)
            self._bags[heads] = (
                torch.from_numpy(np.concatenate(rows)[order]).to(self._device),
                torch.from_numpy(np.cumsum(counts) - counts).to(self._device),
            )
        return self._bags[heads]


def _spread(tokens: Any, heads: int, steps: Steps) -> Any:
    """Places of [B, T] tokens' heads, as [B, heads, T], flat."""
    by_head = steps[1] * np.arange(heads)[None, :, None]
    return (tokens[:, None] * steps[0] + by_head).reshape(-1)


def _places(tokens: Any, heads: int) -> Any:
    """Places of tokens in [N * heads], heads innermost, flat."""
    return (tokens[:, None] * heads + np.arange(heads)[None]).reshape(-1)


def _rows_of(row: Any, column: Any, width: int, heads: int) -> Any:
    """Rows in [B, heads, width] of the entries (row, column), heads innermost, flat."""
    return ((row[:, None] * heads + np.arange(heads)[None]) * width + column[:, None]).reshape(-1)


def _similar(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Neighbours of similar length together; those with a prefix apart from those without."""

    def close(one: int, other: int) -> bool:
        longest, shortest = max(one, other), min(one, other)
        return shortest >= min(_CLOSE * longest, longest - _NEAR)

    groups: list[list[Segment]] = []
    for segment in segments:
        first = groups[-1][0] if groups else None
        if (
            first is not None
            and bool(first.prefix_length) == bool(segment.prefix_length)
            and close(segment.length, first.length)
            and close(segment.prefix_length, first.prefix_length)
        ):
            groups[-1].append(segment)
        else:
            groups.append([segment])
    return groups
