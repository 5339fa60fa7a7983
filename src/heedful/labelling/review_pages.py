"""Reviewers grade the demonstrations of screening, blind to who wrote them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from heedful.core.records import Prompt
from heedful.labelling.form_values import Form
from heedful.labelling.guards import Store, Viewer, needs
from heedful.labelling.object_guards import DemonstrationView, demonstration_access
from heedful.labelling.rendering import page, redirect
from heedful.store.screening_records import (
    MAX_NOTE,
    given_grade,
    grade_demonstration,
    reviewed_projects,
    to_grade,
)
from heedful.store.tables import PromptRow

router = APIRouter()
Reviewer = Annotated[Viewer, Depends(needs("reviewer"))]
Demonstrated = Annotated[DemonstrationView, Depends(demonstration_access("reviewer"))]


@router.get("/review")
def review(request: Request, viewer: Reviewer, store: Store) -> Response:
    """What waits to be graded, by project."""
    with store.read() as session:
        projects = reviewed_projects(session, viewer.id, every=viewer.is_admin)
        waiting = [(project, to_grade(session, viewer.id, [project.id])) for project in projects]
    return page(request, "quality/review.html", viewer=viewer, waiting=waiting)


@router.get("/review/{demonstration_id}")
def demonstration(request: Request, seen: Demonstrated, store: Store) -> Response:
    """One demonstration with its prompt, and the form to grade it."""
    return _demonstration_page(request, seen, store)


@router.post("/review/{demonstration_id}")
def grade(request: Request, seen: Demonstrated, store: Store, form: Form) -> Response:
    """Keep a grade, or pass the demonstration over, and go on to the next one."""
    me, project_id = seen.viewer.id, seen.project.id
    passed_over = form.raw("pass") == "yes"
    value = None if passed_over else form.number("grade", "The grade", low=1, high=7)
    note = form.text("note", "The note", most=MAX_NOTE)
    if form.errors:
        return _demonstration_page(request, seen, store, form.values, form.errors)
    with store.write() as session:
        if value is not None:
            grade_demonstration(
                session,
                demonstration_id=seen.demonstration.id,
                reviewer_id=me,
                grade=value,
                note=note,
            )
        left = to_grade(session, me, [project_id], passed_over=seen.demonstration.id)
    if left.next_id is None or left.next_id == seen.demonstration.id:
        return redirect(request, "/review", message="Nothing else waits to be graded.")
    return redirect(request, f"/review/{left.next_id}")


def _demonstration_page(
    request: Request,
    seen: DemonstrationView,
    store: Store,
    values: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    with store.read() as session:
        row = session.get_one(PromptRow, seen.demonstration.prompt_id)
        left = to_grade(session, seen.viewer.id, [seen.project.id])
        given = given_grade(session, seen.demonstration.id, seen.viewer.id)
    return page(
        request,
        "quality/demonstration.html",
        viewer=seen.viewer,
        status=422 if errors else 200,
        project=seen.project,
        prompt=Prompt.model_validate(row.record),
        sensitive=row.sensitive,
        text=seen.demonstration.record["text"],
        demonstration_id=seen.demonstration.id,
        left=left,
        most=MAX_NOTE,
        values=values if values is not None else given,
        errors=errors or {},
    )
