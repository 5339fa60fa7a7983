"""Intervals over clusters: as wide as the plain ones, and honest at the ends."""

import random

import numpy as np
import pytest

from heedful.core.statistics import bootstrap_interval, wilson_interval
from heedful.labelling.resampling import (
    cluster_table,
    every,
    interval_of,
    ratio,
    resampled_sums,
    share,
)


def test_share_is_about_the_plain_bootstrap_of_clusters() -> None:
    rng = random.Random(0)
    clusters = [f"p{rng.randrange(60)}" for _ in range(300)]
    hits = [float(rng.random() < 0.7) for _ in clusters]
    found = share(hits, [1.0] * 300, clusters, num_resamples=4000)
    plain = bootstrap_interval(hits, clusters=clusters)
    assert found is not None
    assert found.value == pytest.approx(plain.value)
    assert found.low == pytest.approx(plain.low, abs=0.01)
    assert found.high == pytest.approx(plain.high, abs=0.01)


def test_share_without_variation_is_wilsons_over_clusters() -> None:
    assert share([2.0, 3.0], [2.0, 3.0], ["p", "q"]) == wilson_interval(2, 2)
    assert share([1.0], [1.0], ["p"]) == wilson_interval(1, 1)


def test_share_of_nothing_is_none() -> None:
    assert share([], [], []) is None
    assert share([0.0], [0.0], ["p"]) is None


def test_tables_of_some_clusters_are_drawn_with_the_others() -> None:
    whole = (every(50), np.ones((50, 1)))
    part = (np.array([3, 7]), np.array([[1.0], [1.0]]))
    once = (np.array([3]), np.array([[1.0]]))
    sums = resampled_sums([whole, part, once], 50, num_resamples=500)
    assert (sums[0] == 50).all()
    assert sums[1].mean() == pytest.approx(2, abs=0.2)
    assert (sums[1] >= sums[2]).all()


def test_no_resamples_of_one_cluster() -> None:
    assert resampled_sums([(every(1), np.ones((1, 3)))], 1)[0].shape == (0, 3)


def test_ratio_of_nothing_is_not_a_number() -> None:
    assert np.isnan(ratio(np.array([[0.0, 0.0]]))).all()
    assert interval_of(float("nan"), np.array([1.0])) is None


def test_cluster_table_sums_each_column() -> None:
    table = cluster_table([np.array([1.0, 2.0, 4.0]), np.ones(3)], np.array([1, 0, 1]))
    assert table.tolist() == [[2.0, 1.0], [5.0, 2.0]]
