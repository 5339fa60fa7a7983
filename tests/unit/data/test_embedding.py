"""Embeddings at length 1, and what a model may give."""

import numpy as np
import pytest

from heedful.core.errors import DataError
from heedful.data.embedding import unit_rows


def test_rows_have_length_one_and_zeros_stay() -> None:
    rows = unit_rows(lambda _: np.array([[3.0, 4.0], [0.0, 0.0]]), ["a", "b"])
    assert rows.dtype == np.float32
    assert rows.tolist() == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0]]))


def test_what_the_model_gave_is_left_alone() -> None:
    given = np.array([[3.0, 4.0]], np.float32)
    unit_rows(lambda _: given, ["a"])
    assert given.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(
    "rows", [np.zeros((1, 3)), np.zeros(2), np.array([[1.0, np.nan], [0.0, 1.0]])]
)
def test_anything_but_one_row_of_numbers_a_text_is_an_error(rows: np.ndarray) -> None:
    with pytest.raises(DataError, match="for 2 texts"):
        unit_rows(lambda _: rows, ["a", "b"])
