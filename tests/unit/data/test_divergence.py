"""Jensen-Shannon divergence in closed form, and intervals that cover what is true."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data.divergence import Observation, estimate_divergence, jensen_shannon

COUNTS = st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any)


def by_hand(one: list[int], other: list[int]) -> float:
    p = [n / sum(one) for n in one]
    q = [n / sum(other) for n in other]
    total = 0.0
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2
        total += sum(x * math.log2(x / middle) / 2 for x in (a, b) if x)
    return total


@given(COUNTS, COUNTS)
def test_it_agrees_with_the_sum_written_out(one: list[int], other: list[int]) -> None:
    found = jensen_shannon(np.array(one, dtype=float), np.array(other, dtype=float))
    assert float(found) == pytest.approx(by_hand(one, other), abs=1e-12)
    assert -1e-12 <= float(found) <= 1 + 1e-12


def test_known_values() -> None:
    assert float(jensen_shannon(np.array([3.0, 1.0]), np.array([6.0, 2.0]))) == 0
    assert float(jensen_shannon(np.array([3.0, 0.0]), np.array([0.0, 2.0]))) == 1
    # p = (1, 0), q = (1/2, 1/2): (log2(4/3) + log2(2/3)/2 + log2(2)/2) / 2
    known = (math.log2(4 / 3) + math.log2(2 / 3) / 2 + 1 / 2) / 2
    assert float(jensen_shannon(np.array([1.0, 0.0]), np.array([1.0, 1.0]))) == pytest.approx(known)


def sample(shares: list[float], num_owners: int, seed: int) -> list[Observation]:
    """Two observations of each owner, from one population."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(shares), size=(num_owners, 2), p=shares)
    return [(f"u{owner}", str(kind)) for owner, pair in enumerate(drawn) for kind in pair]


def test_intervals_cover_the_truth_and_the_value_is_nearer_than_the_plain_figure() -> None:
    p, q = [0.5, 0.2, 0.15, 0.1, 0.05], [0.3, 0.3, 0.15, 0.15, 0.1]
    true = float(jensen_shannon(np.array(p), np.array(q)))
    found = [
        estimate_divergence("t", sample(p, 60, n), sample(q, 60, 1000 + n), num_resamples=200)
        for n in range(60)
    ]
    covered = sum(d.low <= true <= d.high for d in found if d.low is not None if d.high is not None)
    assert covered >= 53  # 57 expected at 95 %
    mean_value = np.mean([d.value for d in found])
    mean_observed = np.mean([d.observed for d in found])
    assert abs(mean_value - true) < abs(mean_observed - true) / 2


def test_two_samples_of_one_population_are_not_told_apart() -> None:
    p = [0.4, 0.3, 0.2, 0.1]
    found = estimate_divergence("t", sample(p, 80, 1), sample(p, 80, 2))
    assert found.low == 0
    assert found.observed > found.value


def test_the_order_of_observations_makes_no_difference() -> None:
    one, other = sample([0.5, 0.5], 20, 1), sample([0.8, 0.2], 20, 2)
    assert estimate_divergence("t", one, other) == estimate_divergence("t", one[::-1], other[::-1])


def test_one_owner_gives_no_interval() -> None:
    found = estimate_divergence("t", [("u", "a"), ("u", "b")], sample([0.5, 0.5], 9, 1))
    assert (found.low, found.high) == (None, None)
    assert found.value == found.observed
