"""Runs of words found, held against a search by hand."""

import re
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heedful.data.ngrams import NUMBER_WORD, Index, Ngrams, Wholes, spread

WORDS = st.sampled_from(["a", "b", "c", "c3", "c45", "7", "12"])
TEXTS = st.lists(st.lists(WORDS | st.none(), max_size=12), min_size=1, max_size=6)
STREAM = st.lists(WORDS | st.just("never"), max_size=40)


def compared(words: Sequence[str | None]) -> tuple[list[str | None], list[int]]:
    """Words as they are compared, and their places, the slow way."""
    kept: list[str | None] = []
    places = []
    for place, word in enumerate(words):
        plain = word if word is None else re.sub(r"\d+", NUMBER_WORD, word)
        if plain != NUMBER_WORD or not kept or kept[-1] != NUMBER_WORD:
            kept.append(plain)
            places.append(place)
    return kept, places


@given(texts=TEXTS, stream=STREAM, n=st.integers(1, 6))
def test_ngrams_are_found_where_a_search_by_hand_finds_them(
    texts: list[list[str | None]], stream: list[str], n: int
) -> None:
    index = Index(texts)
    ngrams = Ngrams(index, n)
    plain = [compared(text)[0] for text in texts]
    names: dict[int, set[tuple[str | None, ...]]] = {}
    owned = {
        (tuple(text[i : i + n]), number)
        for number, text in enumerate(plain)
        for i in range(len(text) - n + 1)
        if None not in text[i : i + n]
    }
    assert ngrams.count == len({gram for gram, _ in owned})
    run = index.run(stream)
    words, places = compared(stream)
    assert run.places.tolist() == places
    finds = ngrams.find(index.levels(run.numbers))
    expected = [
        i
        for i in range(len(words) - n + 1)
        if tuple(words[i : i + n]) in {gram for gram, _ in owned}
    ]
    assert finds.places.tolist() == expected
    for place, name in zip(finds.places.tolist(), finds.what.tolist(), strict=True):
        names.setdefault(name, set()).add(tuple(words[place : place + n]))
        owners = set(ngrams.owners[ngrams.numbers == name].tolist())
        assert owners == {number for gram, number in owned if gram in names[name]}
    assert all(len(grams) == 1 for grams in names.values())


@given(texts=TEXTS, stream=STREAM)
def test_whole_texts_are_found_where_a_search_by_hand_finds_them(
    texts: list[list[str | None]], stream: list[str]
) -> None:
    index = Index(texts)
    words, _ = compared(stream)
    finds = Wholes(index, range(len(texts))).find(index.levels(index.run(stream).numbers))
    expected = {
        (place, number)
        for number, text in enumerate(compared(text)[0] for text in texts)
        if text and None not in text
        for place in range(len(words) - len(text) + 1)
        if words[place : place + len(text)] == text
    }
    found = list(zip(finds.places.tolist(), finds.what.tolist(), strict=True))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_number_stands_for_any_number() -> None:
    index = Index([["sold", "48", "clips"]])
    run = index.run(["he", "sold", "1", "250", "clips"])
    assert Wholes(index, [0]).find(index.levels(run.numbers)).places.tolist() == [1]
    assert run.places.tolist() == [0, 1, 2, 4]


def test_only_the_texts_asked_for_are_looked_for() -> None:
    index = Index([["a", "b"], ["b", "c"]])
    levels = index.levels(index.run(["a", "b", "c"]).numbers)
    assert Wholes(index, [1]).find(levels).what.tolist() == [1]


def test_an_index_of_nothing_finds_nothing() -> None:
    index = Index([])
    levels = index.levels(index.run(["a"]).numbers)
    assert len(index) == 0
    assert Ngrams(index, 2).find(levels).places.tolist() == []
    assert Wholes(index, []).find(levels).places.tolist() == []


def test_spread_counts_up_at_every_place() -> None:
    which, within = spread(np.array([2, 0, 3]))
    assert which.tolist() == [0, 0, 2, 2, 2]
    assert within.tolist() == [0, 1, 0, 1, 2]
