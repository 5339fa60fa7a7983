"""What the screening pages show: candidates, those in practice, and those who work."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from heedful.labelling.agreement import Agreement
from heedful.labelling.gate import Gate, gates, running_agreement
from heedful.labelling.project_settings import ProjectSettings
from heedful.labelling.screening import Screening, screenings
from heedful.labelling.self_assessment import topic_names
from heedful.store.quality_queries import (
    GradedDemonstration,
    Member,
    flag_checks,
    graded_demonstrations,
    judgements,
    members,
)
from heedful.store.screening_records import decisions, self_assessments
from heedful.store.tables import ScreeningDecisionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody in screening or practice, or beyond, with the numbers so far."""

    member: Member
    screening: Screening
    gate: Gate
    running: Agreement | None
    decision: ScreeningDecisionRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAssessment:
    """A self-assessment as it is read."""

    topics: tuple[str, ...]
    confidence: int | None
    note: str
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateView:
    """One candidate's page.

    Attributes:
        decisions: All on this candidate, the latest first.
        names: Of those who decided.
    """

    candidate: Candidate
    demonstrations: tuple[GradedDemonstration, ...]
    assessment: SelfAssessment | None
    decisions: tuple[ScreeningDecisionRow, ...]
    names: dict[str, str]


def candidates(session: Session, project_id: str, settings: ProjectSettings) -> list[Candidate]:
    """Every labeller of a project, by name."""
    people = members(session, project_id)
    return _candidates(session, project_id, settings, people)


def candidate_view(
    session: Session, project_id: str, account_id: str, settings: ProjectSettings
) -> CandidateView:
    """The page of one member."""
    people = members(session, project_id)
    found = _candidates(session, project_id, settings, {account_id: people[account_id]})
    row = self_assessments(session, project_id).get(account_id)
    return CandidateView(
        candidate=found[0],
        demonstrations=tuple(
            graded_demonstrations(
                session, project_id, purposes=["screening"], account_id=account_id
            )
        ),
        assessment=None if row is None else _assessment(row.answers, row.submitted_at),
        decisions=tuple(
            one for one in decisions(session, project_id) if one.account_id == account_id
        ),
        names={name: one.name for name, one in people.items()},
    )


def _candidates(
    session: Session, project_id: str, settings: ProjectSettings, people: dict[str, Member]
) -> list[Candidate]:
    only = next(iter(people)) if len(people) == 1 else None
    found = judgements(session, project_id, account_id=only)
    latest: dict[str, ScreeningDecisionRow] = {}
    for decision in decisions(session, project_id):
        latest.setdefault(decision.account_id, decision)
    labellers = {
        name: one for name, one in people.items() if one.role == "labeller" or name == only
    }
    screened = screenings(
        labellers,
        judgements=found,
        flags=flag_checks(session, project_id, purposes=["screening"], account_id=only),
        demonstrations=graded_demonstrations(
            session, project_id, purposes=["screening"], account_id=only
        ),
        assessed=self_assessments(session, project_id).keys(),
        settings=settings,
    )
    practised, running = gates(labellers, found, settings), running_agreement(found)
    return [
        Candidate(
            member=one,
            screening=screened[name],
            gate=practised[name],
            running=running.get(name),
            decision=latest.get(name),
        )
        for name, one in labellers.items()
    ]


def _assessment(answers: dict[str, Any], submitted_at: datetime) -> SelfAssessment:
    return SelfAssessment(
        topics=tuple(topic_names(answers)),
        confidence=answers.get("confidence"),
        note=str(answers.get("note", "")),
        submitted_at=submitted_at,
    )
