"""The agreement of a project's team: which of its labels are compared with which.

`heedful.labelling.agreement` measures; here is chosen what. Screening and practice are not
what labels are made by, and adjudicated items were picked for their disagreement, so
neither counts.
"""

from collections.abc import Mapping, Sequence

from heedful.core.records import Ranking
from heedful.labelling.agreement import (
    Agreement,
    AgreementReport,
    agreement,
    agreement_of,
    agreement_report,
)
from heedful.labelling.paired_rankings import TiePolicy, pair_rankings
from heedful.store.columns import Purpose
from heedful.store.quality_queries import GOLD, Judgement, Member

COMPARED: tuple[Purpose, ...] = ("training", "evaluation")


def labels_compared(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The labels that count as a team's agreement."""
    return [one for one in judgements if one.kind == "ranking" and one.purpose in COMPARED]


def team_report(
    judgements: Sequence[Judgement], members: Mapping[str, Member], *, ties: TiePolicy = "exact"
) -> AgreementReport:
    """The report of a project; gold rankings stand among the researchers'."""
    compared = labels_compared(judgements)
    gold = {one.item_id: one.gold for one in compared if one.gold is not None}
    return agreement_report(
        [*_rankings(compared), *gold.values()],
        researchers=[GOLD, *(name for name, one in members.items() if one.role != "labeller")],
        held_out=[name for name, one in members.items() if one.held_out],
        ties=ties,
    )


def team_agreement(
    judgements: Sequence[Judgement], members: Mapping[str, Member], *, ties: TiePolicy = "exact"
) -> Agreement:
    """The one number of a team, of labellers with each other; the report's `overall`."""
    labellers = {name for name, one in members.items() if one.role == "labeller"}
    compared = [one for one in labels_compared(judgements) if one.labeller_id in labellers]
    return agreement_of(_rankings(compared), ties=ties)


def group_agreement(
    judgements: Sequence[Judgement],
    groups: Mapping[str, Sequence[str]],
    *,
    ties: TiePolicy = "exact",
) -> dict[tuple[str, str], Agreement]:
    """Agreement within each group of labellers (a, a) and between each two (a, b).

    Args:
        judgements: Of the project.
        groups: Account ids by group; who may be shown is the caller's to decide.
        ties: How ties count.
    """
    pairs = pair_rankings(_rankings(labels_compared(judgements)))
    names = list(groups)
    return {
        (one, other): agreement(
            pairs.among(set(groups[one]))
            if one == other
            else pairs.between(set(groups[one]), set(groups[other])),
            ties=ties,
        )
        for place, one in enumerate(names)
        for other in names[place:]
    }


def _rankings(judgements: Sequence[Judgement]) -> list[Ranking]:
    return [one.ranking for one in judgements]
