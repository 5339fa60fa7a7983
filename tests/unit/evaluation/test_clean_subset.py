"""Scores with and without dirty items, their intervals held against known spreads."""

import math
import random
from collections.abc import Hashable, Mapping

import pytest

from heedful.core.errors import DataError
from heedful.core.statistics import bootstrap_interval
from heedful.evaluation.clean_subset import score_clean


def test_the_means_and_their_difference() -> None:
    scores = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 1.0}
    found = score_clean(scores, {"b", "c"})
    assert (found.num_items, found.num_clean) == (4, 2)
    assert (found.all_items.value, found.clean.value, found.difference.value) == (0.75, 0.5, -0.25)
    for interval in (found.all_items, found.clean, found.difference):
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low <= interval.value <= interval.high


def test_the_interval_of_all_items_is_the_bootstrap_s() -> None:
    draw = random.Random(3)
    scores = {str(number): draw.random() for number in range(400)}
    found = score_clean(scores, scores.keys())
    expected = bootstrap_interval(list(scores.values()))
    assert found.all_items.value == pytest.approx(expected.value)
    assert found.all_items.low == pytest.approx(expected.low, abs=0.003)
    assert found.all_items.high == pytest.approx(expected.high, abs=0.003)
    assert (found.difference.value, found.difference.low, found.difference.high) == (0, 0, 0)


def test_the_difference_knows_what_both_means_share() -> None:
    # clean - all = share dirty * (mean clean - mean dirty): its spread is known.
    draw = random.Random(5)
    scores = {str(number): draw.gauss(0, 1) for number in range(2000)}
    clean = {str(number) for number in range(1800)}
    found = score_clean(scores, clean, seed=1)
    low, high = found.difference.low, found.difference.high
    assert low is not None
    assert high is not None
    spread = 0.1 * math.sqrt(1 / 1800 + 1 / 200)
    assert (high - low) / (2 * 1.96) == pytest.approx(spread, rel=0.1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = random.Random(7)
    covered = 0
    for trial in range(200):
        scores = {str(number): float(draw.random() < 0.5) for number in range(60)}
        scores |= {f"dirty {number}": float(draw.random() < 0.9) for number in range(30)}
        clean = {key for key in scores if not key.startswith("dirty")}
        interval = score_clean(scores, clean, num_resamples=300, seed=trial).difference
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.5 - (0.5 * 60 + 0.9 * 30) / 90 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_whole_clusters_are_drawn() -> None:
    scores = {str(number): float(number // 10 % 2) for number in range(100)}
    clean = {str(number) for number in range(0, 100, 2)}
    alone = score_clean(scores, clean).clean
    together = score_clean(scores, clean, clusters={key: int(key) // 10 for key in scores}).clean
    assert together.value == alone.value
    assert (together.high or 0) - (together.low or 0) > 1.5 * ((alone.high or 0) - (alone.low or 0))
    one = score_clean(scores, clean, clusters=dict.fromkeys(scores, "all"))
    assert (one.difference.low, one.difference.high) == (None, None)


def test_a_seed_gives_the_same_interval_again() -> None:
    scores = {str(number): number % 7 / 7 for number in range(50)}
    clean = list(scores)[:20]
    assert score_clean(scores, clean, seed=4) == score_clean(scores, clean, seed=4)
    assert score_clean(scores, clean, seed=4) != score_clean(scores, clean, seed=5)


@pytest.mark.parametrize(
    ("scores", "clean", "clusters", "message"),
    [
        ({}, [], None, "there are no scores"),
        ({"a": 1.0}, [], None, "no item of the set is clean"),
        ({"a": 1.0}, ["a", "c", "b"], None, "2 clean items have no score, 'b' first"),
        ({"a": 1.0, "b": 0.0}, ["a"], {"a": 1}, "item 'b' has no cluster"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    scores: Mapping[str, float],
    clean: list[str],
    clusters: Mapping[str, Hashable] | None,
    message: str,
) -> None:
    with pytest.raises(DataError, match=message):
        score_clean(scores, clean, clusters=clusters)
