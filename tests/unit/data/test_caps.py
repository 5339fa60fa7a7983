"""Caps per user and per organisation, beside a plain twin."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import ConfigError
from heedful.core.records import Prompt
from heedful.data.caps import cap, drawn


def prompt(place: int, user: int, organisation: int | None) -> Prompt:
    return Prompt(
        id=f"p{place}",
        text_hash="-",
        instruction="x",
        source="test",
        user_id=f"u{user}",
        organisation=None if organisation is None else f"o{organisation}",
        consent=True,
    )


def first(prompts: list[Prompt], most: int, seed: int, key: Callable[[Prompt], str | None]) -> set:
    """Ids of the first `most` of each group by the draw; those of no group are all in."""
    groups: dict[str | None, list[Prompt]] = {}
    for one in prompts:
        groups.setdefault(key(one), []).append(one)
    return {
        one.id
        for name, members in groups.items()
        for one in sorted(members, key=lambda one: drawn(seed, one.id))[
            : None if name is None else most
        ]
    }


people = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 2))), max_size=20
)


@given(people, st.integers(1, 4), st.integers(1, 4), st.integers(0, 9), st.randoms())
def test_agrees_with_a_plain_twin_in_any_order(
    people: list[tuple[int, int | None]],
    per_user: int,
    per_organisation: int,
    seed: int,
    shuffling: random.Random,
) -> None:
    prompts = [prompt(place, *person) for place, person in enumerate(people)]
    of_users = first(prompts, per_user, seed, lambda one: one.user_id)
    through = [one for one in prompts if one.id in of_users]
    expected = first(through, per_organisation, seed, lambda one: one.organisation)
    shuffling.shuffle(prompts)
    capped = cap(prompts, per_user=per_user, per_organisation=per_organisation, seed=seed)
    assert {one.id for one in capped.kept} == expected
    assert capped.kept == [one for one in prompts if one.id in expected]
    assert capped.dropped == {
        one.id: "organisation" if one.id in of_users else "user"
        for one in prompts
        if one.id not in expected
    }


def test_another_seed_keeps_others() -> None:
    prompts = [prompt(place, 0, None) for place in range(40)]
    kept = [{one.id for one in cap(prompts, per_user=20, seed=seed).kept} for seed in (0, 1)]
    assert kept[0] != kept[1]


@pytest.mark.parametrize("caps", [{"per_user": 0}, {"per_organisation": -1}])
def test_caps_are_checked(caps: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="caps of"):
        cap([], **caps)
