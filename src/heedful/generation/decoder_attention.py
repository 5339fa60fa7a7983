"""Attention of the decoder: one new token for each row, or prompts of ragged lengths.

Heads that share a key stand side by side as further query rows of one batched product.
Scores and probabilities have the compute type and the softmax is float32 inside, as in
`heedful.models.attention`. Prompts come as one run of tokens without padding; only here are
those of similar length put into rows, and no more of them at once than fit `_SCORES`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

_QUERIES = 512  # of a long prompt at once
_SCORES = 2**24  # attention scores at once
_FILLED = 0.75  # of a group's positions at least


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    hidden: Tensor,
    *,
    scaling: float,
    softcap: float | None,
) -> Tensor:
    """softmax(Q K^T + hidden) V.

    Args:
        query: `[n, queries, head_dim]`.
        key: `[n, keys, head_dim]`.
        value: As `key`.
        hidden: Zero where a key is seen, the lowest number where not; broadcastable to
            `[n, queries, keys]`.
        scaling: Multiplies the scores.
        softcap: Bounds the scores by a tanh, before `hidden` is added (Gemma 2).
    """
    if softcap is None:
        scores = torch.baddbmm(hidden, query, key.transpose(-1, -2), alpha=scaling)
    else:
        scores = torch.bmm(query, key.transpose(-1, -2)).mul_(scaling / softcap)
        scores = scores.tanh_().mul_(softcap).add_(hidden)
    return torch.bmm(scores.softmax(-1), value)


def hidden_columns(
    positions: Tensor, capacity: int, window: int | None, dtype: torch.dtype
) -> Tensor:
    """What the token of each row must not see: `[rows, capacity]`, see `attend`."""
    columns = torch.arange(capacity, device=positions.device)
    unseen = columns > positions[:, None]
    if window is not None:
        unseen |= columns <= positions[:, None] - window
    return _lowest_where(unseen, dtype)


def attend_one(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    hidden: Tensor,
    *,
    scaling: float,
    softcap: float | None,
) -> Tensor:
    """One query token for each row.

    Args:
        query: `[rows, heads, head_dim]`.
        keys: `[rows, groups, capacity, head_dim]`, contiguous.
        values: As `keys`.
        hidden: `[rows * groups, heads / groups, capacity]`.
        scaling: See `attend`.
        softcap: See `attend`.
    """
    rows, heads, head_dim = query.shape
    groups = keys.shape[1]
    mixed = attend(
        query.reshape(rows * groups, heads // groups, head_dim),
        keys.flatten(0, 1),
        values.flatten(0, 1),
        hidden,
        scaling=scaling,
        softcap=softcap,
    )
    return mixed.view(rows, heads * head_dim)


@dataclass(slots=True, kw_only=True)
class Group:
    """Prompts of similar lengths, side by side in a run of tokens.

    Each comes after the same `before` tokens, which are not in the run.
    """

    start: int  # of the group in the run
    stop: int
    members: slice  # of the prompts
    length: int  # of the longest
    before: int
    places: Tensor | None  # [n, length] into the run's part; None where all are as long
    real: Tensor | None  # where in the rows, laid end to end, the tokens are
    _hidden: dict[tuple[int | None, int, int], Tensor] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Prompts in the group."""
        return len(range(self.members.start, self.members.stop))

    def rows_of(self, run: Tensor) -> Tensor:
        """`[tokens, heads, head_dim]` of the whole run to `[n, heads, length, head_dim]`.

        Padded positions repeat a prompt's last token.
        """
        part = run[self.start : self.stop]
        if self.places is None:
            padded = part.view(self.number, self.length, *run.shape[1:])
        else:
            padded = part[self.places]
        return padded.transpose(1, 2)

    def run_of(self, rows: Tensor) -> Tensor:
        """`[n, length, width]` back to `[tokens of the group, width]`."""
        flat = rows.flatten(0, 1)
        return flat if self.real is None else flat[self.real]

    def hidden(self, like: Tensor, window: int | None, first: int, last: int) -> Tensor:
        """What queries `first` to `last` must not see of what is before them and of `last` keys."""
        name = (window, first, last)
        if name not in self._hidden:
            positions = torch.arange(first, last, device=like.device) + self.before
            self._hidden[name] = hidden_columns(positions, self.before + last, window, like.dtype)
        return self._hidden[name]


def group_prompts(
    lengths: Sequence[int], heads: int, device: torch.device, *, before: int = 0
) -> list[Group]:
    """Groups of prompts that come longest first; few padded, none too large to attend in.

    Args:
        lengths: Tokens of each in the run.
        heads: Of the queries.
        device: Where the run is.
        before: Tokens that all of them come after.
    """
    groups = []
    start = 0
    for members, length in _spans(lengths, heads, before):
        of_group = torch.tensor(lengths[members], device=device)
        stop = start + int(sum(lengths[members]))
        places = real = None
        if lengths[members.stop - 1] < length:
            columns = torch.arange(length, device=device)
            starts = of_group.cumsum(0) - of_group
            places = starts[:, None] + torch.minimum(columns, of_group[:, None] - 1)
            real = (columns < of_group[:, None]).flatten().nonzero().squeeze(1)
        groups.append(
            Group(
                start=start,
                stop=stop,
                members=members,
                length=length,
                before=before,
                places=places,
                real=real,
            )
        )
        start = stop
    return groups


def _spans(lengths: Sequence[int], heads: int, before: int) -> Iterator[tuple[slice, int]]:
    first = 0
    while first < len(lengths):
        length = lengths[first]
        most = max(1, _SCORES // (heads * min(length, _QUERIES) * (before + length)))
        last = first + 1
        while last < len(lengths) and last - first < most and lengths[last] >= _FILLED * length:
            last += 1
        yield slice(first, last), length
        first = last


def attend_prompts(
    group: Group,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    window: int | None,
    scaling: float,
    softcap: float | None,
) -> Tensor:
    """Causal attention within each prompt of a group, and to what is before it.

    Args:
        group: The prompts.
        query: `[n, heads, length, head_dim]`.
        keys: `[n, groups, before + length, head_dim]`.
        values: As `keys`.
        window: Tokens that a token sees, itself counted.
        scaling: See `attend`.
        softcap: See `attend`.

    Returns:
        `[tokens of the group, heads * head_dim]`.
    """
    number, heads, length, head_dim = query.shape
    shared = heads // keys.shape[1]
    keys, values = keys.flatten(0, 1), values.flatten(0, 1)
    parts = []
    for first in range(0, length, _QUERIES):
        last = min(first + _QUERIES, length)
        hidden = group.hidden(query, window, first, last).repeat(shared, 1)
        rows = query[:, :, first:last].reshape(len(keys), shared * (last - first), head_dim)
        seen = slice(group.before + last)
        mixed = attend(
            rows, keys[:, seen], values[:, seen], hidden, scaling=scaling, softcap=softcap
        )
        parts.append(mixed.view(number, heads, last - first, head_dim))
    together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    return group.run_of(together.transpose(1, 2).flatten(2))


def _lowest_where(unseen: Tensor, dtype: torch.dtype) -> Tensor:
    zeros = torch.zeros(unseen.shape, dtype=dtype, device=unseen.device)
    return zeros.masked_fill_(unseen, torch.finfo(dtype).min)
