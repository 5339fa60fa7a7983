"""Groups come apart at as few members as can be: held against trying every set."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.data.bridges import Separation, separate

NAMES = "abcdefghij"
LABELS = ("test", "train", "validation")
ties_of_few = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True), max_size=8
)
some_labels = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(LABELS), max_size=5)


def hang_together(
    ties: Iterable[Sequence[str]], labels: Mapping[str, str], left_out: Iterable[str]
) -> bool:
    """Whether a way leads between two labels over members that are new and remain.

    A tie of members with different labels leads nobody anywhere but its new members.
    """
    remaining = [[member for member in tie if member not in set(left_out)] for tie in ties]
    ends = [{labels[member] for member in tie if member in labels} for tie in remaining]
    if any(
        len(found) > 1 and set(tie) - set(labels)
        for found, tie in zip(ends, remaining, strict=True)
    ):
        return True
    ways = [tie for found, tie in zip(ends, remaining, strict=True) if len(found) < 2]
    for start, label in labels.items():
        reached = {start}
        while True:
            more = {name for tie in ways if reached & set(tie) for name in tie} - reached
            if not more:
                break
            reached |= more
        if any(labels.get(member, label) != label for member in reached):
            return True
    return False


def smallest_size(ties: Sequence[Sequence[str]], labels: Mapping[str, str]) -> int:
    """By trying every set of new members."""
    new = [name for name in NAMES if name not in labels]
    for size in range(len(new) + 1):
        for left_out in combinations(new, size):
            if not hang_together(ties, labels, left_out):
                return size
    raise AssertionError("without new members nothing new hangs together")


@given(ties=ties_of_few, labels=some_labels)
@settings(max_examples=300)
def test_as_few_as_can_be_are_left_out(ties: list[list[str]], labels: dict[str, str]) -> None:
    found = separate(ties, labels)
    left_out = set(found.bridges)
    assert not left_out & set(labels)
    assert not hang_together(ties, labels, left_out)
    fewest = smallest_size(ties, labels)
    num_labels = len(set(labels.values()))
    assert len(left_out) == fewest if num_labels < 3 else fewest <= len(left_out) <= 2 * fewest
    for member in left_out:
        assert hang_together(ties, labels, left_out - {member})


@given(ties=ties_of_few, labels=some_labels, seed=st.integers(0, 99))
def test_no_order_plays_a_part(ties: list[list[str]], labels: dict[str, str], seed: int) -> None:
    noise = random.Random(seed)
    shuffled = [noise.sample(tie, len(tie)) for tie in noise.sample(ties, len(ties))]
    again = dict(noise.sample(sorted(labels.items()), len(labels)))
    assert separate(shuffled, again) == separate(ties, labels)


@given(ties=ties_of_few, labels=some_labels)
def test_groups_hold_everybody_who_remains_under_one_label(
    ties: list[list[str]], labels: dict[str, str]
) -> None:
    found = separate(ties, labels)
    members = [member for group in found.groups for member in group]
    everybody = {member for tie in ties for member in tie}
    assert sorted(members) == sorted(everybody - set(found.bridges))
    for group in found.groups:
        assert len({labels[member] for member in group if member in labels}) <= 1
    for anchors in found.bridges.values():
        assert len({labels[member] for member in anchors}) == len(anchors) > 1


def test_the_smaller_side_of_a_tie_gives_way() -> None:
    # Ten new prompts of an old training user and three of an old test user, one organisation.
    train, test = [f"n{n}" for n in range(10)], [f"m{n}" for n in range(3)]
    ties = [["old-1", *train], ["old-2", *test], [*train, *test]]
    found = separate(ties, {"old-1": "train", "old-2": "test"})
    assert found.bridges == dict.fromkeys(test, ("old-1", "old-2"))
    assert found.groups == [sorted([*train, "old-1"]), ["old-2"]]


def test_of_equal_cuts_the_one_nearest_the_first_label_is_taken() -> None:
    ties = [["old-1", "a"], ["a", "b"], ["b", "old-2"]]
    found = separate(ties, {"old-1": "train", "old-2": "test"})
    assert found == Separation([["a", "old-1"], ["old-2"]], {"b": ("old-1", "old-2")})


def test_labelled_members_that_hang_together_stay_as_they_are() -> None:
    ties = [["old-1", "old-2", "new"], ["old-1", "other"]]
    found = separate(ties, {"old-1": "train", "old-2": "test"})
    assert found.bridges == {"new": ("old-1", "old-2")}
    assert found.groups == [["old-1", "other"], ["old-2"]]


def test_a_large_group_is_quick() -> None:
    noise = random.Random(0)
    names = [f"n{n}" for n in range(20_000)]
    ties = [noise.sample(names, 3) for _ in range(10_000)]
    labels = {name: noise.choice(LABELS) for name in names[:200]}
    started = time.monotonic()
    found = separate(ties, labels)
    assert found.bridges
    assert time.monotonic() - started < 20
