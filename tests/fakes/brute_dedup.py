"""Slow, plain twins of what the deduplication policies compute, and corpora to try them on."""

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
from hypothesis import strategies as st

from heedful.data.corpus import Corpus, Link


def corpus_of(texts: Sequence[str]) -> Corpus:
    """A corpus whose canonical order is the order given."""
    return Corpus(ids=[str(place) for place in range(len(texts))], texts=texts)


def texts_of(alphabet: str, max_words: int = 8, max_texts: int = 9) -> st.SearchStrategy[list[str]]:
    """Texts of few words, so that much of them agrees."""
    text = st.lists(st.sampled_from(alphabet), max_size=max_words).map(" ".join)
    return st.lists(text, max_size=max_texts)


def pairs(size: int, similar: Callable[[int, int], bool]) -> set[Link]:
    """Every place with every earlier one that it is similar to."""
    return {Link(place, of) for place in range(size) for of in range(place) if similar(place, of)}


def groups(size: int, links: Iterable[Link]) -> set[frozenset[int]]:
    """The connected groups, by repeated widening."""
    near = {place: {place} for place in range(size)}
    for _ in range(size):
        for place, of in links:
            near[place] |= near[of]
            near[of] |= near[place]
    return {frozenset(members) for members in near.values()}


def greedy(size: int, links: Collection[Link]) -> set[int]:
    """The places that stay: each, in order, unless linked to one that stays."""
    staying: set[int] = set()
    for place in range(size):
        if not any(Link(place, of) in links for of in staying):
            staying.add(place)
    return staying


def bag_of_words(texts: Sequence[str]) -> np.ndarray:
    """Embeddings: how often each of the letters a to e is a word."""
    return np.array([[text.split().count(letter) for letter in "abcde"] for text in texts], float)
