"""`data.limit`: how much of the training data is used, chosen by the seed."""

from heedful.training.examples import limited

ITEMS = [f"item {number}" for number in range(20)]


def test_no_limit_and_a_large_one_take_everything_in_order() -> None:
    assert limited(ITEMS, None, seed=0) == ITEMS
    assert limited(ITEMS, 50, seed=0) == ITEMS


def test_a_limit_takes_so_many_in_their_order() -> None:
    found = limited(ITEMS, 7, seed=0)
    assert len(found) == 7
    assert found == sorted(found, key=ITEMS.index)


def test_a_larger_limit_takes_the_same_and_more() -> None:
    assert set(limited(ITEMS, 5, seed=3)) < set(limited(ITEMS, 12, seed=3))


def test_the_seed_decides_which() -> None:
    assert limited(ITEMS, 7, seed=0) == limited(ITEMS, 7, seed=0)
    assert limited(ITEMS, 7, seed=0) != limited(ITEMS, 7, seed=1)
