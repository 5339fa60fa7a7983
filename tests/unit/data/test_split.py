"""Splits by user, organisation and text."""

import hashlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import ConfigError, DataError
from heedful.core.records import Prompt
from heedful.data.embedded_data import embedded_prompts
from heedful.data.split import report_split, split_by_organisation, with_splits

MakePrompt = Callable[..., Prompt]
rows = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.integers(0, 4), st.integers(0, 20)), max_size=40
)


def build(make_prompt: MakePrompt, values: list[tuple[int, int | None, int]]) -> list[Prompt]:
    return [
        make_prompt(
            f"text {text}",
            id=f"p{place}",
            user_id=f"u{user}",
            organisation=None if organisation is None else f"o{organisation}",
        )
        for place, (user, organisation, text) in enumerate(values)
    ]


@given(values=rows, seed=st.integers(0, 3))
def test_nothing_is_shared_and_the_order_makes_no_difference(
    make_prompt: MakePrompt, values: list[tuple[int, int | None, int]], seed: int
) -> None:
    prompts = build(make_prompt, values)
    placed, report = split_by_organisation(prompts, seed=seed)
    assert [prompt.model_copy(update={"split": None}) for prompt in placed] == prompts
    assert not report.leaks
    assert sum(report.num_prompts.values()) == len(prompts)
    shuffled = random.Random(seed).sample(prompts, len(prompts))
    again, _ = split_by_organisation(shuffled, seed=seed)
    assert {item.id: item.split for item in again} == {item.id: item.split for item in placed}


def test_the_shares_are_met(make_prompt: MakePrompt) -> None:
    prompts = build(make_prompt, [(user, None, user) for user in range(1000)])
    _, report = split_by_organisation(prompts)
    assert report.num_prompts == {"train": 600, "validation": 100, "test": 300}
    assert (report.num_groups, report.largest_group) == (1000, 1)
    one, _ = split_by_organisation(prompts, seed=1)
    two, _ = split_by_organisation(prompts, seed=2)
    assert [item.split for item in one] != [item.split for item in two]


def test_a_share_of_nothing_gets_nothing(make_prompt: MakePrompt) -> None:
    prompts = build(make_prompt, [(user, None, user) for user in range(7)])
    _, report = split_by_organisation(prompts, shares=(("train", 1.0), ("validation", 0.0)))
    assert report.num_prompts == {"train": 7, "validation": 0}
    assert "validation 0 prompts of 0 users" in report.summary()


def test_chains_hold_together(make_prompt: MakePrompt) -> None:
    # One user in two organisations, and a text that a third user wrote too.
    prompts = build(make_prompt, [(0, 0, 0), (0, 1, 1), (1, 1, 2), (2, None, 2), (3, None, 3)])
    placed, report = split_by_organisation(prompts, shares=(("train", 0.5), ("test", 0.5)))
    assert len({prompt.split for prompt in placed[:4]}) == 1
    assert (report.num_groups, report.largest_group) == (2, 4)


def test_a_leak_is_reported(make_prompt: MakePrompt) -> None:
    one, two = build(make_prompt, [(0, 0, 0), (0, 0, 0)])
    splits = [one.model_copy(update={"split": "train"}), two.model_copy(update={"split": "test"})]
    report = report_split(splits)
    assert report.leaks
    assert report.shared_users == ("u0",)
    assert report.shared_organisations == ("o0",)
    assert report.shared_texts == (one.text_hash,)
    assert "in two splits: 1 users, 1 organisations, 1 texts" in report.summary()


def test_impossible_shares(make_prompt: MakePrompt) -> None:
    with pytest.raises(ConfigError, match="do not sum to 1"):
        split_by_organisation([], shares=(("train", 0.6), ("test", 0.6)))
    with pytest.raises(ConfigError, match="each split once"):
        split_by_organisation([], shares=(("train", 0.5), ("train", 0.5)))


def test_a_split_of_the_datas_own_is_kept(make_prompt: MakePrompt) -> None:
    own = [make_prompt("a", id="p0", split="test"), make_prompt("b", id="p1", split="train")]
    assert with_splits(own, 0.5, seed=0) == {prompt.id: prompt for prompt in own}


def test_without_one_a_share_of_the_users_is_held_out(make_prompt: MakePrompt) -> None:
    plain = [make_prompt(f"text {n}", id=f"p{n}", user_id=f"u{n}") for n in range(20)]
    found = with_splits(plain, 0.25, seed=0)
    assert list(found) == [prompt.id for prompt in plain]
    splits = [prompt.split for prompt in found.values()]
    assert (splits.count("train"), splits.count("validation")) == (15, 5)
    assert {prompt.split for prompt in with_splits(plain, 0.0, seed=0).values()} == {"train"}


def test_a_split_that_only_some_prompts_name_is_an_error(make_prompt: MakePrompt) -> None:
    some = [make_prompt("a", id="p0", split="train"), make_prompt("b", id="p1")]
    with pytest.raises(DataError, match="1 of 2 prompts name a split"):
        with_splits(some, 0.1, seed=0)


FROZEN = {0: "3f61c20f7bc8b63d", 1: "0202a51c4b4d1091", 7: "574900f43e8a3af1"}


@pytest.mark.parametrize(("seed", "digest"), FROZEN.items())
def test_the_split_of_the_embedded_prompts_is_frozen(seed: int, digest: str) -> None:
    placed, _ = split_by_organisation(embedded_prompts(), seed=seed)
    lines = "\n".join(f"{prompt.id} {prompt.split}" for prompt in placed)
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == digest
