"""The paraphrase policy beside its brute-force twin, over embeddings that count words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.brute_dedup import bag_of_words, corpus_of, greedy, groups, pairs, texts_of
from heedful.core.errors import ConfigError
from heedful.data import dedup_paraphrase
from heedful.data.dedup_paraphrase import Paraphrase


@given(texts_of("abcde"), st.sampled_from([0.5, 0.83, 1.0]), st.sampled_from([1, 3, 256]))
def test_agrees_with_every_pair_compared(texts: list[str], threshold: float, rows: int) -> None:
    vectors = bag_of_words(texts)

    def similar(place: int, of: int) -> bool:
        lengths = np.linalg.norm(vectors[place]) * np.linalg.norm(vectors[of])
        return bool(lengths) and vectors[place] @ vectors[of] / lengths >= threshold - 1e-6

    expected = pairs(len(texts), similar)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dedup_paraphrase, "_ROWS", rows)
        links = Paraphrase(bag_of_words, threshold=threshold).find(corpus_of(texts))
    assert set(links) <= expected
    assert groups(len(texts), links) == groups(len(texts), expected)
    assert greedy(len(texts), links) == greedy(len(texts), expected)


def test_the_threshold_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"threshold 1\.2"):
        Paraphrase(bag_of_words, threshold=1.2)
