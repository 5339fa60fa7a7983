"""The paper's four screening criteria, computed for each candidate (appendix B.1).

The cut-offs are soft: nothing is decided here. A researcher decides and gives a reason;
the decision is stored with the numbers they saw (`Screening.as_seen`).
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from heedful.core.statistics import Interval, bootstrap_interval
from heedful.labelling.gold import gold_agreement
from heedful.labelling.project_settings import ProjectSettings
from heedful.labelling.resampling import share
from heedful.store.quality_queries import FlagCheck, GradedDemonstration, Judgement

Standing = Literal["met", "below", "undecided", "missing", "to read"]

TITLES = {
    "flags": "Flagging sensitive content as researchers did",
    "rankings": "Ranking as researchers did",
    "demonstrations": "Grades of demonstrations",
    "self_assessment": "Self-assessment",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One criterion as computed.

    Attributes:
        value: None where nothing has been done.
        count: How many pairs, flags or demonstrations it rests on.
        unit: What is counted.
        cutoff: None for the self-assessment, which is read, not counted.
        standing: `undecided` where it rests on too little.
    """

    key: str
    value: Interval | None
    count: int
    unit: str
    cutoff: float | None
    standing: Standing

    @property
    def title(self) -> str:
        """The criterion in a few words."""
        return TITLES[self.key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """A candidate's four criteria."""

    labeller_id: str
    criteria: tuple[Criterion, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing; what is undecided is not missing."""
        return all(one.standing != "missing" for one in self.criteria)

    @property
    def fingerprint(self) -> str:
        """Changes with any of the numbers, to notice that they are not those that were seen."""
        numbers = json.dumps(self.as_seen(), sort_keys=True)
        return hashlib.sha256(numbers.encode()).hexdigest()[:16]

    def as_seen(self) -> dict[str, Any]:
        """What is stored with a decision: the numbers, and the cut-offs of that day."""
        return {
            one.key: {
                "value": None if one.value is None else one.value.value,
                "low": None if one.value is None else one.value.low,
                "high": None if one.value is None else one.value.high,
                "count": one.count,
                "unit": one.unit,
                "cutoff": one.cutoff,
                "standing": one.standing,
            }
            for one in self.criteria
        }


def screenings(
    candidates: Collection[str],
    *,
    judgements: Sequence[Judgement],
    flags: Sequence[FlagCheck],
    demonstrations: Sequence[GradedDemonstration],
    assessed: Collection[str],
    settings: ProjectSettings,
) -> dict[str, Screening]:
    """The criteria of each candidate.

    Args:
        candidates: Account ids.
        judgements: Rankings; those of screening batches with a gold ranking count.
        flags: The flags of screening batches that have gold ones.
        demonstrations: Of screening batches, with their grades.
        assessed: Who sent the self-assessment.
        settings: The cut-offs.
    """
    against_gold = gold_agreement(
        [one for one in judgements if one.labeller_id in candidates], {"screening"}
    )
    found = {}
    for name in candidates:
        rankings = against_gold.get(name)
        found[name] = Screening(
            labeller_id=name,
            criteria=(
                _flagging([one for one in flags if one.labeller_id == name], settings),
                _counted(
                    "rankings",
                    rankings.pairwise if rankings is not None else None,
                    rankings.compared if rankings is not None else 0,
                    settings.ranking_agreement_cutoff,
                    settings.screening_min_pairs,
                ),
                _grading([one for one in demonstrations if one.labeller_id == name], settings),
                Criterion(
                    key="self_assessment",
                    value=None,
                    count=int(name in assessed),
                    unit="answer",
                    cutoff=None,
                    standing="to read" if name in assessed else "missing",
                ),
            ),
        )
    return found


def _flagging(checks: Sequence[FlagCheck], settings: ProjectSettings) -> Criterion:
    """Over every flag that the gold answer of a completion decides; an empty one is a no."""
    same = [
        (check.prompt_id, bool(check.given.get(flag)) == bool(wanted))
        for check in checks
        for flag, wanted in sorted(check.gold.items())
        if wanted is not None
    ]
    value = share([float(hit) for _, hit in same], [1.0] * len(same), [where for where, _ in same])
    return _counted(
        "flags", value, len(same), settings.flag_agreement_cutoff, settings.screening_min_pairs
    )


def _grading(demonstrations: Sequence[GradedDemonstration], settings: ProjectSettings) -> Criterion:
    """Mean over demonstrations of their mean grade, so that each demonstration counts once."""
    means = [sum(one.grades) / len(one.grades) for one in demonstrations if one.grades]
    value = bootstrap_interval(means) if means else None
    return _counted("demonstrations", value, len(means), settings.demonstration_cutoff, 1)


_UNITS = {
    "flags": ("flag", "flags"),
    "rankings": ("pair of outputs", "pairs of outputs"),
    "demonstrations": ("demonstration", "demonstrations"),
}


def _counted(key: str, value: Interval | None, count: int, cutoff: float, least: int) -> Criterion:
    standing: Standing = "missing"
    if value is not None:
        enough: Standing = "met" if value.value >= cutoff else "below"
        standing = enough if count >= least else "undecided"
    return Criterion(
        key=key,
        value=value,
        count=count,
        unit=_UNITS[key][count != 1],
        cutoff=cutoff,
        standing=standing,
    )
