"""From token lists to the batches of a training pass.

A batch holds as many pairs as fit into `model.microbatch_tokens`; how they stand in it is
`heedful.models.token_batch`'s. The order of the data is a function of (seed, epoch) alone, so
that a resumed run needs no memory of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from heedful.models.ragged import SHARED_FROM
from heedful.models.token_batch import (
    TokenBatch,
    padded_rows,
    side_by_side,
    takes_side_by_side,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """A prompt and a completion as token ids; the loss is on the completion.

    Pretraining text has its first token as the prompt.
    """

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


class Batcher:
    """Pairs as batches that the models of a run can take, within a budget of tokens.

    Args:
        trunks: Side by side only where all of them can read tokens that way; else in rows
            padded on the right, whose padding counts.
        pad_id: Fills such rows; never read.
        device: Of the batches.
        max_tokens: In one batch; may be changed between passes.
    """

    def __init__(self, *trunks: Any, pad_id: int, device: torch.device, max_tokens: int) -> None:
        strangers = [type(trunk).__name__ for trunk in trunks if not takes_side_by_side(trunk)]
        self.side_by_side = not strangers
        self.note = (
            f"A {strangers[0]} reads rows padded to the longest: its attention is its own."
            if strangers
            else None
        )
        self.max_tokens = max_tokens
        self._pad_id, self._device = pad_id, device

    def batch(self, pairs: Sequence[TokenPair]) -> TokenBatch:
        """All of `pairs` at once, whatever their size."""
        if self.side_by_side:
            return side_by_side(pairs, self._device)
        return padded_rows(pairs, self._pad_id, self._device)

    def batches(self, pairs: Sequence[TokenPair]) -> Iterator[tuple[list[int], TokenBatch]]:
        """`pairs` within the budget: which of them, and their batch."""
        for group in self.groups(pairs):
            yield group, self.batch([pairs[index] for index in group])

    def num_tokens(self, pairs: Sequence[TokenPair]) -> int:
        """Tokens of `pairs` that a pass reads, padding not counted."""
        return shared_tokens(pairs) if self.side_by_side else sum(map(len, pairs))

    def groups(self, pairs: Sequence[TokenPair]) -> list[list[int]]:
        """Indices of the pairs of each batch; pairs with one prompt stay together if they can."""
        units = self._of_one_prompt(pairs)
        grouped = self.unit_groups([[pairs[index] for index in unit] for unit in units])
        return [[index for unit in group for index in units[unit]] for group in grouped]

    def unit_groups(self, units: Sequence[Sequence[TokenPair]]) -> list[list[int]]:
        """Indices of the units of each batch; a unit is never cut.

        One over the budget makes a batch of its own. Longest first, so that the largest
        allocation comes first and neighbours are alike; equal ones keep their order.
        """
        widths = [max(map(len, unit)) for unit in units]
        order = sorted(range(len(units)), key=lambda index: -widths[index])
        groups: list[list[int]] = []
        rows = tokens = 0
        for index in order:
            rows += len(units[index])
            tokens += shared_tokens(units[index])
            size = tokens if self.side_by_side or not groups else rows * widths[groups[-1][0]]
            if groups and size <= self.max_tokens:
                groups[-1].append(index)
            else:
                groups.append([index])
                rows, tokens = len(units[index]), shared_tokens(units[index])
        return groups

    def _of_one_prompt(self, pairs: Sequence[TokenPair]) -> list[list[int]]:
        """Pairs that could share a prompt, cut where they would not fit the budget."""
        units: list[list[int]] = []
        open_units: dict[tuple[int, ...], tuple[list[int], int]] = {}
        for index, pair in enumerate(pairs):
            prompt, own = tuple(pair.prompt_ids), len(pair.completion_ids)
            unit, size = open_units.get(prompt, ([], 0))
            shares = self.side_by_side and len(prompt) >= SHARED_FROM
            if shares and unit and size + own <= self.max_tokens:
                unit.append(index)
                open_units[prompt] = (unit, size + own)
            else:
                units.append([index])
                open_units[prompt] = (units[-1], len(pair))
        return units


def shared_tokens(pairs: Sequence[TokenPair]) -> int:
    """Tokens of `pairs` side by side, those of a shared prompt counted once."""
    met: set[tuple[int, ...]] = set()
    total = 0
    for pair in pairs:
        prompt = tuple(pair.prompt_ids)
        total += len(pair.completion_ids)
        if len(prompt) < SHARED_FROM or prompt not in met:
            total += len(prompt)
            met.add(prompt)
    return total


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
