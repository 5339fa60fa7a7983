import pytest
import torch
from torch import Tensor

import heedful.generation.decoder_attention as module
from heedful.generation.decoder_attention import (
    attend_one,
    attend_prompts,
    group_prompts,
    hidden_columns,
)

CPU = torch.device("cpu")
HEADS, GROUPS, HEAD_DIM = 4, 2, 8
LENGTHS = (30, 29, 12, 12, 9, 1)


def reference(
    query: Tensor, keys: Tensor, values: Tensor, window: int | None, softcap: float | None
) -> Tensor:
    """The last query of `[T, heads, head_dim]`, one head at a time."""
    mixed = []
    for head in range(HEADS):
        shared = head // (HEADS // GROUPS)
        first = 0 if window is None else max(0, len(keys) - window)
        scores = keys[first:, shared] @ query[-1, head] * 0.3
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        mixed.append(scores.softmax(-1) @ values[first:, shared])
    return torch.cat(mixed)


@pytest.fixture
def run() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    tokens = sum(LENGTHS)
    return (
        torch.randn(tokens, HEADS, HEAD_DIM),
        torch.randn(tokens, GROUPS, HEAD_DIM),
        torch.randn(tokens, GROUPS, HEAD_DIM),
    )


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("window", [None, 1, 7])
@pytest.mark.parametrize("queries", [512, 8])
def test_prompts_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
    run: tuple[Tensor, Tensor, Tensor],
    queries: int,
    window: int | None,
    softcap: float | None,
) -> None:
    monkeypatch.setattr(module, "_QUERIES", queries)
    query, keys, values = run
    groups = group_prompts(LENGTHS, HEADS, CPU)
    ours = torch.cat(
        [
            attend_prompts(
                group,
                *(group.rows_of(part) for part in run),
                window=window,
                scaling=0.3,
                softcap=softcap,
            )
            for group in groups
        ]
    )
    assert len(ours) == sum(LENGTHS)
    start = 0
    for length in LENGTHS:
        for last in range(start + 1, start + length + 1):
            seen = slice(start, last)
            expected = reference(query[seen], keys[seen], values[seen], window, softcap)
            torch.testing.assert_close(ours[last - 1], expected, rtol=1e-5, atol=1e-5)
        start += length


def test_groups_are_full_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = group_prompts(LENGTHS, HEADS, CPU)
    assert [group.length for group in groups] == [30, 12, 1]
    assert [group.number for group in groups] == [2, 3, 1]
    assert [(group.start, group.stop) for group in groups] == [(0, 59), (59, 92), (92, 93)]
    assert groups[2].places is None
    monkeypatch.setattr(module, "_SCORES", 2 * HEADS * 12**2)
    groups = group_prompts(LENGTHS, HEADS, CPU)
    assert [group.number for group in groups] == [1, 1, 2, 1, 1]


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("window", [None, 7])
def test_one_token_for_each_row(
    run: tuple[Tensor, Tensor, Tensor], window: int | None, softcap: float | None
) -> None:
    lengths, capacity = (12, 3, 16), 16
    keys, values = (torch.randn(3, GROUPS, capacity, HEAD_DIM) for _ in range(2))
    query = torch.randn(3, HEADS, HEAD_DIM)
    of_rows = hidden_columns(torch.tensor(lengths) - 1, capacity, window, torch.float32)
    shared = HEADS // GROUPS
    hidden = of_rows[:, None, None].expand(-1, GROUPS, shared, -1).reshape(-1, shared, capacity)
    ours = attend_one(query, keys, values, hidden, scaling=0.3, softcap=softcap)
    for row, length in enumerate(lengths):
        held = (part[row, :, :length].transpose(0, 1) for part in (keys, values))
        expected = reference(query[row][None], *held, window, softcap)
        torch.testing.assert_close(ours[row], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hidden_columns_count_for_nothing(dtype: torch.dtype) -> None:
    hidden = hidden_columns(torch.tensor([2]), 5, None, dtype)
    assert (hidden + 80.0).softmax(-1)[0, 3:].tolist() == [0.0, 0.0]
