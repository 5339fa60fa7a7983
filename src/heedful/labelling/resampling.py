"""Bootstrap intervals over clusters for many numbers at once, with NumPy.

`heedful.core.statistics` has the plain kind, for one list of values. Here whole clusters
(prompts) are drawn, and every number is worked out of sums over the clusters drawn, so
that a page of a thousand intervals takes a second. Source: Efron 1979, percentile method.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heedful.core.statistics import Interval, wilson_interval

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NUM_RESAMPLES = 1000
_CONFIDENCE = 0.95
_CHUNK = 2_000_000  # numbers of a block of draws


def resampled_sums(
    tables: Sequence[tuple[Integers, Floats]],
    num_clusters: int,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> list[Floats]:
    """Column sums of each table, [resamples, columns], clusters drawn with replacement.

    Args:
        tables: The cluster of each row, no cluster twice in a table, and [rows, columns].
        num_clusters: As many are drawn each time; fewer than two give no resamples.
        num_resamples: How often; 0 for no intervals.
        seed: The sums depend on it and the arguments alone.
    """
    if num_clusters < 2 or num_resamples == 0:
        return [np.empty((0, table.shape[1])) for _, table in tables]
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // num_clusters)
    sums: list[list[Floats]] = [[] for _ in tables]
    for first in range(0, num_resamples, step):
        size = (min(step, num_resamples - first), num_clusters)
        draws = generator.integers(0, num_clusters, size=size)
        draws += np.arange(len(draws))[:, None] * num_clusters
        times = np.bincount(draws.ravel(), minlength=draws.size).reshape(size).astype(float)
        for done, (rows, table) in zip(sums, tables, strict=True):
            done.append((times if len(rows) == num_clusters else times[:, rows]) @ table)
    return [np.concatenate(done) for done in sums]


def cluster_table(columns: Sequence[Floats], cluster: Integers) -> Floats:
    """The sum of each column over each cluster, [clusters, columns]."""
    size = int(cluster.max(initial=-1)) + 1
    sums = [np.bincount(cluster, weights=column, minlength=size) for column in columns]
    return np.stack(sums, axis=1).astype(float)


def every(number: int) -> Integers:
    """0 to `number` - 1: a table that has a row for each cluster."""
    return np.arange(number, dtype=np.int64)


def ratio(sums: Floats) -> Floats:
    """First column over second; NaN where the second is 0."""
    return np.asarray(sums[:, 0] / np.where(sums[:, 1] == 0, np.nan, sums[:, 1]))


def interval_of(value: float, drawn: Floats) -> Interval | None:
    """None where `value` is NaN; no bounds where resampling shows no variation."""
    if np.isnan(value):
        return None
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0 or drawn.max() - drawn.min() < 1e-12:
        return Interval(value, None, None)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def share_interval_of(value: float, drawn: Floats, num_clusters: int) -> Interval | None:
    """As `interval_of` for a share; without variation Wilson's, the clusters as trials."""
    interval = interval_of(value, drawn)
    if interval is None or interval.low is not None:
        return interval
    return wilson_interval(min(value, 1.0) * num_clusters, num_clusters, _CONFIDENCE)


def share(
    hits: Sequence[float] | Floats,
    trials: Sequence[float] | Floats,
    clusters: Sequence[str] | Integers,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """`sum(hits) / sum(trials)` with its interval over clusters; None without a trial."""
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    table = cluster_table([np.asarray(hits, float), np.asarray(trials, float)], cluster)
    whole = float(ratio(table.sum(axis=0, keepdims=True))[0])
    drawn = resampled_sums(
        [(every(len(names)), table)], len(names), num_resamples=num_resamples, seed=seed
    )
    return share_interval_of(whole, ratio(drawn[0]), len(names))
