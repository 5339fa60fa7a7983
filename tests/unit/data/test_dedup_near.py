"""The near policy beside its brute-force twin, and in crowds."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.brute_dedup import corpus_of, greedy, groups, pairs, texts_of
from heedful.core.errors import ConfigError
from heedful.data.corpus import Corpus, Link
from heedful.data.dedup_near import Near


def shingles(text: str, size: int) -> set[tuple[str, ...]]:
    found = text.split()
    return {tuple(found[place : place + size]) for place in range(len(found) - size + 1)}


def twin(corpus: Corpus, threshold: float, size: int) -> set[Link]:
    """Every pair of texts that are similar enough."""
    sets = [shingles(text, size) for text in corpus.texts]
    return pairs(
        len(corpus),
        lambda place, of: (
            bool(sets[place] | sets[of])
            and len(sets[place] & sets[of]) >= threshold * len(sets[place] | sets[of])
        ),
    )


# At a threshold of 0.9 the chance to miss a pair is below 1 in 3 million.
@given(texts_of("ab", max_words=14), st.sampled_from([0.9, 1.0]), st.integers(1, 3))
def test_agrees_with_every_pair_compared(texts: list[str], threshold: float, size: int) -> None:
    corpus = corpus_of(texts)
    expected = twin(corpus, threshold, size)
    links = Near(threshold=threshold, words_per_shingle=size).find(corpus)
    assert set(links) <= expected
    assert groups(len(texts), links) == groups(len(texts), expected)
    assert greedy(len(texts), links) == greedy(len(texts), expected)


@given(texts_of("ab", max_words=14), st.sampled_from([0.3, 0.5, 0.8]))
def test_no_link_is_false(texts: list[str], threshold: float) -> None:
    corpus = corpus_of(texts)
    assert set(Near(threshold=threshold).find(corpus)) <= twin(corpus, threshold, 3)


def random_text(rng: np.random.Generator, count: int) -> list[str]:
    return [f"w{number}" for number in rng.integers(0, 5000, count)]


def edited(rng: np.random.Generator, text: list[str]) -> list[str]:
    changed = list(text)
    changed[rng.integers(len(text))] = "changed"
    return changed


def test_nearly_all_planted_copies_are_found() -> None:
    rng = np.random.default_rng(0)
    originals = [random_text(rng, rng.integers(29, 60)) for _ in range(2_000)]
    copies = [edited(rng, text) for text in originals]
    links = Near().find(corpus_of([" ".join(text) for text in [*originals, *copies]]))
    assert all(place - of == len(originals) for place, of in links)
    assert len(links) >= 0.995 * len(copies)


def test_texts_that_share_a_template_are_told_apart_from_copies() -> None:
    # A crowd: the similarity of any two is 0.76, just too little, of the copies 0.82.
    rng = np.random.default_rng(0)
    head = random_text(rng, 28)
    originals = [[*head, f"a{n}", f"b{n}", f"c{n}", f"d{n}"] for n in range(2_000)]
    copies = [[*text[:-1], f"z{n}"] for n, text in enumerate(originals[:100])]
    links = Near().find(corpus_of([" ".join(text) for text in [*originals, *copies]]))
    found = {place for place, of in links if place - of == len(originals)}
    assert all(place >= len(originals) for place, _ in links)
    assert len(found) >= 90


@pytest.mark.parametrize("num_values", [1, 4, 8])
def test_a_crowd_takes_time_by_its_texts_and_not_by_its_pairs(num_values: int) -> None:
    rng = np.random.default_rng(0)
    head = random_text(rng, 32 - num_values)

    def seconds_a_text(count: int) -> float:
        texts = [" ".join([*head, *random_text(rng, num_values)]) for _ in range(count)]
        began = time.process_time()
        Near().find(corpus_of(texts))
        return (time.process_time() - began) / count

    few = min(seconds_a_text(500) for _ in range(2))
    assert seconds_a_text(4_000) < 4 * few


@pytest.mark.parametrize("settings", [{"threshold": 0}, {"threshold": 1.1}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="near: threshold"):
        Near(**settings)
