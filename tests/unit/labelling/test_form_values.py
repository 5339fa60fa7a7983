"""Reading forms: every fault is found at once, and nothing that was not offered gets in."""

import pytest
from starlette.datastructures import FormData

from heedful.core.errors import DataError
from heedful.labelling.form_values import FormReader, page_number, query_reader, told


def reader(*pairs: tuple[str, str]) -> FormReader:
    return FormReader(FormData(list(pairs)))


def test_texts_are_trimmed_and_measured() -> None:
    form = reader(("one", "  a\r\nb "), ("long", "x" * 11), ("empty", " "))
    assert form.text("one", "One") == "a\nb"
    assert form.text("absent", "Absent") == ""
    form.text("long", "The text", most=10)
    form.text("empty", "The name", required=True)
    assert form.errors == {
        "long": "The text has 11 characters; at most 10 fit.",
        "empty": "The name is missing.",
    }


@pytest.mark.parametrize("value", ["", "x", "1.5", "0", "11", "-1", "9" * 30, "²", "1e1"])
def test_numbers_stay_in_their_range(value: str) -> None:
    form = reader(("n", value))
    assert form.number("n", "It", low=1, high=10) == 1
    assert form.errors == {"n": "It is a whole number from 1 to 10."}


def test_numbers_are_read() -> None:
    form = reader(("n", " 7 "), ("below", "-3"), ("none", ""))
    assert form.number("n", "It", low=1, high=10) == 7
    assert form.number("below", "It", low=-5, high=5) == -3
    assert form.number("none", "It", low=1, high=10, otherwise=4) == 4
    assert form.errors == {}


def test_amounts_take_a_point_or_a_comma() -> None:
    form = reader(("a", "12,5"), ("b", ""), ("c", "nan"), ("d", "inf"), ("e", ""), ("f", "-1"))
    assert form.amount("a", "It", low=0, high=100) == 12.5
    assert form.amount("b", "It", low=0, high=100) is None
    assert form.errors == {}
    for name in "cd":
        assert form.amount(name, "It", low=0, high=100) is None
    assert form.amount("e", "It", low=0, high=100, required=True) is None
    assert form.amount("f", "It", low=0, high=100) is None
    assert set(form.errors) == set("cdef")


def test_only_what_was_offered_is_chosen() -> None:
    form = reader(("a", "x"), ("b", "z"), ("c", ""), ("m", "x"), ("m", "y"), ("n", "x"), ("n", "q"))
    allowed = ("x", "y")
    assert form.choice("a", "It", allowed) == "x"
    assert form.choice("c", "It", allowed, otherwise="y") == "y"
    assert form.optional("c", "It", allowed) is None
    assert form.many("m", "It", allowed) == ("x", "y")
    assert form.errors == {}
    assert form.choice("b", "It", allowed, otherwise="y") == "y"
    assert form.choice("absent", "It", allowed) == "x"
    assert form.optional("b", "It", allowed) is None
    assert form.many("n", "Those", allowed) == ("x",)
    assert set(form.errors) == {"b", "absent", "n"}
    assert form.ticked("a")
    assert not form.ticked("c")
    assert form.file("a") is None


def test_queries_are_read_like_forms() -> None:
    query = query_reader(show="gold", page="2")
    assert query.values == {"show": "gold", "page": "2"}
    assert [page_number(value) for value in ("2", "0", "x", "", "9" * 20)] == [2, 1, 1, 1, 1]


def test_errors_become_one_line() -> None:
    assert told(DataError("it is wrong", "Change it.")) == "It is wrong. Change it."
    assert told(DataError("Some are:\nthis")) == "Some are:\nthis."
