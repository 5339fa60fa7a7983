"""Intervals, calibration and correlation, in plain Python and the same on every machine.

Only what results are reported with. Means are `statistics.fmean`; anything over tensors
belongs to the room that has them.
"""

import math
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval; no bounds where none can be computed."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Predictions whose probability lies in [low, high).

    Attributes:
        mean_probability: What was predicted on average.
        accuracy: Share of the predictions that came true.
    """

    low: float
    high: float
    count: int
    mean_probability: float
    accuracy: float


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share; `successes` may be fractional (ties count half).

    Source: Wilson 1927, equation for the limits of a binomial proportion.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    centre, scale = share + z * z / (2 * n), 1 + z * z / n
    # Rounding must not push a bound past the share itself at 0 and 1.
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return Interval(share, min(max(low, 0.0), share), max(min(high, 1.0), share))


def bootstrap_interval(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The mean of `values` with its percentile bootstrap interval (Efron 1979).

    Whole clusters are drawn, so that values of one cluster may depend on each other.
    Fewer than two clusters give no bounds. Equal values give bounds of no width; for
    shares, `share_interval` is honest there.

    Args:
        values: At least one number.
        clusters: The cluster (for example, the user) of each value; left out, each
            value is a cluster of its own.
        confidence: Share of the resampled means between the bounds.
        num_resamples: How often clusters are drawn, as many as there are.
        seed: The interval depends on it and the arguments alone.
    """
    if not values:
        raise ValueError("no values")
    totals = _cluster_totals(values, clusters)
    value = math.fsum(values) / len(values)
    if len(totals) < 2:
        return Interval(value, None, None)
    draw = random.Random(seed).choices
    means = []
    for _ in range(num_resamples):
        drawn = draw(totals, k=len(totals))
        means.append(math.fsum(t for t, _ in drawn) / sum(n for _, n in drawn))
    means.sort()
    tail = (1 - confidence) / 2
    return Interval(value, _quantile(means, tail), _quantile(means, 1 - tail))


def share_interval(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """`bootstrap_interval` for values in [0, 1], honest when all of them agree.

    Where resampling shows no variation (all wins, no flag ever set, a single cluster),
    the interval is Wilson's with the number of clusters as the number of trials.
    """
    interval = bootstrap_interval(
        values,
        clusters=clusters,
        confidence=confidence,
        num_resamples=num_resamples,
        seed=seed,
    )
    if interval.low != interval.high:
        return interval
    n = len(values) if clusters is None else len(set(clusters))
    return wilson_interval(interval.value * n, n, confidence)


def calibration_bins(
    probabilities: Sequence[float], outcomes: Sequence[bool], num_bins: int = 10
) -> list[CalibrationBin]:
    """Predictions in equal-width bins of their probability; empty bins are left out.

    A pair of completions should enter in an order that does not depend on the label
    (or in both orders): always putting the chosen one first leaves only successes.
    """
    members: dict[int, list[tuple[float, bool]]] = {}
    for probability, outcome in zip(probabilities, outcomes, strict=True):
        if not 0 <= probability <= 1:
            raise ValueError(f"{probability} is not a probability")
        index = min(int(probability * num_bins), num_bins - 1)
        members.setdefault(index, []).append((probability, outcome))
    return [
        CalibrationBin(
            low=index / num_bins,
            high=(index + 1) / num_bins,
            count=len(inside),
            mean_probability=math.fsum(p for p, _ in inside) / len(inside),
            accuracy=sum(outcome for _, outcome in inside) / len(inside),
        )
        for index, inside in sorted(members.items())
    ]


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Mean distance of predicted and observed share, bins weighted by their counts."""
    total = sum(b.count for b in bins)
    if total == 0:
        raise ValueError("no predictions")
    return math.fsum(b.count * abs(b.mean_probability - b.accuracy) for b in bins) / total


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    """Pearson's correlation; NaN where one of the two does not vary."""
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values")
    if not x:
        return math.nan
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    dx, dy = [a - mean_x for a in x], [b - mean_y for b in y]
    scale = math.sqrt(math.fsum(a * a for a in dx) * math.fsum(b * b for b in dy))
    if scale == 0:
        return math.nan
    return math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / scale


def _cluster_totals(
    values: Sequence[float], clusters: Sequence[Hashable] | None
) -> list[tuple[float, int]]:
    """(sum, count) of each cluster, in order of first appearance."""
    if clusters is None:
        return [(value, 1) for value in values]
    members: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        members.setdefault(cluster, []).append(value)
    return [(math.fsum(inside), len(inside)) for inside in members.values()]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear interpolation between order statistics."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
