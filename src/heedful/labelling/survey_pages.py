"""The survey and the self-assessment as labellers fill them in, and the survey's results."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from heedful.labelling.form_values import Form
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.rendering import page, redirect
from heedful.labelling.self_assessment import MAX_NOTE, TOPICS, read_self_assessment
from heedful.labelling.survey import (
    ABOUT_THE_WORK,
    ABOUT_YOU,
    LEAST_SHOWN,
    read_survey,
    survey_results,
)
from heedful.store.screening_records import save_self_assessment, self_assessments
from heedful.store.survey_records import (
    decline_survey,
    is_survey_done,
    save_survey,
    survey_answers,
)

router = APIRouter()
Researched = Annotated[ProjectView, Depends(project_access("researcher"))]
Member = Annotated[ProjectView, Depends(project_access("labeller"))]


@router.get("/projects/{project_id}/survey")
def results(request: Request, seen: Researched, store: Store) -> Response:
    """What labellers answered, where three or more answered alike."""
    with store.read() as session:
        answers = survey_answers(session, seen.project.id)
    return page(
        request,
        "quality/survey_results.html",
        viewer=seen.viewer,
        project=seen.project,
        num_answers=len(answers),
        num_linked=sum(one.respondent is not None for one in answers),
        results=survey_results(answers),
        num_about_you=len(ABOUT_YOU),
        least=LEAST_SHOWN,
    )


@router.get("/work/survey/{project_id}")
def survey_form(request: Request, seen: Member, store: Store) -> Response:
    """The survey of a project."""
    return _survey_page(request, seen, store)


@router.post("/work/survey/{project_id}")
def answer_survey(request: Request, seen: Member, store: Store, form: Form) -> Response:
    """Keep an answer, or that somebody does not want to give one."""
    declined = form.raw("decline") == "yes"
    answers = {} if declined else read_survey(form)
    if not declined and not answers and not form.errors:
        form.errors["gender"] = "Nothing is filled in. Answer a question, or decline."
    if form.errors:
        return _survey_page(request, seen, store, answers, form.errors)
    project_id, me = seen.project.id, seen.viewer.id
    with store.write() as session:
        if is_survey_done(session, project_id, me):
            return redirect(request, "/work", message="You have answered this survey before.")
        if declined:
            decline_survey(session, project_id=project_id, account_id=me)
        else:
            save_survey(
                session,
                project_id=project_id,
                account_id=me,
                answers=answers,
                linked=form.ticked("linked"),
            )
    message = "You will not be asked again." if declined else "Thank you for your answers."
    return redirect(request, "/work", message=message)


@router.get("/work/self-assessment/{project_id}")
def self_assessment_form(request: Request, seen: Member, store: Store) -> Response:
    """The self-assessment of a project."""
    with store.read() as session:
        row = self_assessments(session, seen.project.id).get(seen.viewer.id)
    return _assessment_page(request, seen, row.answers if row is not None else {})


@router.post("/work/self-assessment/{project_id}")
def send_self_assessment(request: Request, seen: Member, store: Store, form: Form) -> Response:
    """Keep the self-assessment; it can be sent again."""
    answers = read_self_assessment(form)
    if form.errors:
        return _assessment_page(request, seen, answers, form.errors)
    with store.write() as session:
        save_self_assessment(
            session, project_id=seen.project.id, account_id=seen.viewer.id, answers=answers
        )
    return redirect(request, "/work", message="Your self-assessment was received.")


def _survey_page(
    request: Request,
    seen: ProjectView,
    store: Store,
    answers: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    with store.read() as session:
        done = is_survey_done(session, seen.project.id, seen.viewer.id)
    return page(
        request,
        "quality/survey.html",
        viewer=seen.viewer,
        status=422 if errors else 200,
        project=seen.project,
        done=done,
        about_you=ABOUT_YOU,
        about_the_work=ABOUT_THE_WORK,
        answers=answers or {},
        errors=errors or {},
        least=LEAST_SHOWN,
    )


def _assessment_page(
    request: Request,
    seen: ProjectView,
    answers: dict[str, Any],
    errors: dict[str, str] | None = None,
) -> Response:
    return page(
        request,
        "quality/self_assessment.html",
        viewer=seen.viewer,
        status=422 if errors else 200,
        project=seen.project,
        topics=TOPICS,
        most=MAX_NOTE,
        answers=answers,
        errors=errors or {},
    )
