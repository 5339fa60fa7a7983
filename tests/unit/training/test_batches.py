import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from heedful.training.batches import (
    TokenPair,
    epoch_order,
    pack,
    pad_rows,
    pretraining_pairs,
    stream_slice,
    token_budget_groups,
)

lengths = st.lists(st.integers(2, 40), min_size=1, max_size=30)


def pair_of(length: int, prompt_length: int = 1) -> TokenPair:
    ids = list(range(length))
    return TokenPair(prompt_ids=ids[:prompt_length], completion_ids=ids[prompt_length:])


def test_rows_are_padded_on_the_right():
    rows = pad_rows([pair_of(3, 2), pair_of(5, 1)], 99, torch.device("cpu"))
    assert rows.input_ids.tolist() == [[0, 1, 2, 99, 99], [0, 1, 2, 3, 4]]
    assert rows.prompt_lengths.tolist() == [2, 1]
    assert rows.completion_lengths.tolist() == [1, 4]
    assert rows.lengths.tolist() == [3, 5]


@given(lengths, st.integers(2, 100))
def test_groups_hold_every_row_once_within_the_budget(sizes: list[int], budget: int):
    groups = token_budget_groups(sizes, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(sizes)))
    for group in groups:
        widest = max(sizes[index] for index in group)
        assert widest * len(group) <= budget or len(group) == 1
    largest = [max(sizes[index] for index in group) for group in groups]
    assert largest == sorted(largest, reverse=True)


@given(lengths, st.integers(2, 100))
def test_packing_keeps_every_pair_whole(sizes: list[int], budget: int):
    pairs = [pair_of(size, 1 + size // 3) for size in sizes]
    rows = pack(pairs, budget)
    assert sum(len(row.input_ids) for row in rows) == sum(sizes)
    found = []
    for row in rows:
        starts = [place for place, position in enumerate(row.position_ids) if position == 0]
        assert len(row.input_ids) <= budget or len(starts) == 1
        for start, end in zip(starts, [*starts[1:], len(row.input_ids)], strict=True):
            assert row.position_ids[start:end] == list(range(end - start))
            targets = [column - start for column in row.target_columns if start <= column < end]
            ids = row.input_ids[start:end]
            found.append((ids, targets))
    expected = [(list(range(size)), list(range(1 + size // 3, size))) for size in sizes]
    assert sorted(found) == sorted(expected)


@given(st.integers(1, 50), st.integers(0, 9), st.integers(0, 3))
def test_an_epoch_is_a_permutation_that_seed_and_epoch_decide(count: int, seed: int, epoch: int):
    order = epoch_order(count, seed, epoch)
    assert sorted(order) == list(range(count))
    assert order == epoch_order(count, seed, epoch)


def test_epochs_and_seeds_differ():
    orders = [epoch_order(40, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(a != b for n, a in enumerate(orders) for b in orders[:n])


@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 30))
def test_a_slice_is_cut_from_the_epochs_one_after_the_other(count: int, start: int, size: int):
    epochs = np.concatenate([epoch_order(count, 5, epoch) for epoch in range(61)])
    assert stream_slice(count, start, size, 5) == epochs[start : start + size].tolist()


def test_pretraining_text_is_cut_and_a_long_rest_kept():
    pairs = pretraining_pairs([range(20), range(9), range(1)], 8)
    assert [(list(pair.prompt_ids), list(pair.completion_ids)) for pair in pairs] == [
        ([0], [1, 2, 3, 4, 5, 6, 7]),
        ([8], [9, 10, 11, 12, 13, 14, 15]),
        ([16], [17, 18, 19]),
        ([0], [1, 2, 3, 4, 5, 6, 7]),
    ]
