"""Words as numbers, and hashes of their windows."""

import numpy as np
from hypothesis import given

from fakes.brute_dedup import texts_of
from heedful.data.word_table import WordTable, ranges


def test_equal_words_have_equal_numbers() -> None:
    table = WordTable.of(["one two, one", "", "three two"])
    assert len(table) == 3
    assert table.lengths.tolist() == [3, 0, 2]
    assert table.numbers.tolist() == [0, 1, 0, 2, 1]
    assert table.words_of(2).tolist() == [2, 1]


@given(texts_of("ab"))
def test_windows_are_equal_where_the_words_are_in_whatever_table(texts: list[str]) -> None:
    joined = " ".join(texts).split()
    table, other = WordTable.of(texts), WordTable.of(["b", " ".join(joined)])
    windows = table.windows(3).tolist()
    grams = [tuple(joined[place : place + 3]) for place in range(len(joined) - 2)]
    assert len(set(zip(windows, grams, strict=True))) == len(set(windows)) == len(set(grams))
    assert other.windows(3)[1:].tolist() == windows


def test_a_table_of_nothing() -> None:
    table = WordTable.of([])
    assert len(table) == 0
    assert table.windows(3).shape == (0,)


def test_ranges_follow_one_another() -> None:
    assert ranges(np.array([5, 1, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
