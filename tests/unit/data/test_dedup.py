"""Removing, joining and reporting by policies; input order never matters."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from graphlib import CycleError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.brute_dedup import bag_of_words, texts_of
from heedful.core.errors import ConfigError, DataError
from heedful.core.records import Prompt
from heedful.data.corpus import Corpus, Link
from heedful.data.dedup import (
    NUM_EXAMPLES,
    POLICIES,
    DedupReport,
    Removal,
    deduplicate,
    policy_by_name,
    removals,
)
from heedful.data.dedup_containment import Containment
from heedful.data.dedup_exact import Exact
from heedful.data.dedup_near import Near

SMALL_SETTINGS: dict[str, dict[str, object]] = {
    "exact": {},
    "containment": {"min_words": 2},
    "common-prefix": {"min_words": 2},
    "near": {"threshold": 0.7, "words_per_shingle": 2},
    "template": {"words_per_run": 2, "min_texts": 2, "min_words": 2},
    "paraphrase": {"embed": bag_of_words, "threshold": 0.9},
}


def prompt(name: str, text: str, day: int | None = None) -> Prompt:
    return Prompt(
        id=name,
        text_hash="-",
        instruction=text,
        source="test",
        user_id="u",
        consent=True,
        created_at=None if day is None else datetime(2026, 1, day, tzinfo=UTC),
    )


def prompts_of(texts: list[str]) -> list[Prompt]:
    """One a day, so that the canonical order is the order given; an empty text is a dot."""
    return [prompt(f"p{n}", text or ".", day=n + 1) for n, text in enumerate(texts)]


class FixedLinks:
    """A policy that finds these links, as far as both ends are there."""

    name = "fixed"

    def __init__(self, links: list[tuple[str, str]]) -> None:
        self.links = links

    def find(self, corpus: Corpus) -> list[Link]:
        places = {name: place for place, name in enumerate(corpus.ids)}
        return [
            Link(places[gone], places[of])
            for gone, of in self.links
            if gone in places and of in places
        ]


class OneAtATime(FixedLinks):
    """A policy that shows only the last of its links, as one that looks in part may."""

    def find(self, corpus: Corpus) -> list[Link]:
        return super().find(corpus)[-1:]


@pytest.mark.parametrize("name", list(POLICIES))
@given(texts=texts_of("ab7"), shuffling=st.randoms())
def test_after_removal_no_link_is_left_in_any_order(
    name: str, texts: list[str], shuffling: random.Random
) -> None:
    policy = policy_by_name(name, SMALL_SETTINGS[name])
    prompts = prompts_of(texts)
    result = deduplicate(prompts, remove=[policy])
    assert policy.find(Corpus.of(result.kept)) == []
    kept = {one.id for one in result.kept}
    assert kept | result.removed.keys() == {one.id for one in prompts}
    for gone, why in result.removed.items():
        assert why.policy == name
        while gone not in kept:
            gone = result.removed[gone].because_of
    shuffling.shuffle(prompts)
    assert deduplicate(prompts, remove=[policy]) == result


@given(
    links=st.sets(
        st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1])
    )
)
def test_a_place_goes_if_and_only_if_it_is_linked_to_one_that_stays(
    links: set[tuple[int, int]],
) -> None:
    try:
        because = removals([Link(*pair) for pair in links])
    except CycleError:
        return
    for place in range(8):
        staying = {of for mine, of in links if mine == place and of not in because}
        assert because.get(place) == min(staying, default=None)


def test_policies_run_one_after_the_other_on_what_is_left() -> None:
    longer = "one two three four five six seven eight nine"
    shorter = "one two three four five six seven eight"
    prompts = prompts_of([longer, longer.upper(), shorter, "something else"])
    result = deduplicate(prompts, remove=[Exact(), Containment()])
    assert result.removed == {"p1": Removal("exact", "p0"), "p0": Removal("containment", "p2")}
    assert [one.id for one in result.kept] == ["p2", "p3"]
    counts = [(count.name, count.action, count.num_removed) for count in result.report.policies]
    assert counts == [("exact", "remove", 1), ("containment", "remove", 1)]
    assert (result.report.num_in, result.report.num_out) == (4, 2)


def test_a_policy_is_asked_until_it_finds_nothing() -> None:
    policy = OneAtATime([("p1", "p0"), ("p2", "p1"), ("p3", "p2")])
    result = deduplicate(prompts_of(["a", "b", "c", "d"]), remove=[policy])
    assert result.removed == {name: Removal("fixed", of) for name, of in policy.links}
    assert result.report.policies[0].num_links == 3
    assert result.report.policies[0].num_clusters == 1


def test_what_is_joined_or_reported_stays() -> None:
    prompts = prompts_of(["a b c d", "a b c d", "a b c d", "e", "a b c d e f g h i"])
    result = deduplicate(prompts, join=[Exact()], report=[Exact(), Near()])
    assert len(result.kept) == 5
    assert result.removed == {}
    assert result.joined == [("p1", "p0"), ("p2", "p0")]
    joined, reported, _ = result.report.policies
    assert (joined.action, joined.num_links, joined.num_clusters) == ("join", 2, 1)
    assert (reported.action, reported.num_removed) == ("report", 0)
    assert joined.examples[0].kept_id == "p0"


def test_examples_show_different_prompts_as_they_are_written() -> None:
    texts = [text for n in range(9) for text in (f"Text {n}", f"TEXT {n}", f"text {n}")]
    prompts = prompts_of(texts)
    report = deduplicate(prompts, remove=[Exact()]).report
    examples = report.policies[0].examples
    assert len(examples) == NUM_EXAMPLES
    assert [(e.kept_text, e.removed_text) for e in examples[:2]] == [
        ("Text 0", "TEXT 0"),
        ("Text 1", "TEXT 1"),
    ]
    assert DedupReport.model_validate_json(report.model_dump_json()) == report


def test_the_earliest_stays_and_then_the_first_by_text_and_id() -> None:
    copies = [prompt("a", "x"), prompt("b", "x", day=9), prompt("c", "X", day=2)]
    assert deduplicate(copies, remove=[Exact()]).kept == [copies[2]]
    assert deduplicate([copies[0], prompt("A", "x")], remove=[Exact()]).kept[0].id == "A"


def test_two_prompts_of_one_id_are_an_error() -> None:
    with pytest.raises(DataError, match="1 prompts have the id of another"):
        deduplicate([prompt("a", "x"), prompt("a", "y")])


def test_links_in_a_circle_are_an_error() -> None:
    policy = FixedLinks([("p0", "p1"), ("p1", "p0")])
    with pytest.raises(ConfigError, match=r"'fixed' .* in a circle"):
        deduplicate(prompts_of(["a", "b"]), remove=[policy])


def test_a_policy_is_made_by_its_name() -> None:
    assert policy_by_name("near", {"threshold": 0.9}) == Near(threshold=0.9)
    made = policy_by_name("mine", {"links": []}, plugins={"mine": FixedLinks})
    assert isinstance(made, FixedLinks)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("exat", {}, r"(?s)no deduplication policy 'exat'.*Did you mean 'exact'"),
        ("qqqq", {}, "Choose from: common-prefix, containment, exact"),
        ("near", {"treshold": 0.9}, r"(?s)near: .*'treshold'.*threshold, words_per_shingle"),
        ("paraphrase", {}, "embed"),
    ],
)
def test_unknown_names_and_settings_are_errors(
    name: str, settings: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        policy_by_name(name, settings)


def prompts_of_any_day(texts: list[str]) -> list[Prompt]:
    return [prompt(f"p{n}", text) for n, text in enumerate(texts)]


def clean_texts(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of a few thousand words that have nothing in common but chance."""
    lengths = rng.integers(12, 60, count)
    return [" ".join(f"w{letters(n)}" for n in rng.zipf(1.3, length) % 5000) for length in lengths]


def letters(number: int) -> str:
    """A number in the letters a to j; digits would be slots of a template."""
    return str(number).translate(str.maketrans("0123456789", "abcdefghij"))


def test_nothing_is_found_in_a_clean_corpus() -> None:
    texts = clean_texts(np.random.default_rng(0), 2_000)
    policies = [policy_by_name(name) for name in POLICIES if name != "paraphrase"]
    found = deduplicate(prompts_of_any_day(texts), report=policies).report.policies
    assert {count.name: count.num_links for count in found} == dict.fromkeys(
        ("exact", "containment", "common-prefix", "near", "template"), 0
    )


@pytest.mark.parametrize(
    ("name", "plant"),
    [
        ("exact", lambda text: f"  {text.upper()}\n"),
        ("containment", lambda text: f"please help: {text} thank you"),
        ("common-prefix", lambda text: f"{text} and one more thing"),
        ("near", lambda text: f"please {text}"),
        ("template", lambda text: f"{text} in 17 words"),
    ],
)
def test_all_that_is_planted_is_found(name: str, plant: Callable[[str], str]) -> None:
    rng = np.random.default_rng(1)
    texts = [text for text in clean_texts(rng, 400) if len(text.split()) >= 25]
    if name == "template":
        texts = [f"{text} in 250 words" for text in texts]
    originals = prompts_of_any_day(texts)
    planted = [
        prompt(f"planted-{one.id}", plant(one.instruction.removesuffix(" in 250 words")))
        for one in originals
    ]
    result = deduplicate([*originals, *planted], remove=[policy_by_name(name)])
    assert {frozenset((gone, why.because_of)) for gone, why in result.removed.items()} == {
        frozenset((one.id, f"planted-{one.id}")) for one in originals
    }
