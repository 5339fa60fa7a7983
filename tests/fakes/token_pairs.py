"""Pairs of token ids without text."""

from dataclasses import dataclass

import torch

from heedful.models.token_batch import TokenBatch, side_by_side


@dataclass(frozen=True)
class Pair:
    """A prompt and a completion."""

    prompt_ids: list[int]
    completion_ids: list[int]


def batch_of(ids: torch.Tensor, lengths: torch.Tensor) -> TokenBatch:
    """The first tokens of each row, as many as `lengths` says; the first of them the prompt."""
    rows = [row[:length] for row, length in zip(ids.tolist(), lengths.tolist(), strict=True)]
    return side_by_side([Pair(row[:1], row[1:]) for row in rows], torch.device("cpu"))
