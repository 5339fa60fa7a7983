"""The exact policy beside its brute-force twin."""

from hypothesis import given

from fakes.brute_dedup import corpus_of, greedy, groups, pairs, texts_of
from heedful.data.dedup_exact import Exact


@given(texts_of("ab", max_words=3))
def test_agrees_with_every_pair_compared(texts: list[str]) -> None:
    expected = pairs(len(texts), lambda place, of: texts[place] == texts[of])
    links = Exact().find(corpus_of(texts))
    assert set(links) <= expected
    assert groups(len(texts), links) == groups(len(texts), expected)
    assert greedy(len(texts), links) == greedy(len(texts), expected)
