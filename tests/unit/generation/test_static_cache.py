import torch
from torch import Tensor

from heedful.generation.static_cache import BLOCK, StaticCache

GROUPS, WIDTH = 2, 3


def filled(rows: int, lengths: list[int]) -> StaticCache:
    """Every number written says its layer, row and column."""
    cache = StaticCache(
        layers=2, groups=GROUPS, head_dim=WIDTH, dtype=torch.float32, device=torch.device("cpu")
    )
    cache.reserve(rows, max(lengths))
    for layer in range(2):
        for row, length in enumerate(lengths):
            states = expected(layer, row, length)[None]
            cache.write_prompts(layer, torch.tensor([row]), states, -states)
    cache.end_prompts(torch.arange(rows), torch.tensor(lengths))
    return cache


def expected(layer: int, row: int, length: int) -> Tensor:
    columns = torch.arange(length) + 100 * row + 1000 * layer
    return columns[:, None].expand(GROUPS, -1, WIDTH).float()


def assert_holds(cache: StaticCache, row: int, original: int, length: int) -> None:
    assert cache.lengths[row] == length
    for layer in range(2):
        states = expected(layer, original, length)
        assert torch.equal(cache.keys[layer][row, :, :length], states)
        assert torch.equal(cache.values[layer][row, :, :length], -states)


def test_it_begins_empty() -> None:
    cache = filled(1, [0])
    assert (cache.rows, cache.capacity, cache.width) == (1, 0, 0)


def test_reserving_rounds_up_and_keeps_what_is_held() -> None:
    cache = filled(2, [3, 5])
    assert (cache.rows, cache.capacity, cache.width) == (2, BLOCK, 5)
    cache.reserve(4, BLOCK + 1)
    assert (cache.rows, cache.capacity, cache.width) == (4, 2 * BLOCK, 5)
    for row, length in enumerate([3, 5]):
        assert_holds(cache, row, row, length)
    assert cache.lengths.tolist() == [3, 5, 0, 0]
    assert all(block.is_contiguous() for block in (*cache.keys, *cache.values))


def test_reserving_what_there_is_moves_nothing() -> None:
    cache = filled(2, [3, 5])
    where = [block.data_ptr() for block in (*cache.keys, *cache.values, cache.lengths)]
    cache.reserve(1, 7)
    assert [b.data_ptr() for b in (*cache.keys, *cache.values, cache.lengths)] == where


def test_what_was_never_written_is_zero() -> None:
    """Probabilities of zero times anything else could be nan."""
    cache = filled(1, [2])
    assert not cache.values[0][:, :, 2:].any()


def test_trimming_gives_back_columns_and_keeps_what_is_held() -> None:
    cache = filled(2, [3, BLOCK + 1])
    cache.reserve(2, 5 * BLOCK)
    cache.trim(BLOCK + 1)
    assert (cache.rows, cache.capacity, cache.width) == (2, 2 * BLOCK, BLOCK + 1)
    assert_holds(cache, 0, 0, 3)
    assert_holds(cache, 1, 1, BLOCK + 1)
    assert all(block.is_contiguous() for block in (*cache.keys, *cache.values))
    cache.trim(4 * BLOCK)
    assert cache.capacity == 2 * BLOCK


def test_rows_are_copied() -> None:
    cache = filled(4, [3, 5, 1, 0])
    cache.copy_rows(torch.tensor([1, 1]), torch.tensor([0, 3]))
    for row, (original, length) in enumerate([(1, 5), (1, 5), (2, 1), (1, 5)]):
        assert_holds(cache, row, original, length)


def test_rows_are_dropped_and_reordered() -> None:
    cache = filled(4, [3, 5, 1, 2])
    cache.keep(torch.tensor([3, 0]))
    assert (cache.rows, cache.width) == (2, 3)
    assert_holds(cache, 0, 3, 2)
    assert_holds(cache, 1, 0, 3)
    cache.keep(torch.tensor([], dtype=torch.int64))
    assert (cache.rows, cache.width) == (0, 0)


def test_cleared_rows_hold_nothing() -> None:
    cache = filled(2, [3, 5])
    cache.clear(torch.tensor([1]))
    assert (cache.lengths.tolist(), cache.width) == ([3, 0], 3)


def test_a_token_goes_to_the_end_of_each_row() -> None:
    cache = filled(2, [3, 1])
    states = torch.arange(2 * GROUPS * WIDTH).view(2, GROUPS, WIDTH).float()
    places = cache.next_places()
    for layer in range(2):
        cache.write_tokens(layer, places, states, -states)
    cache.end_tokens()
    assert (cache.lengths.tolist(), cache.width) == ([4, 2], 4)
    for layer in range(2):
        for row, column in ((0, 3), (1, 1)):
            assert torch.equal(cache.keys[layer][row, :, column], states[row])
            assert torch.equal(cache.values[layer][row, :, column], -states[row])
            assert torch.equal(cache.keys[layer][row, :, :column], expected(layer, row, column))
