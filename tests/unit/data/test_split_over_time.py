"""Links, old assignments and quarantine: `place` against slow twins on small random sets."""

import random
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.core.errors import ConfigError, DataError
from heedful.core.records import Prompt, Split
from heedful.data.split import Shares, place
from heedful.data.split_proof import prove_split

MakePrompt = Callable[..., Prompt]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHARES: Shares = (("train", 0.5), ("validation", 0.2), ("test", 0.3))
rows = st.lists(
    st.tuples(
        st.integers(0, 7), st.none() | st.integers(0, 5), st.sampled_from([None, None, *SPLITS])
    ),
    max_size=16,
)
pairs = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=8)
Rows = list[tuple[int, int | None, Split | None]]
Pairs = list[tuple[int, int]]


def build(make_prompt: MakePrompt, values: Rows) -> list[Prompt]:
    return [
        make_prompt(
            f"text {number}",
            id=f"p{number:02}",
            user_id=f"u{user}",
            organisation=None if organisation is None else f"o{organisation}",
            split=split,
        )
        for number, (user, organisation, split) in enumerate(values)
    ]


def named(links: Pairs) -> list[tuple[str, str]]:
    return [(f"p{one:02}", f"p{other:02}") for one, other in links]


def bound(one: Prompt, other: Prompt, links: list[tuple[str, str]]) -> bool:
    return (
        one.user_id == other.user_id
        or (one.organisation is not None and one.organisation == other.organisation)
        or (one.id, other.id) in links
        or (other.id, one.id) in links
    )


def components(prompts: list[Prompt], links: list[tuple[str, str]]) -> list[set[str]]:
    """By joining whatever is bound until nothing changes."""
    groups = [{prompt.id} for prompt in prompts]
    by_id = {prompt.id: prompt for prompt in prompts}
    merged = True
    while merged:
        merged = False
        for left, right in product(groups, groups):
            if left is not right and any(
                bound(by_id[one], by_id[other], links) for one, other in product(left, right)
            ):
                left |= right
                groups.remove(right)
                merged = True
                break
    return groups


@given(values=rows, links=pairs, seed=st.integers(0, 3))
def test_without_old_prompts_components_stay_whole_and_nothing_is_quarantined(
    make_prompt: MakePrompt, values: Rows, links: Pairs, seed: int
) -> None:
    prompts = build(make_prompt, [(user, organisation, None) for user, organisation, _ in values])
    found = place(prompts, links=named(links), shares=SHARES, seed=seed)
    assert found.quarantined == []
    split_of = {prompt.id: prompt.split for prompt in found.prompts}
    assert list(split_of) == [prompt.id for prompt in prompts]
    twin = components(prompts, named(links))
    assert all(len({split_of[name] for name in group}) == 1 for group in twin)
    assert found.num_groups == len(twin)
    assert found.largest_group == max(map(len, twin), default=0)
    assert prove_split(found.prompts, named(links), shares=dict(SHARES)).holds
    for split, share in SHARES:
        count = sum(placed == split for placed in split_of.values())
        assert abs(count - share * len(prompts)) <= len(SHARES) * found.largest_group


@given(values=rows, links=pairs)
@settings(max_examples=300)
def test_old_prompts_never_move_and_what_hangs_together_follows(
    make_prompt: MakePrompt, values: Rows, links: Pairs
) -> None:
    prompts = build(make_prompt, values)
    by_id = {prompt.id: prompt for prompt in prompts}
    found = place(prompts, links=named(links), shares=SHARES)
    placed = {prompt.id: prompt for prompt in found.prompts}
    quarantined = {item.prompt.id for item in found.quarantined}
    assert placed.keys() | quarantined == by_id.keys()
    assert not placed.keys() & quarantined
    assert all(placed[p.id].split == p.split for p in prompts if p.split is not None)
    # No new prompt shares anything with another split.
    for one, other in product(placed.values(), placed.values()):
        is_new = by_id[one.id].split is None
        if is_new and bound(one, other, named(links)):
            assert one.split == other.split
    for item in found.quarantined:
        assert item.prompt == by_id[item.prompt.id]
        reasons = {by_id[name].split for name in item.because_of}
        assert len(reasons) == len(item.because_of) > 1
        assert None not in reasons
    # Nobody is quarantined whose component has one old split only.
    for group in components(prompts, named(links)):
        if len({by_id[name].split for name in group} - {None}) < 2:
            assert not group & quarantined


@given(values=rows, links=pairs, seed=st.integers(0, 99))
def test_the_order_of_prompts_and_links_makes_no_difference(
    make_prompt: MakePrompt, values: Rows, links: Pairs, seed: int
) -> None:
    noise = random.Random(seed)
    prompts = build(make_prompt, values)
    found = place(prompts, links=named(links), shares=SHARES)
    again = place(
        noise.sample(prompts, len(prompts)),
        links=[(other, one) for one, other in noise.sample(named(links), len(links))],
        shares=SHARES,
    )
    assert {p.id: p.split for p in again.prompts} == {p.id: p.split for p in found.prompts}
    assert again.quarantined == found.quarantined


@given(values=rows, more=rows)
def test_a_second_round_keeps_the_first(make_prompt: MakePrompt, values: Rows, more: Rows) -> None:
    first = build(make_prompt, [(user, organisation, None) for user, organisation, _ in values])
    old = place(first, shares=SHARES).prompts
    both = build(make_prompt, [(user, place_, None) for user, place_, _ in [*values, *more]])
    found = place(both, old=old, shares=SHARES)
    now = {prompt.id: prompt.split for prompt in found.prompts}
    assert all(now[prompt.id] == prompt.split for prompt in old)
    assert prove_split(found.prompts, [], shares=dict(SHARES), old=old).holds


def test_an_old_prompt_that_is_gone_still_holds_its_user(make_prompt: MakePrompt) -> None:
    gone = make_prompt("old", id="old", user_id="u", split="test")
    new = [make_prompt(f"new {n}", id=f"n{n}", user_id="u") for n in range(5)]
    found = place(new, old=[gone], shares=SHARES)
    assert {prompt.split for prompt in found.prompts} == {"test"}
    linked = make_prompt("near", id="near", user_id="v")
    found = place([linked], old=[gone], links=[("near", "old")], shares=SHARES)
    assert [prompt.split for prompt in found.prompts] == ["test"]
    assert (found.num_groups, found.largest_group) == (1, 1)


def test_old_prompts_fill_their_shares_first(make_prompt: MakePrompt) -> None:
    old = [make_prompt(f"old {n}", id=f"o{n}", user_id=f"o{n}", split="train") for n in range(50)]
    new = [make_prompt(f"new {n}", id=f"n{n}", user_id=f"n{n}") for n in range(50)]
    found = place([*old, *new], shares=(("train", 0.6), ("validation", 0.1), ("test", 0.3)))
    splits = [prompt.split for prompt in found.prompts]
    assert [splits.count(split) for split in SPLITS] == [60, 10, 30]


def test_old_prompts_that_leak_stay_and_the_proof_says_so(make_prompt: MakePrompt) -> None:
    old = [
        make_prompt("a", id="a", user_id="u", split="train"),
        make_prompt("b", id="b", user_id="u", split="test"),
    ]
    new = make_prompt("c", id="c", user_id="u")
    found = place([*old, new], shares=SHARES)
    assert found.prompts == old
    (item,) = found.quarantined
    assert (item.prompt, item.because_of) == (new, ("a", "b"))
    assert prove_split(found.prompts, [], shares=dict(SHARES)).shared_users == ("u",)


def test_what_cannot_be(make_prompt: MakePrompt) -> None:
    now, then = (make_prompt("a", id="a", split=split) for split in ("train", "test"))
    with pytest.raises(DataError, match="prompt a is in train, and was in test earlier"):
        place([now], old=[then])
    with pytest.raises(ConfigError, match="earlier prompts are in test, which has no share"):
        place([], old=[then], shares=(("train", 1.0),))
