"""How numbers are written."""

import pytest

from heedful.reports.view import (
    NOTHING,
    count,
    duration,
    flops,
    memory,
    number,
    percent,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.1, "0.100"),
        (4.5 - 4.4, "0.100"),
        (12.345, "12.3"),
        (4321.0, "4321"),
        (-1.5, "\N{MINUS SIGN}1.50"),
        (1.23e-7, "1.23e\N{MINUS SIGN}07"),
        (None, NOTHING),
        (float("nan"), NOTHING),
    ],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_intervals_stand_in_brackets_and_are_left_out_where_there_are_none() -> None:
    assert with_interval(0.61, 0.542, 0.6789, share=True).endswith("(54.2 to 67.9)")
    assert with_interval(4.52, 4.31, 4.7) == "4.52 (4.31 to 4.70)"
    assert with_interval(4.52, None, None) == "4.52"
    assert percent(None) == NOTHING


@pytest.mark.parametrize(
    ("value", "text"), [(831, "831"), (12_400, "12.4 k"), (3_100_000, "3.1 M"), (2e9, "2.0 G")]
)
def test_counts_have_units(value: float, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.31, "8.3 s"), (125, "2 min 05 s"), (4320, "1 h 12 min")]
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_operations_and_memory() -> None:
    assert flops(2.314e15) == "2.31 PFLOP"
    assert (flops(0), memory(0)) == (NOTHING, NOTHING)
    assert memory(3 * 2**30) == "3.00 GiB"
    assert memory(300 * 2**20) == "300 MiB"
