"""People in the JSON API: labellers and their numbers, their questions, the audit log."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select

from heedful.labelling.api_models import (
    AnswerIn,
    AuditOut,
    LabellerOut,
    Page,
    QuestionOut,
)
from heedful.labelling.api_paging import PageQuery, page_of
from heedful.labelling.guards import ProjectView, Store, not_found, token_project
from heedful.store.labeller_overview import LabellerNumbers, labeller_numbers
from heedful.store.questions import answer
from heedful.store.tables import AuditRow, QuestionRow

router = APIRouter()
People = Annotated[ProjectView, Depends(token_project("people:read"))]
Asker = Annotated[ProjectView, Depends(token_project("questions:read"))]
Answerer = Annotated[ProjectView, Depends(token_project("questions:write"))]
Auditor = Annotated[ProjectView, Depends(token_project("audit:read"))]


@router.get("/projects/{project_id}/labellers", tags=["people"])
def labellers(here: People, store: Store) -> Page[LabellerOut]:
    """The members of a project, all on one page, by name."""
    with store.read() as session:
        found = labeller_numbers(session, project_id=here.project.id)
    return Page(entries=[_labeller(one) for one in found])


@router.get("/projects/{project_id}/questions", tags=["questions"])
def questions(
    here: Asker,
    store: Store,
    paging: Annotated[PageQuery, Depends()],
    answered: bool | None = None,
) -> Page[QuestionOut]:
    """Labellers' questions, oldest first."""
    query = select(QuestionRow).where(QuestionRow.project_id == here.project.id)
    if answered is not None:
        is_open = QuestionRow.answer.is_(None)
        query = query.where(~is_open if answered else is_open)
    place = (QuestionRow.asked_at, QuestionRow.id)
    with store.read() as session:
        return page_of(session, query, place, paging, _question)


@router.post("/projects/{project_id}/questions/{question_id}/answer", tags=["questions"])
def new_answer(here: Answerer, store: Store, question_id: str, body: AnswerIn) -> QuestionOut:
    """Answer a question, or correct an answer."""
    with store.write() as session:
        row = session.get(QuestionRow, question_id)
        if row is None or row.project_id != here.project.id:
            raise not_found("question")
        return _question(answer(session, question_id, text=body.text, by=here.viewer.id))


@router.get("/projects/{project_id}/audit", tags=["audit"])
def audit_log(
    here: Auditor,
    store: Store,
    after: Annotated[
        int | None, Query(ge=0, lt=2**31, description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    action: Annotated[str | None, Query(max_length=100)] = None,
) -> Page[AuditOut]:
    """What was done in a project, oldest first."""
    query = select(AuditRow).where(AuditRow.project_id == here.project.id)
    if after is not None:
        query = query.where(AuditRow.id > after)
    if action is not None:
        query = query.where(AuditRow.action == action)
    with store.read() as session:
        rows = session.scalars(query.order_by(AuditRow.id).limit(limit + 1)).all()
        entries = [AuditOut.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page(entries=entries, next=str(entries[-1].id) if len(rows) > limit else None)


def _labeller(found: LabellerNumbers) -> LabellerOut:
    account, member, work = found.account, found.member, found.work
    return LabellerOut(
        account_id=account.id,
        name=account.name,
        role=account.role,
        state=account.state,
        made_by=account.made_by,
        stage=member.stage,
        held_out=member.held_out,
        labels=work.labels,
        surplus=work.surplus,
        excluded=work.excluded,
        skips=found.skips,
        hours=work.seconds / 3600,
        last_at=work.last_at,
    )


def _question(row: QuestionRow) -> QuestionOut:
    return QuestionOut.model_validate(row, from_attributes=True)
