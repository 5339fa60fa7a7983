"""From token lists to the tensors of a training pass.

Rows are padded on the right, and lengths say what is real; token ids never do. The
order of the data is a function of (seed, epoch) alone, so that a resumed run needs no
memory of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """A prompt and a completion as token ids; the loss is on the completion.

    Pretraining text has its first token as the prompt.
    """

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Right-padded rows of prompt and completion."""

    input_ids: Int[Tensor, "B T"]
    prompt_lengths: Int[Tensor, " B"]
    completion_lengths: Int[Tensor, " B"]

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Of prompt and completion together."""
        return self.prompt_lengths + self.completion_lengths


def pad_rows(pairs: Sequence[TokenPair], pad_id: int, device: torch.device) -> Rows:
    """One row per pair, as wide as the longest."""
    width = max(len(pair) for pair in pairs)
    ids = np.full((len(pairs), width), pad_id, dtype=np.int64)
    for row, pair in enumerate(pairs):
        ids[row, : len(pair)] = [*pair.prompt_ids, *pair.completion_ids]
    return Rows(
        input_ids=torch.from_numpy(ids).to(device),
        prompt_lengths=torch.tensor([len(pair.prompt_ids) for pair in pairs], device=device),
        completion_lengths=torch.tensor(
            [len(pair.completion_ids) for pair in pairs], device=device
        ),
    )


def token_budget_groups(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Indices grouped by similar length, each group's padded size within `max_tokens`.

    A single row over the budget makes a group of its own. Longest first, so that the
    largest allocation comes first; equal lengths keep their order.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    groups: list[list[int]] = []
    for index in order:
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= max_tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def epoch_order(num_examples: int, seed: int, epoch: int) -> list[int]:
    """The order in which epoch `epoch` visits the examples."""
    return [int(i) for i in np.random.default_rng([seed, epoch]).permutation(num_examples)]


def stream_slice(num_examples: int, start: int, count: int, seed: int) -> list[int]:
    """Examples `start` to `start + count` of the endless stream of shuffled epochs."""
    chosen: list[int] = []
    position = start
    while len(chosen) < count:
        epoch, offset = divmod(position, num_examples)
        order = epoch_order(num_examples, seed, epoch)
        taken = order[offset : offset + count - len(chosen)]
        chosen += taken
        position += len(taken)
    return chosen


def pretraining_pairs(documents: Sequence[Sequence[int]], num_tokens: int) -> list[TokenPair]:
    """Cut tokenised documents into examples of `num_tokens`.

    A shorter rest is kept if it has at least a quarter of that.
    """
    pairs = []
    for document in documents:
        for start in range(0, len(document), num_tokens):
            piece = document[start : start + num_tokens]
            if len(piece) >= max(2, num_tokens // 4):
                pairs.append(TokenPair(prompt_ids=piece[:1], completion_ids=piece[1:]))
    return pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRow:
    """Several pairs side by side; each starts again at position 0 and sees only itself."""

    input_ids: list[int]
    position_ids: list[int]
    target_columns: list[int]


def pack(pairs: Sequence[TokenPair], row_tokens: int) -> list[PackedRow]:
    """First-fit decreasing into rows of at most `row_tokens`; longer pairs get their own row."""
    bins: list[list[TokenPair]] = []
    room: list[int] = []
    for pair in sorted(pairs, key=len, reverse=True):
        for index, free in enumerate(room):
            if len(pair) <= free:
                bins[index].append(pair)
                room[index] -= len(pair)
                break
        else:
            bins.append([pair])
            room.append(row_tokens - len(pair))
    rows = []
    for members in bins:
        ids: list[int] = []
        positions: list[int] = []
        targets: list[int] = []
        for pair in members:
            targets += range(len(ids) + len(pair.prompt_ids), len(ids) + len(pair))
            positions += range(len(pair))
            ids += [*pair.prompt_ids, *pair.completion_ids]
        rows.append(PackedRow(input_ids=ids, position_ids=positions, target_columns=targets))
    return rows
