"""What people say about a candidate: grades of demonstrations, self-assessments, decisions.

The numbers that a decision is made on are `heedful.labelling.screening`'s; here they are
kept as the person saw them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError, NotAllowedError
from heedful.core.records import new_id
from heedful.store import audit
from heedful.store.columns import MemberStage, utc_now
from heedful.store.projects import set_stage
from heedful.store.tables import (
    BatchRow,
    DemonstrationRow,
    GradeRow,
    MemberRow,
    ProjectRow,
    ScreeningDecisionRow,
    SelfAssessmentRow,
    SubmissionRow,
)

MAX_NOTE = 2_000
_GRADES = range(1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToGrade:
    """How many demonstrations a reviewer could grade, and the one to begin with."""

    waiting: int
    graded: int
    next_id: str | None


def to_grade(
    session: Session, reviewer_id: str, project_ids: Collection[str], *, passed_over: str = ""
) -> ToGrade:
    """The demonstrations of screening that this reviewer has not graded, fewest grades first.

    Args:
        session: To read with.
        reviewer_id: Never gets their own work.
        project_ids: Whose demonstrations they may see.
        passed_over: A demonstration to offer last.
    """
    mine = select(GradeRow.demonstration_id).where(GradeRow.reviewer_id == reviewer_id)
    num_grades = (
        select(func.count())
        .where(GradeRow.demonstration_id == DemonstrationRow.id)
        .scalar_subquery()
    )
    of_screening = (
        select(DemonstrationRow.id)
        .join(SubmissionRow, SubmissionRow.id == DemonstrationRow.submission_id)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
        .where(
            SubmissionRow.project_id.in_(sorted(project_ids)),
            SubmissionRow.account_id != reviewer_id,
            SubmissionRow.excluded_at.is_(None),
            BatchRow.purpose == "screening",
        )
    )
    waiting = session.scalars(
        of_screening.where(DemonstrationRow.id.not_in(mine)).order_by(
            DemonstrationRow.id == passed_over, num_grades, DemonstrationRow.id
        )
    ).all()
    graded = session.scalars(of_screening.where(DemonstrationRow.id.in_(mine))).all()
    return ToGrade(
        waiting=len(waiting), graded=len(graded), next_id=waiting[0] if waiting else None
    )


def reviewed_projects(session: Session, account_id: str, *, every: bool) -> list[ProjectRow]:
    """The projects whose demonstrations an account may grade: its own, or `every` one."""
    query = select(ProjectRow).order_by(ProjectRow.name)
    if not every:
        query = query.join(MemberRow, MemberRow.project_id == ProjectRow.id).where(
            MemberRow.account_id == account_id
        )
    return list(session.scalars(query))


def grade_demonstration(
    session: Session,
    *,
    demonstration_id: str,
    reviewer_id: str,
    grade: int,
    note: str = "",
    now: datetime | None = None,
) -> GradeRow:
    """Grade a demonstration from 1 to 7, or correct the grade given before.

    Raises:
        DataError: There is no such demonstration or grade, or the note is too long.
        NotAllowedError: It is the reviewer's own.
    """
    demonstration = session.get(DemonstrationRow, demonstration_id)
    if demonstration is None:
        raise DataError(f"there is no demonstration {demonstration_id}", "Reload the page.")
    if grade not in _GRADES:
        raise DataError(f"{grade} is no grade", "Give a whole number from 1 to 7.")
    if len(note) > MAX_NOTE:
        raise DataError("The note is too long.", f"Keep it to {MAX_NOTE:,} characters.")
    submission = session.get_one(SubmissionRow, demonstration.submission_id)
    if submission.account_id == reviewer_id:
        raise NotAllowedError("Nobody grades their own demonstration.", "Leave it to others.")
    row = _grade_by(session, demonstration_id, reviewer_id)
    now = now or utc_now()
    if row is None:
        row = GradeRow(
            id=new_id("grade"), demonstration_id=demonstration_id, reviewer_id=reviewer_id
        )
        session.add(row)
    row.grade, row.note, row.at = grade, note.strip(), now
    session.flush()
    audit.record(
        session,
        account_id=reviewer_id,
        action="demonstration.grade",
        object_kind="demonstration",
        object_id=demonstration_id,
        project_id=submission.project_id,
        detail={"grade": grade},
        now=now,
    )
    return row


def given_grade(session: Session, demonstration_id: str, reviewer_id: str) -> dict[str, Any]:
    """The grade and note that a reviewer gave before; nothing where they gave none."""
    row = _grade_by(session, demonstration_id, reviewer_id)
    return {} if row is None else {"grade": row.grade, "note": row.note}


def save_self_assessment(
    session: Session,
    *,
    project_id: str,
    account_id: str,
    answers: Mapping[str, Any],
    now: datetime | None = None,
) -> None:
    """Keep a labeller's self-assessment; a later one replaces it."""
    row = session.get(SelfAssessmentRow, (project_id, account_id))
    if row is None:
        row = SelfAssessmentRow(project_id=project_id, account_id=account_id)
        session.add(row)
    row.answers, row.submitted_at = dict(answers), now or utc_now()
    session.flush()


def self_assessments(session: Session, project_id: str) -> dict[str, SelfAssessmentRow]:
    """The self-assessments of a project by account."""
    query = select(SelfAssessmentRow).where(SelfAssessmentRow.project_id == project_id)
    return {row.account_id: row for row in session.scalars(query)}


def decide(
    session: Session,
    *,
    project_id: str,
    account_id: str,
    passed: bool,
    stage: MemberStage,
    criteria: Mapping[str, Any],
    reason: str,
    by: str,
    now: datetime | None = None,
) -> ScreeningDecisionRow:
    """Keep a decision with the numbers it was made on, and move the candidate.

    Raises:
        DataError: No reason is given, or the account is no member.
    """
    if not reason.strip():
        raise DataError("A decision on a person needs a reason.", "Say why.")
    now = now or utc_now()
    row = ScreeningDecisionRow(
        id=new_id("decision"),
        project_id=project_id,
        account_id=account_id,
        passed=passed,
        criteria=dict(criteria),
        reason=reason.strip(),
        decided_by=by,
        decided_at=now,
    )
    session.add(row)
    set_stage(
        session,
        project_id=project_id,
        account_id=account_id,
        stage=stage,
        by=by,
        reason=reason.strip(),
        now=now,
    )
    audit.record(
        session,
        account_id=by,
        action="screening.decide",
        object_kind="account",
        object_id=account_id,
        project_id=project_id,
        detail={"passed": passed, "decision": row.id},
        now=now,
    )
    session.flush()
    return row


def decisions(session: Session, project_id: str) -> list[ScreeningDecisionRow]:
    """The decisions of a project, the latest first."""
    query = select(ScreeningDecisionRow).where(ScreeningDecisionRow.project_id == project_id)
    newest = (ScreeningDecisionRow.decided_at.desc(), ScreeningDecisionRow.id)
    return list(session.scalars(query.order_by(*newest)))


def _grade_by(session: Session, demonstration_id: str, reviewer_id: str) -> GradeRow | None:
    return session.scalar(
        select(GradeRow).where(
            GradeRow.demonstration_id == demonstration_id, GradeRow.reviewer_id == reviewer_id
        )
    )
