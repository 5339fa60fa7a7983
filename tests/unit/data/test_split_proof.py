"""The proof finds every planted leak, and nothing where there is none."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import DataError
from heedful.core.records import Prompt, Split
from heedful.data.split_proof import SplitProof, prove_split

MakePrompt = Callable[..., Prompt]
SHARES: dict[Split, float] = {"train": 0.5, "test": 0.5}


def pair(make_prompt: MakePrompt, **second: object) -> list[Prompt]:
    first = make_prompt("One  text", id="a", user_id="u", organisation="o", split="train")
    fields = {"id": "b", "user_id": "v", "organisation": "p", "split": "test"}
    return [first, make_prompt(str(second.pop("text", "another")), **{**fields, **second})]


def test_a_split_that_does_not_leak(make_prompt: MakePrompt) -> None:
    proof = prove_split(pair(make_prompt), [("a", "gone"), ("gone", "b")], shares=SHARES)
    assert proof.holds
    assert proof.num_prompts == proof.num_users == proof.num_organisations
    assert proof.num_prompts == {"train": 1, "test": 1}
    assert proof.num_links == 0
    assert proof.summary() == (
        "train 1 (50.0 %, wanted 50.0 %), test 1 (50.0 %, wanted 50.0 %); in two splits: 0 users, "
        "0 organisations, 0 exact and 0 near duplicates."
    )


@pytest.mark.parametrize(
    ("planted", "field", "value"),
    [
        ({"user_id": "u"}, "shared_users", ("u",)),
        ({"organisation": "o"}, "shared_organisations", ("o",)),
        ({"text": "one TEXT"}, "shared_texts", (("a", "b"),)),
    ],
)
def test_a_leak_shows(
    make_prompt: MakePrompt, planted: dict[str, str], field: str, value: object
) -> None:
    proof = prove_split(pair(make_prompt, **planted), [], shares=SHARES)
    assert not proof.holds
    assert getattr(proof, field) == value


def test_links_between_splits_show(make_prompt: MakePrompt) -> None:
    proof = prove_split(pair(make_prompt), [("b", "a"), ("a", "b")], shares=SHARES)
    assert (proof.shared_near, proof.num_links) == ((("a", "b"),), 1)
    assert not proof.holds


def test_what_was_placed_earlier_must_share_nothing_either(make_prompt: MakePrompt) -> None:
    now, earlier = pair(make_prompt, user_id="u")
    proof = prove_split([now], [("a", "b")], shares=SHARES, old=[earlier])
    assert proof.shared_users == ("u",)
    assert proof.shared_near == (("a", "b"),)
    assert proof.num_prompts == {"train": 1, "test": 0}
    moved = prove_split([now], [], shares=SHARES, old=[now.model_copy(update={"split": "test"})])
    assert moved.shared_texts == (("a", "a"),)


def test_every_prompt_is_split(make_prompt: MakePrompt) -> None:
    with pytest.raises(DataError, match="prompt a is not split"):
        prove_split([make_prompt("x", id="a")], [], shares=SHARES)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["train", "test"])),
        max_size=12,
    )
)
def test_counts_are_those_of_a_comparison_of_all_pairs(
    make_prompt: MakePrompt, rows: list[tuple[int, int, Split]]
) -> None:
    prompts = [
        make_prompt(f"text {text}", id=f"p{n}", user_id=f"u{user}", split=split)
        for n, (user, text, split) in enumerate(rows)
    ]
    proof: SplitProof = prove_split(prompts, [], shares=SHARES)
    pairs = [(a, b) for a in prompts for b in prompts if a.split != b.split]
    assert set(proof.shared_users) == {a.user_id for a, b in pairs if a.user_id == b.user_id}
    assert bool(proof.shared_texts) == any(a.instruction == b.instruction for a, b in pairs)
