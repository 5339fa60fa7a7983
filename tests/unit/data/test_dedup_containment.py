"""The containment policy beside its brute-force twin, and on corpora made to be slow."""

import time
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.brute_dedup import corpus_of, groups, texts_of
from heedful.core.errors import ConfigError
from heedful.data.corpus import Corpus, Link
from heedful.data.dedup_containment import Containment


def contains(text: list[str], other: list[str]) -> bool:
    spans = range(len(text) - len(other) + 1)
    return len(text) > len(other) and any(text[i : i + len(other)] == other for i in spans)


def twin(corpus: Corpus, min_words: int) -> set[Link]:
    """Every pair of a text and one that it contains."""
    long_enough = [place for place in range(len(corpus)) if len(corpus.words[place]) >= min_words]
    return {
        Link(place, of)
        for place in range(len(corpus))
        for of in long_enough
        if contains(corpus.words[place], corpus.words[of])
    }


@given(texts_of("ab", max_words=9), st.integers(1, 4))
def test_agrees_with_every_pair_compared(texts: list[str], min_words: int) -> None:
    corpus = corpus_of(texts)
    links = Containment(min_words=min_words).find(corpus)
    expected = twin(corpus, min_words)
    assert set(links) <= expected
    assert {link.place for link in links} == {link.place for link in expected}
    assert groups(len(texts), links) == groups(len(texts), expected)
    minimal = {link.of for link in links} - {link.place for link in links}
    linked = defaultdict(set)
    for place, of in links:
        linked[place].add(of)
    assert all(of & minimal for of in linked.values())


def test_only_whole_words_count() -> None:
    corpus = corpus_of(["cat sat on", "the cat sat on, twice", "the bobcat sat on"])
    assert Containment(min_words=3).find(corpus) == [Link(1, 0)]


def test_short_texts_swallow_nothing() -> None:
    corpus = corpus_of(["what is", "what is it that makes the sky so very blue"])
    assert Containment().find(corpus) == []


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="min_words 0"):
        Containment(min_words=0)


def words_of(rng: np.random.Generator, count: int) -> str:
    return " ".join(f"w{number}" for number in rng.integers(0, 5000, count))


def adversarial(kind: str, count: int) -> list[str]:
    """Texts that would cost the square of their number, were every pair looked at."""
    rng = np.random.default_rng(0)
    head = words_of(rng, 20)
    match kind:
        case "one template":
            return [head, *(f"{head} {words_of(rng, 10)}" for _ in range(count))]
        case "one template, few values":
            return [f"{head} a{i % 7} b{i % 11} c{i % 13}" for i in range(count)]
        case "one text, repeated":
            return [head] * count
        case "repeated, and as the head of all":
            return [head] * (count // 2) + [f"{head} x{i}" for i in range(count // 2)]
        case "nested chain":
            chain = words_of(rng, count // 20).split()
            return [" ".join(chain[:length]) for length in range(1, len(chain))]
        case "two words":
            bits = rng.integers(0, 2, (count, 24))
            return [" ".join("ab"[bit] for bit in row) for row in bits]
        case "one word":
            return [" ".join(["a"] * length) for length in range(count // 20)]
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "one template",
        "one template, few values",
        "one text, repeated",
        "repeated, and as the head of all",
        "nested chain",
        "two words",
        "one word",
    ],
)
def test_time_grows_with_the_words_and_not_with_the_pairs(kind: str) -> None:
    def seconds_a_word(count: int) -> float:
        corpus = corpus_of(adversarial(kind, count))
        began = time.process_time()
        Containment().find(corpus)
        return (time.process_time() - began) / sum(map(len, corpus.texts))

    # Were it pairs, sixteen times as many texts, or for the chains sixteen times as long, would be
    # sixteen times as slow a word; caches and a busy machine make some of that on their own.
    few, many = (min(seconds_a_word(count) for _ in range(2)) for count in (1_000, 16_000))
    assert many < 8 * few
