"""Pages of projects: the list, a new one, its dashboard and its settings.

The numbers are counted in `heedful.store.overview`; batches, people and prompts have pages
of their own.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.labelling.default_instructions import DEFAULT_INSTRUCTIONS
from heedful.labelling.form_values import Form, FormReader, told
from heedful.labelling.guards import ProjectView, Store, Viewer, needs, project_access
from heedful.labelling.kept_results import Kept
from heedful.labelling.pay import cost_of
from heedful.labelling.project_settings import (
    ProjectSettings,
    as_stored,
    parse_settings,
    settings_of,
)
from heedful.labelling.rendering import page, redirect
from heedful.labelling.team_agreement import team_agreement
from heedful.store.label_versions import label_version
from heedful.store.overview import batch_numbers, daily_labels, project_numbers
from heedful.store.project_changes import change_project
from heedful.store.projects import add_member, create_project
from heedful.store.quality_queries import judgements, members
from heedful.store.tables import AccountRow, InviteRow, MemberRow, ProjectRow, PromptRow

router = APIRouter()
Researcher = Annotated[Viewer, Depends(needs("researcher"))]
Here = Annotated[ProjectView, Depends(project_access("researcher"))]

CHART_DAYS = 28
# Comparing more takes seconds, which nobody who opens the dashboard asked for.
MOST_COMPARED = 5_000
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "INR", "JPY", "PHP", "BDT", "KES")
_SHARES = {
    "flag_agreement_cutoff": "Agreement on sensitive content",
    "ranking_agreement_cutoff": "Agreement on rankings",
    "practice_agreement_cutoff": "Agreement in practice",
}


@router.get("/projects")
def project_list(request: Request, viewer: Researcher, store: Store) -> Response:
    """The projects that the viewer may see, with how far each is."""
    with store.read() as session:
        query = select(ProjectRow).order_by(ProjectRow.created_at.desc(), ProjectRow.id)
        if not viewer.is_admin:
            query = query.join(MemberRow, MemberRow.project_id == ProjectRow.id)
            query = query.where(MemberRow.account_id == viewer.id)
        rows = [
            {"project": project, "numbers": _numbers(session, project)[1]}
            for project in session.scalars(query)
        ]
    return page(request, "admin/projects.html", viewer=viewer, rows=rows)


@router.get("/projects/new")
def new_project(request: Request, viewer: Researcher) -> Response:
    """The form for a new project."""
    return _new_project_form(request, viewer, {}, {})


@router.post("/projects/new")
def make_project(request: Request, viewer: Researcher, store: Store, form: Form) -> Response:
    """Make a project; a researcher who makes one is its member."""
    name = form.text("name", "The name", most=100, required=True)
    pay_rate, currency = _pay(form)
    if not form.errors:
        try:
            with store.write() as session:
                project = create_project(
                    session,
                    name=name,
                    instructions=DEFAULT_INSTRUCTIONS,
                    created_by=viewer.id,
                    pay_rate=pay_rate,
                    currency=currency,
                )
                add_member(
                    session,
                    project_id=project.id,
                    account_id=viewer.id,
                    stage="working",
                    by=viewer.id,
                )
                project_id = project.id
        except DataError as error:
            form.errors["name"] = told(error)
        else:
            message = f"{name} is there. Next: bring prompts in."
            return redirect(request, f"/projects/{project_id}", message=message)
    return _new_project_form(request, viewer, form.values, form.errors)


@router.get("/projects/{project_id}")
def dashboard(request: Request, here: Here, store: Store) -> Response:
    """What stands where: numbers, progress, throughput, what to do next."""
    with store.read() as session:
        context = _dashboard(session, here.project)
        days = daily_labels(session, project_id=here.project.id, days=CHART_DAYS)
        context["steps"] = _next_steps(session, here.project, context)
    return page(
        request,
        "admin/dashboard.html",
        viewer=here.viewer,
        project=here.project,
        days=days,
        **context,
    )


@router.get("/projects/{project_id}/numbers")
def live_numbers(request: Request, here: Here, store: Store) -> Response:
    """The part of the dashboard that renews itself."""
    with store.read() as session:
        context = _dashboard(session, here.project)
    return page(request, "admin/_numbers.html", viewer=here.viewer, project=here.project, **context)


@router.get("/projects/{project_id}/agreement-summary")
def agreement_summary(request: Request, here: Here, store: Store, kept: Kept) -> Response:
    """How far labellers agree, in three lines; fetched after the dashboard is there."""
    found, where = None, here.project.id
    with store.read() as session:
        batches = batch_numbers(session, project_id=where)
        if sum(one.work.labels for one in batches) <= MOST_COMPARED:
            found = kept.get(
                ("agreement summary", where),
                label_version(session, where),
                lambda: team_agreement(judgements(session, where), members(session, where)),
            )
    return page(
        request, "admin/_agreement.html", viewer=here.viewer, project=here.project, found=found
    )


@router.get("/projects/{project_id}/settings")
def project_settings(request: Request, here: Here) -> Response:
    """The form for pay, cut-offs and habits."""
    settings = settings_of(here.project)
    values = {name: str(value) for name, value in settings.model_dump().items()}
    values |= {name: f"{100 * getattr(settings, name):g}" for name in _SHARES}
    values |= {"name": here.project.name, "currency": here.project.currency}
    values["pay_rate"] = "" if here.project.pay_rate is None else f"{here.project.pay_rate:g}"
    values["offer_survey"] = "yes" if settings.offer_survey else ""
    return _settings_form(request, here, values, {})


@router.post("/projects/{project_id}/settings")
def change_settings(request: Request, here: Here, store: Store, form: Form) -> Response:
    """Store what the form says; all of it or nothing."""
    name = form.text("name", "The name", most=100, required=True)
    pay_rate, currency = _pay(form)
    settings = _read_settings(form)
    if not form.errors and settings is not None:
        try:
            with store.write() as session:
                change_project(
                    session,
                    project_id=here.project.id,
                    by=here.viewer.id,
                    name=name,
                    pay_rate=pay_rate,
                    currency=currency,
                    settings=as_stored(settings),
                )
        except DataError as error:
            form.errors["name"] = told(error)
        else:
            where = f"/projects/{here.project.id}/settings"
            return redirect(request, where, message="The settings are saved.")
    return _settings_form(request, here, form.values, form.errors)


def _dashboard(session: Session, project: ProjectRow) -> dict[str, Any]:
    batches, numbers = _numbers(session, project)
    return {
        "batches": batches,
        "active": [one for one in batches if one.batch.state in ("open", "paused")],
        "numbers": numbers,
        "cost": cost_of(project, numbers.work),
    }


def _numbers(session: Session, project: ProjectRow) -> tuple[Any, Any]:
    pace_days = settings_of(project).pace_days
    batches = batch_numbers(session, project_id=project.id)
    return batches, project_numbers(
        session, project_id=project.id, batches=batches, pace_days=pace_days
    )


def _next_steps(
    session: Session, project: ProjectRow, context: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """What a new project still lacks, in the order of doing it: (path, label, why)."""
    base = f"/projects/{project.id}"
    steps = []
    if not context["batches"] and not _any(session, PromptRow, project.id):
        steps.append(
            (f"{base}/prompts/import", "Bring prompts in", "Labellers need some to work on.")
        )
    labellers = (
        select(func.count())
        .select_from(MemberRow)
        .join(AccountRow, AccountRow.id == MemberRow.account_id)
    )
    labellers = labellers.where(MemberRow.project_id == project.id, AccountRow.role == "labeller")
    if not session.scalar(labellers) and not _any(session, InviteRow, project.id):
        why = "An invite is a link that makes one account."
        steps.append((f"{base}/invites", "Invite labellers", why))
    if not context["batches"]:
        why = "A batch is what labellers are given: items of one kind and purpose."
        steps.append((f"{base}/batches/new", "Make a batch", why))
    elif not any(one.batch.state == "open" for one in context["batches"]):
        steps.append((f"{base}/batches", "Open a batch", "Nothing is open for labellers now."))
    steps += [
        (f"/batches/{one.batch.id}", f"Close {one.batch.name}", "All its labels are there.")
        for one in context["batches"]
        if one.batch.state == "open" and not one.slots.remaining
    ]
    return steps


def _any(session: Session, table: type[PromptRow] | type[InviteRow], project_id: str) -> bool:
    query = select(table.id).where(table.project_id == project_id).limit(1)
    return session.scalar(query) is not None


def _pay(form: FormReader) -> tuple[float | None, str]:
    rate = form.amount("pay_rate", "The pay rate", low=0, high=100_000)
    return rate, form.choice("currency", "The currency", CURRENCIES, otherwise="EUR")


def _read_settings(form: FormReader) -> ProjectSettings | None:
    values: dict[str, Any] = {}
    for name, label in _SHARES.items():
        share = form.amount(name, label, low=0, high=100, required=True)
        values[name] = None if share is None else share / 100
    values["demonstration_cutoff"] = form.amount(
        "demonstration_cutoff", "The grade of demonstrations", low=1, high=7, required=True
    )
    for name, label, low, high in (
        ("screening_min_pairs", "Gold pairs", 1, 10_000),
        ("practice_min_items", "Practice items", 0, 1_000),
        ("pace_days", "Days of the pace", 1, 90),
    ):
        values[name] = form.number(name, label, low=low, high=high)
    values["content_warning"] = form.text(
        "content_warning", "The content warning", most=2_000, required=True
    )
    values["offer_survey"] = form.ticked("offer_survey")
    return None if form.errors else parse_settings(values)


def _new_project_form(
    request: Request, viewer: Viewer, values: dict[str, str], errors: dict[str, str]
) -> Response:
    return page(
        request,
        "admin/project_new.html",
        viewer=viewer,
        status=422 if errors else 200,
        values=values,
        errors=errors,
        currencies=CURRENCIES,
    )


def _settings_form(
    request: Request, here: ProjectView, values: dict[str, str], errors: dict[str, str]
) -> Response:
    return page(
        request,
        "admin/project_settings.html",
        viewer=here.viewer,
        project=here.project,
        status=422 if errors else 200,
        values=values,
        errors=errors,
        currencies=CURRENCIES,
    )
