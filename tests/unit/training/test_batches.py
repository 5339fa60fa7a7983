from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.tiny_models import build_model
from heedful.models.loading import trunk_of
from heedful.training.batches import (
    Batcher,
    TokenPair,
    epoch_order,
    pretraining_pairs,
    shared_tokens,
    stream_slice,
)

lengths = st.lists(st.integers(2, 40), min_size=1, max_size=30)


def pair_of(length: int, prompt_length: int = 1) -> TokenPair:
    ids = list(range(length))
    return TokenPair(prompt_ids=ids[:prompt_length], completion_ids=ids[prompt_length:])


CPU = torch.device("cpu")


@cache
def both() -> dict[bool, Batcher]:
    trunk = trunk_of(build_model())
    found = {padded: Batcher(trunk, pad_id=0, device=CPU, max_tokens=1) for padded in (True, False)}
    assert found[False].note is None
    found[True].side_by_side = False
    return found


def batcher(max_tokens: int, *, padded: bool = False) -> Batcher:
    found = both()[padded]
    found.max_tokens = max_tokens
    return found


def test_the_model_decides_how_tokens_stand():
    trunk: Any = trunk_of(build_model())
    trunk.set_attn_implementation("eager")
    found = Batcher(trunk, trunk_of(build_model()), pad_id=9, device=CPU, max_tokens=8)
    assert found.note is not None
    assert "A LlamaModel reads rows padded" in found.note
    ids = found.batch([pair_of(3, 2), pair_of(5, 1)]).input_ids
    assert ids.tolist() == [[0, 1, 2, 9, 9], [0, 1, 2, 3, 4]]
    assert batcher(8).batch([pair_of(3, 2), pair_of(5, 1)]).input_ids.shape == (1, 8)


@settings(deadline=None)
@given(lengths, st.integers(2, 100), st.booleans())
def test_groups_hold_every_pair_once_within_the_budget(sizes: list[int], budget: int, padded: bool):
    pairs = [pair_of(size) for size in sizes]
    groups = batcher(budget, padded=padded).groups(pairs)
    assert sorted(index for group in groups for index in group) == list(range(len(sizes)))
    for group in groups:
        members = [sizes[index] for index in group]
        size = max(members) * len(members) if padded else sum(members)
        assert size <= budget or len(group) == 1
    largest = [max(sizes[index] for index in group) for group in groups]
    assert largest == sorted(largest, reverse=True)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 10, 20]), st.integers(1, 9)), min_size=1, max_size=20),
    st.integers(10, 100),
)
def test_completions_of_one_prompt_stay_together_and_count_it_once(
    shapes: list[tuple[int, int]], budget: int
):
    pairs = [pair_of(prompt + own, prompt) for prompt, own in shapes]
    found = batcher(budget)
    groups = found.groups(pairs)
    assert sorted(index for group in groups for index in group) == list(range(len(pairs)))
    for group in groups:
        members = [pairs[index] for index in group]
        size = found.batch(members).input_ids.numel()
        assert size == shared_tokens(members)
        assert size <= budget or len(group) == 1
    if shared_tokens(pairs) <= budget:
        assert len(groups) == 1


def test_units_stay_whole_within_the_budget():
    """The third is over it, and still not cut."""
    units = [[pair_of(size) for size in sizes] for sizes in ((9, 3), (4, 4, 4), (30, 2), (5, 5))]
    assert batcher(24).unit_groups(units) == [[2], [0, 3], [1]]
    assert batcher(24, padded=True).unit_groups(units) == [[2], [0], [3], [1]]


def test_tokens_that_a_pass_reads():
    pairs = [pair_of(12, 10), pair_of(15, 10), pair_of(4, 2), pair_of(5, 2)]
    assert batcher(9).num_tokens(pairs) == 10 + 2 + 5 + 4 + 5
    assert batcher(9, padded=True).num_tokens(pairs) == 36


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
