"""What the agreement page shows, gathered from the store and put in order."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from heedful.labelling.adjudication import Disagreement, disagreements
from heedful.labelling.agreement import Agreement, AgreementReport
from heedful.labelling.biases import Biases, Speed, preferences, speeds
from heedful.labelling.gate import running_agreement
from heedful.labelling.heat_map import HeatMap, heat_map
from heedful.labelling.paired_rankings import TiePolicy
from heedful.labelling.survey import ABOUT_YOU, groups
from heedful.labelling.team_agreement import group_agreement, labels_compared, team_report
from heedful.store.quality_queries import (
    Judgement,
    Member,
    completion_lengths,
    judgements,
    members,
    open_to_adjudication,
    times_spent,
)
from heedful.store.survey_records import SurveyAnswer, survey_answers

MOST_DISAGREEMENTS = 25
_LARGEST_MAP = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellerLine:
    """One labeller's line of the table; None where there is nothing to say."""

    member: Member
    num_rankings: int
    with_others: Agreement | None
    with_researchers: Agreement | None
    with_gold: Agreement | None
    biases: Biases | None
    speed: Speed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """Agreement within a group of labellers, or between two."""

    name: str
    other: str
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """Everything on the page.

    Attributes:
        simulated: How many of the rankings no person made.
        questions: Survey questions that some groups may be shown of: (key, text).
        disagreements: Of items that nobody has adjudicated, the least agreed upon.
    """

    report: AgreementReport
    simulated: int
    labellers: tuple[LabellerLine, ...]
    names: dict[str, str]
    map: HeatMap | None
    questions: tuple[tuple[str, str], ...]
    question: str
    groups: tuple[GroupLine, ...]
    disagreements: tuple[Disagreement, ...]


def agreement_view(
    session: Session, project_id: str, *, ties: TiePolicy, question: str = ""
) -> AgreementView:
    """Read a project's labels and compute its page.

    Args:
        session: To read with.
        project_id: Whose.
        ties: How ties count.
        question: The survey question whose groups are compared; the first possible if unknown.
    """
    people = members(session, project_id)
    found = judgements(session, project_id)
    compared = labels_compared(found)
    report = team_report(found, people, ties=ties)
    lines = _lines(session, project_id, compared, people, report)
    names = {name: one.name for name, one in people.items()}
    answers = survey_answers(session, project_id)
    possible = tuple((one.key, one.text) for one in ABOUT_YOU if len(groups(answers, one.key)) > 1)
    chosen = question if question in dict(possible) else next((key for key, _ in possible), "")
    open_items = open_to_adjudication(session, project_id)
    unsettled = [one for one in disagreements(compared, ties=ties) if one.item_id in open_items]
    on_map = [(one.member.account_id, one.member.name) for one in lines if one.with_others]
    return AgreementView(
        report=report,
        simulated=sum(one.made_by != "person" for one in compared),
        labellers=tuple(lines),
        names=names,
        map=heat_map(on_map, report.pairs) if 1 < len(on_map) <= _LARGEST_MAP else None,
        questions=possible,
        question=chosen,
        groups=_groups(found, answers, chosen, ties),
        disagreements=tuple(one for one in unsettled if one.agreement < 1)[:MOST_DISAGREEMENTS],
    )


def _lines(
    session: Session,
    project_id: str,
    compared: list[Judgement],
    people: dict[str, Member],
    report: AgreementReport,
) -> list[LabellerLine]:
    labellers = [one for one in people.values() if one.role == "labeller"]
    ids = {one.account_id for one in labellers}
    theirs = [one for one in compared if one.labeller_id in ids]
    biases = preferences(theirs, completion_lengths(session, project_id))
    speed = speeds([one for one in times_spent(session, project_id) if one.labeller_id in ids])
    gold = running_agreement(theirs)

    def counted(found: Agreement | None) -> Agreement | None:
        return found if found is not None and found.pairwise is not None else None

    return [
        LabellerLine(
            member=one,
            num_rankings=sum(each.labeller_id == one.account_id for each in theirs),
            with_others=counted(report.labellers.get(one.account_id)),
            with_researchers=counted(report.by_researchers.get(one.account_id)),
            with_gold=counted(gold.get(one.account_id)),
            biases=biases.get(one.account_id),
            speed=speed.get(one.account_id),
        )
        for one in labellers
        if one.account_id in speed
    ]


def _groups(
    found: list[Judgement], answers: list[SurveyAnswer], question: str, ties: TiePolicy
) -> tuple[GroupLine, ...]:
    if not question:
        return ()
    measured = group_agreement(found, groups(answers, question), ties=ties)
    return tuple(
        GroupLine(name=one, other=other, agreement=agreement)
        for (one, other), agreement in measured.items()
        if agreement.pairwise is not None
    )
