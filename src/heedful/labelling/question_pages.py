"""The page of labellers' questions, where researchers answer them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select

from heedful.labelling.form_values import Form
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.object_guards import QuestionView, question_access
from heedful.labelling.rendering import page, redirect
from heedful.store import questions
from heedful.store.tables import AccountRow, BatchRow, ItemRow, QuestionRow

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]
AtQuestion = Annotated[QuestionView, Depends(question_access("researcher"))]


@router.get("/projects/{project_id}/questions")
def question_list(request: Request, here: Here, store: Store) -> Response:
    """The questions of a project: those without an answer first."""
    with store.read() as session:
        rows = questions.list_for_project(session, here.project.id)
        people = {one for row in rows for one in (row.account_id, row.answered_by) if one}
        names = session.execute(
            select(AccountRow.id, AccountRow.name).where(AccountRow.id.in_(people))
        ).all()
        items = session.execute(
            select(ItemRow.id, ItemRow.place, BatchRow.name)
            .join(BatchRow, BatchRow.id == ItemRow.batch_id)
            .where(ItemRow.id.in_({row.item_id for row in rows}))
        ).all()
    return page(
        request,
        "admin/questions.html",
        viewer=here.viewer,
        project=here.project,
        waiting=[row for row in rows if row.answer is None],
        answered=[row for row in rows if row.answer is not None],
        names={row[0]: row[1] for row in names},
        items={row[0]: f"{row[2]}, item {row[1] + 1}" for row in items},
        most=questions.MOST_CHARACTERS,
    )


@router.post("/questions/{question_id}/answer")
def answer(request: Request, at: AtQuestion, store: Store, form: Form) -> Response:
    """Answer a question, or correct the answer; whoever asked sees it as new."""
    question: QuestionRow = at.question
    path = f"/projects/{at.project.id}/questions#{question.id}"
    text = form.text("answer", "The answer", most=questions.MOST_CHARACTERS, required=True)
    if form.errors:
        return redirect(request, path, message=form.errors["answer"], kind="bad")
    with store.write() as session:
        questions.answer(session, question.id, text=text, by=at.viewer.id)
    return redirect(request, path, message="The answer is on its way.")
