"""A score on all items of an evaluation set, on its clean ones, and how far they differ.

Which items are clean is `heedful.data.contamination`'s to say; whether a difference comes
from contamination or from clean items being harder, no number here can (GPT-3, Brown et
al. 2020, section 4, has the same reservation).
"""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heedful.core.errors import DataError
from heedful.core.statistics import Interval

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class CleanScore:
    """A mean score with and without the dirty items.

    Attributes:
        difference: Clean minus all; below 0, the dirty items flatter the model.
        num_items: Of the set.
        num_clean: Of those.
    """

    all_items: Interval
    clean: Interval
    difference: Interval
    num_items: int
    num_clean: int


def score_clean(
    scores: Mapping[str, float],
    clean_ids: Collection[str],
    *,
    clusters: Mapping[str, Hashable] | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
) -> CleanScore:
    """The mean score on all items and on the clean ones, with 95 % bootstrap intervals.

    All three intervals come from the same resamples (Efron 1979), so that the difference's
    knows how much the two means have in common. A resample without a clean item tells
    nothing of two of them and is left out there.

    Args:
        scores: By item id, every item of the set.
        clean_ids: `heedful.data.contamination_records.read_clean_ids`.
        clusters: Of items that depend on each other, by id; whole clusters are drawn.
        num_resamples: How often items are drawn, as many as there are.
        seed: The intervals depend on it and the arguments alone.

    Raises:
        DataError: There is no score, no clean item, or a clean item without a score.
    """
    if not scores:
        raise DataError("there are no scores", "Score the evaluation set first.")
    strange = sorted(set(clean_ids) - scores.keys())
    if strange:
        raise DataError(
            f"{len(strange)} clean items have no score, {strange[0]!r} first",
            "Give the scores of the whole set, under the ids of the clean list.",
        )
    clean = set(clean_ids)
    if not clean:
        raise DataError("no item of the set is clean", "Use another evaluation set.")
    totals = _totals(scores, clean, clusters)
    drawn = _resamples(totals, num_resamples, seed)
    estimates = _means(totals.sum(axis=0, keepdims=True))
    return CleanScore(
        all_items=_interval(estimates[0], drawn[0], len(totals)),
        clean=_interval(estimates[1], drawn[1], len(totals)),
        difference=_interval(estimates[1] - estimates[0], drawn[1] - drawn[0], len(totals)),
        num_items=len(scores),
        num_clean=len(clean),
    )


def _totals(
    scores: Mapping[str, float], clean: Collection[str], clusters: Mapping[str, Hashable] | None
) -> npt.NDArray[np.float64]:
    """[clusters, 4]: sum and number of scores, of all items and of the clean ones."""
    rows: dict[Hashable, npt.NDArray[np.float64]] = {}
    for item, score in scores.items():
        if clusters is not None and item not in clusters:
            raise DataError(f"item {item!r} has no cluster", "Give one for every item.")
        row = rows.setdefault(item if clusters is None else clusters[item], np.zeros(4))
        is_clean = item in clean
        row += (score, 1.0, score * is_clean, float(is_clean))
    return np.array(list(rows.values()))


def _resamples(
    totals: npt.NDArray[np.float64], num_resamples: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The means of all and of clean items in each resample."""
    generator = np.random.default_rng(seed)
    size = len(totals)
    sums = np.empty((num_resamples, totals.shape[1]))
    for row in sums:
        counts = np.bincount(generator.integers(size, size=size), minlength=size)
        row[:] = counts @ totals
    return _means(sums)


def _means(
    sums: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(all, clean); NaN where there is no clean item."""
    clean = np.full(len(sums), np.nan)
    np.divide(sums[:, 2], sums[:, 3], out=clean, where=sums[:, 3] > 0)
    return sums[:, 0] / sums[:, 1], clean


def _interval(
    value: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64], num_clusters: int
) -> Interval:
    """The percentile interval; no bounds where a single cluster leaves nothing to draw."""
    drawn = drawn[~np.isnan(drawn)]
    if num_clusters < 2 or not len(drawn):
        return Interval(float(value[0]), None, None)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(value[0]), float(low), float(high))
