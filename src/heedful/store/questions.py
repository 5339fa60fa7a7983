"""A labeller's questions to the researchers about an item, and the answers."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import new_id
from heedful.store import audit
from heedful.store.columns import utc_now
from heedful.store.slots import acting, assignment
from heedful.store.tables import QuestionRow

MOST_CHARACTERS = 5000


def ask(
    session: Session, account_id: str, item_id: str, text: str, *, now: datetime | None = None
) -> QuestionRow:
    """Ask about an item that was given to this labeller."""
    text = _checked(text)
    acting(session, account_id)
    assigned = assignment(session, account_id, item_id)
    question = QuestionRow(
        id=new_id("question"),
        project_id=assigned.batch.project_id,
        item_id=item_id,
        account_id=account_id,
        text=text,
        asked_at=now or utc_now(),
    )
    session.add(question)
    session.flush()
    return question


def answer(
    session: Session, question_id: str, *, text: str, by: str, now: datetime | None = None
) -> QuestionRow:
    """Answer a question, or correct an answer; the labeller sees it as new."""
    text = _checked(text)
    question = session.get(QuestionRow, question_id, with_for_update=True)
    if question is None:
        raise DataError(f"there is no question {question_id}", "Reload the list of questions.")
    action = "question.answer" if question.answer is None else "question.correct"
    question.answer, question.answered_by = text, by
    question.answered_at, question.seen_at = now or utc_now(), None
    audit.record(
        session,
        account_id=by,
        action=action,
        object_kind="question",
        object_id=question_id,
        project_id=question.project_id,
        now=now,
    )
    return question


def list_for_project(
    session: Session, project_id: str, *, open_only: bool = False
) -> Sequence[QuestionRow]:
    """The questions of a project: unanswered first, then the newest."""
    query = select(QuestionRow).where(QuestionRow.project_id == project_id)
    if open_only:
        query = query.where(QuestionRow.answer.is_(None))
    order = (QuestionRow.answer.is_not(None), QuestionRow.asked_at.desc(), QuestionRow.id)
    return session.scalars(query.order_by(*order)).all()


def list_for_account(
    session: Session, account_id: str, *, item_id: str | None = None
) -> Sequence[QuestionRow]:
    """What this labeller asked, the newest first."""
    query = select(QuestionRow).where(QuestionRow.account_id == account_id)
    if item_id is not None:
        query = query.where(QuestionRow.item_id == item_id)
    return session.scalars(query.order_by(QuestionRow.asked_at.desc(), QuestionRow.id)).all()


def mark_seen(session: Session, account_id: str, *, now: datetime | None = None) -> None:
    """Note that this labeller has seen the answers given so far."""
    session.execute(
        update(QuestionRow)
        .where(
            QuestionRow.account_id == account_id,
            QuestionRow.answer.is_not(None),
            QuestionRow.seen_at.is_(None),
        )
        .values(seen_at=now or utc_now())
    )


def _checked(text: str) -> str:
    text = text.strip()
    if not text:
        raise DataError("the text is empty", "Write a sentence.")
    if len(text) > MOST_CHARACTERS:
        raise DataError(f"the text has {len(text)} characters", f"Use at most {MOST_CHARACTERS}.")
    return text
