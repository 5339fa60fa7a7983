"""Closed forms and invariants of the intervals, calibration and correlation."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.statistics import (
    bootstrap_interval,
    calibration_bins,
    expected_calibration_error,
    pearson,
    share_interval,
    wilson_interval,
)


def test_wilson_interval_agrees_with_a_published_value() -> None:
    # Newcombe 1998, table I: 81 of 263, 95 %.
    interval = wilson_interval(81, 263)
    assert interval.value == pytest.approx(0.3080, abs=1e-4)
    assert interval.low == pytest.approx(0.2553, abs=1e-4)
    assert interval.high == pytest.approx(0.3662, abs=1e-4)


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_interval_contains_the_share_and_stays_in_range(n: int, share: float) -> None:
    interval = wilson_interval(share * n, n)
    assert interval.low is not None
    assert interval.high is not None
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (3, 2), (-1, 4)])
def test_wilson_interval_refuses_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="trials"):
        wilson_interval(successes, n)


def test_bootstrap_agrees_with_the_normal_interval_of_a_mean() -> None:
    noise = random.Random(1)
    values = [noise.gauss(3.0, 2.0) for _ in range(400)]
    interval = bootstrap_interval(values)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.value == pytest.approx(sum(values) / 400)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 2.0 / 20, rel=0.15)


def test_bootstrap_depends_on_the_seed_alone() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 0.0, 1.0]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)


def test_clusters_of_equal_values_widen_the_interval() -> None:
    values = [float(cluster % 2) for cluster in range(20) for _ in range(25)]
    users = [cluster for cluster in range(20) for _ in range(25)]
    alone, whole = bootstrap_interval(values), bootstrap_interval(values, clusters=users)
    assert alone.value == whole.value == 0.5
    assert alone.high is not None
    assert whole.high is not None
    # Only 20 independent values: five times the width of 500.
    assert (whole.high - 0.5) / (alone.high - 0.5) == pytest.approx(5, rel=0.2)


def test_singleton_clusters_are_no_clusters() -> None:
    values = [0.1, 0.9, 0.4, 0.3]
    assert bootstrap_interval(values, clusters=range(4)) == bootstrap_interval(values)


def test_one_cluster_has_a_mean_and_no_bounds() -> None:
    interval = bootstrap_interval([1.0, 3.0], clusters=["a", "a"])
    assert (interval.value, interval.low, interval.high) == (2.0, None, None)


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([])


def test_share_interval_of_agreeing_values_is_wilsons_over_clusters() -> None:
    users = ["a", "a", "b", "c"]
    assert share_interval([0.0] * 4, clusters=users) == wilson_interval(0, 3)
    assert share_interval([1.0] * 4) == wilson_interval(4, 4)
    assert share_interval([1.0, 0.0], clusters=["a", "a"]) == wilson_interval(0.5, 1)


def test_share_interval_is_the_bootstrap_otherwise() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    assert share_interval(values) == bootstrap_interval(values)


def test_calibration_bins_hold_counts_means_and_shares() -> None:
    bins = calibration_bins([0.05, 0.62, 0.68, 1.0], [False, True, False, True])
    assert [(b.low, b.high, b.count) for b in bins] == [(0, 0.1, 1), (0.6, 0.7, 2), (0.9, 1, 1)]
    assert bins[1].mean_probability == pytest.approx(0.65)
    assert bins[1].accuracy == 0.5


def test_calibration_refuses_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match=r"1\.5 is not"):
        calibration_bins([1.5], [True])


def test_expected_calibration_error_weighs_bins_by_count() -> None:
    bins = calibration_bins([0.25, 0.75, 0.75, 0.75], [True, True, True, True], num_bins=2)
    assert expected_calibration_error(bins) == pytest.approx(0.25 * 0.75 + 0.75 * 0.25)


def test_pearson_closed_forms() -> None:
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert pearson([1, 2, 3], [6, 4, 2]) == pytest.approx(-1)
    assert pearson([1, 2, 3, 4], [1, 0, 0, 1]) == pytest.approx(0)
    assert math.isnan(pearson([1, 1, 1], [1, 2, 3]))
    assert math.isnan(pearson([], []))
