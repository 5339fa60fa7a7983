"""A labeller's habits: preferring what is longer, or shown earlier, and how fast they work.

Numbers to look at, not verdicts: where longer answers are better, everybody prefers them,
so a labeller's share is compared with that of the others. See `docs/agreement.md`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from heedful.core.statistics import Interval
from heedful.labelling.resampling import (
    Floats,
    Integers,
    Mask,
    cluster_table,
    every,
    interval_of,
    ratio,
    resampled_sums,
    share_interval_of,
)
from heedful.store.quality_queries import Judgement, TimeSpent

_LEAST_PROMPTS = 20  # below this a bootstrap over prompts is too sure of itself
_OUTLIER_DEVIATIONS = 3.0
_TO_STANDARD_DEVIATION = 1.4826  # of a median absolute deviation, where values are normal
_LEAST_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Biases:
    """The habits of one labeller; None where there is nothing to count.

    Attributes:
        num_pairs: Strictly ordered pairs of completions of different length.
        num_prompts: That the labeller ranked.
        longer: Share of them in which the longer one was preferred.
        longer_of_others: The same share of all other labellers.
        longer_apart: The difference of the two.
        earlier: Share of strictly ordered pairs in which what was shown earlier was preferred.
    """

    num_pairs: int
    num_prompts: int
    longer: Interval | None
    longer_of_others: Interval | None
    longer_apart: Interval | None
    earlier: Interval | None

    @property
    def prefers_length_unlike_others(self) -> bool:
        """Whether the interval of the difference leaves 0 out, over enough prompts."""
        return self.num_prompts >= _LEAST_PROMPTS and _leaves_out(self.longer_apart, 0.0)

    @property
    def prefers_a_position(self) -> bool:
        """Whether the interval of `earlier` leaves one half out, over enough prompts."""
        return self.num_prompts >= _LEAST_PROMPTS and _leaves_out(self.earlier, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast one labeller works.

    Attributes:
        median_seconds: Per kind of task.
        too_fast, too_slow: Submissions far from everybody's median of their kind.
    """

    num_labels: int
    median_seconds: dict[str, float]
    too_fast: tuple[str, ...]
    too_slow: tuple[str, ...]


def preferences(judgements: Sequence[Judgement], lengths: Mapping[str, int]) -> dict[str, Biases]:
    """Length and position bias of each labeller.

    Args:
        judgements: Of all labellers who are to be compared with each other.
        lengths: Characters of each completion.
    """
    names = sorted({one.labeller_id for one in judgements})
    place = {name: index for index, name in enumerate(names)}
    labeller = np.array([place[one.labeller_id] for one in judgements], dtype=np.int64)
    prompt = np.unique([one.ranking.prompt_id for one in judgements], return_inverse=True)[1]
    counts = np.array([_counts(one, lengths) for one in judgements], dtype=float).reshape(-1, 4)
    return {name: _biases(counts, prompt, labeller == place[name]) for name in names}


def speeds(times: Sequence[TimeSpent]) -> dict[str, Speed]:
    """The speed of each labeller, and which of their labels are outliers among everybody's."""
    by_kind: dict[str, list[float]] = {}
    for one in times:
        by_kind.setdefault(one.kind, []).append(_log(one.seconds))
    usual = {kind: _middle_and_width(values) for kind, values in by_kind.items()}
    found = {}
    for labeller in sorted({one.labeller_id for one in times}):
        mine = [one for one in times if one.labeller_id == labeller]
        apart = {one.submission_id: _deviations(one, usual[one.kind]) for one in mine}
        kinds = sorted({one.kind for one in mine})
        found[labeller] = Speed(
            num_labels=len(mine),
            median_seconds={k: median(o.seconds for o in mine if o.kind == k) for k in kinds},
            too_fast=tuple(one for one, far in apart.items() if far < -_OUTLIER_DEVIATIONS),
            too_slow=tuple(one for one, far in apart.items() if far > _OUTLIER_DEVIATIONS),
        )
    return found


def _counts(one: Judgement, lengths: Mapping[str, int]) -> tuple[int, int, int, int]:
    """Pairs in which the longer one won, out of how many; the earlier one, out of how many."""
    ids = one.ranking.completion_ids
    first, second = np.triu_indices(len(ids), k=1)

    def order(values: Sequence[int]) -> Integers:
        array = np.array(values, dtype=np.int64)
        return np.asarray(np.sign(array[first] - array[second]))

    better = -order(one.ranking.ranks)
    longer = better * order([lengths.get(each, 0) for each in ids])
    shown = {each: index for index, each in enumerate(one.shown)}
    earlier = -better * order([shown.get(each, 0) for each in ids])
    return (
        int((longer > 0).sum()),
        int((longer != 0).sum()),
        int((earlier > 0).sum()),
        int((earlier != 0).sum()),
    )


def _biases(counts: Floats, prompt: Integers, mine: Mask) -> Biases:
    others = np.where(mine[:, None], 0.0, counts[:, :2])
    own = np.where(mine[:, None], counts, 0.0)
    columns = np.concatenate([own, others], axis=1)
    taking_part = mine | (counts[:, 1] > 0)
    prompts, cluster = np.unique(prompt[taking_part], return_inverse=True)
    table = cluster_table(list(columns[taking_part].T), cluster)
    drawn = resampled_sums([(every(len(prompts)), table)], len(prompts))[0]
    whole = table.sum(axis=0, keepdims=True)

    def shares(first: int) -> tuple[float, Floats]:
        part = slice(first, first + 2)
        return float(ratio(whole[:, part])[0]), ratio(drawn[:, part])

    (longer, longer_drawn), (earlier, earlier_drawn) = shares(0), shares(2)
    of_others, others_drawn = shares(4)
    return Biases(
        num_pairs=int(whole[0, 1]),
        num_prompts=len(np.unique(prompt[mine])),
        longer=share_interval_of(longer, longer_drawn, len(prompts)),
        longer_of_others=share_interval_of(of_others, others_drawn, len(prompts)),
        longer_apart=interval_of(longer - of_others, longer_drawn - others_drawn),
        earlier=share_interval_of(earlier, earlier_drawn, len(prompts)),
    )


def _leaves_out(interval: Interval | None, value: float) -> bool:
    if interval is None or interval.low is None or interval.high is None:
        return False
    return not interval.low <= value <= interval.high


def _log(seconds: float) -> float:
    return math.log(max(seconds, _LEAST_SECONDS))


def _middle_and_width(values: Sequence[float]) -> tuple[float, float]:
    middle = median(values)
    return middle, _TO_STANDARD_DEVIATION * median(abs(value - middle) for value in values)


def _deviations(one: TimeSpent, usual: tuple[float, float]) -> float:
    middle, width = usual
    return (_log(one.seconds) - middle) / width if width > 0 else 0.0
