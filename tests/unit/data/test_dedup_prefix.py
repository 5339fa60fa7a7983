"""The common-prefix policy beside its brute-force twin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.brute_dedup import corpus_of, greedy, groups, pairs, texts_of
from heedful.core.errors import ConfigError
from heedful.data.corpus import Link
from heedful.data.dedup_prefix import CommonPrefix


def common_words(text: str, other: str) -> int:
    both = list(zip(text.split(), other.split(), strict=False))
    return next((n for n, (a, b) in enumerate(both) if a != b), len(both))


@given(texts_of("ab"), st.integers(1, 3), st.sampled_from([0.0, 0.5, 0.7, 1.0]))
def test_agrees_with_every_pair_compared(texts: list[str], least: int, share: float) -> None:
    def similar(place: int, of: int) -> bool:
        common = common_words(texts[place], texts[of])
        return common >= least and common >= share * len(texts[place].split()) - 1e-9

    expected = pairs(len(texts), similar)
    links = CommonPrefix(min_words=least, min_share=share).find(corpus_of(texts))
    assert set(links) <= expected
    assert groups(len(texts), links) == groups(len(texts), expected)
    assert greedy(len(texts), links) == greedy(len(texts), expected)


def test_what_says_much_more_stays() -> None:
    head = "you are a kind helper who answers in short plain sentences and never makes up facts now"
    texts = [f"{head} where is rome", f"{head} where is oslo", f"{head} {'tell me more ' * 9}"]
    assert CommonPrefix().find(corpus_of(texts)) == [Link(1, 0)]


@pytest.mark.parametrize("settings", [{"min_words": 0}, {"min_share": 1.5}, {"min_share": -0.1}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="common-prefix"):
        CommonPrefix(**settings)  # type: ignore[arg-type]
