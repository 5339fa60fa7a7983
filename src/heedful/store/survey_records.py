"""Answers to the labeller survey, kept apart from who gave them unless they agreed.

What is asked is `heedful.labelling.survey`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import new_id
from heedful.store.columns import utc_now
from heedful.store.tables import SurveyDoneRow, SurveyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyAnswer:
    """One answer.

    Attributes:
        respondent: None where the answer is anonymous.
    """

    respondent: str | None
    answers: dict[str, Any]


def save_survey(
    session: Session,
    *,
    project_id: str,
    account_id: str,
    answers: Mapping[str, Any],
    linked: bool,
    now: datetime | None = None,
) -> None:
    """Keep an answer; `linked` only with the consent of who gave it.

    Raises:
        DataError: They have answered or declined before.
    """
    _mark_done(session, project_id, account_id)
    today = (now or utc_now()).astimezone(UTC).date()
    session.add(
        SurveyRow(
            id=new_id("survey"),
            project_id=project_id,
            respondent=account_id if linked else None,
            answers=dict(answers),
            day=datetime.combine(today, time(), UTC),
        )
    )
    session.flush()


def decline_survey(session: Session, *, project_id: str, account_id: str) -> None:
    """Keep that somebody does not want to answer, so that nobody asks again.

    Raises:
        DataError: They have answered or declined before.
    """
    _mark_done(session, project_id, account_id)


def is_survey_done(session: Session, project_id: str, account_id: str) -> bool:
    """Whether somebody answered or declined."""
    return session.get(SurveyDoneRow, (project_id, account_id)) is not None


def survey_answers(session: Session, project_id: str) -> list[SurveyAnswer]:
    """The answers of a project, in an order that says nothing."""
    query = select(SurveyRow).where(SurveyRow.project_id == project_id).order_by(SurveyRow.id)
    return [
        SurveyAnswer(respondent=row.respondent, answers=row.answers)
        for row in session.scalars(query)
    ]


def _mark_done(session: Session, project_id: str, account_id: str) -> None:
    if is_survey_done(session, project_id, account_id):
        raise DataError("You have answered this survey before.", "Each person is asked once.")
    done = session.scalars(
        select(SurveyDoneRow.account_id).where(SurveyDoneRow.project_id == project_id)
    ).all()
    # All rows are written anew in order of the accounts: in the order in which they came,
    # the rows of the two tables could be matched.
    session.execute(delete(SurveyDoneRow).where(SurveyDoneRow.project_id == project_id))
    session.add_all(
        SurveyDoneRow(project_id=project_id, account_id=one) for one in sorted([*done, account_id])
    )
    session.flush()
