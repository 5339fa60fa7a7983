"""Pages of the members of a project: what each did, their stage, excluding their labels.

Accounts as such are `heedful.labelling.account_pages`', invites
`heedful.labelling.invite_pages`'; how well somebody agrees is shown by the quality pages.
"""

from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.labelling.form_values import Form, page_number
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.object_guards import PersonView, member_access
from heedful.labelling.pay import cost_of
from heedful.labelling.project_settings import settings_of
from heedful.labelling.rendering import page as render
from heedful.labelling.rendering import redirect
from heedful.store.access import account_by_login
from heedful.store.columns import MemberStage
from heedful.store.labeller_overview import LabellerNumbers, labeller_numbers, sent_by
from heedful.store.labels import exclude_labeller
from heedful.store.overview import daily_labels
from heedful.store.people_tables import AuditRow
from heedful.store.projects import add_member, set_stage

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]
AdminHere = Annotated[ProjectView, Depends(project_access("admin"))]
AtMember = Annotated[PersonView, Depends(member_access("researcher"))]

SENT_A_PAGE = 30
CHART_DAYS = 28


@router.get("/projects/{project_id}/labellers")
def labeller_list(request: Request, here: Here, store: Store) -> Response:
    """The members of a project with throughput, hours, cost and stage."""
    settings = settings_of(here.project)
    with store.read() as session:
        everybody = labeller_numbers(
            session, project_id=here.project.id, pace_days=settings.pace_days
        )
    return render(
        request,
        "admin/labellers.html",
        viewer=here.viewer,
        project=here.project,
        labellers=[(one, cost_of(here.project, one.work)) for one in everybody if _labels(one)],
        staff=[one for one in everybody if one.account.role != "labeller"],
        pace_days=settings.pace_days,
    )


@router.post("/projects/{project_id}/members")
def add_existing(request: Request, here: AdminHere, store: Store, form: Form) -> Response:
    """Add an account that exists to the project."""
    login = form.text("account_login", "The login", most=100, required=True)
    stage: MemberStage = form.choice("stage", "The stage", get_args(MemberStage))
    path = f"/projects/{here.project.id}/labellers"
    if form.errors:
        return redirect(request, path, message=" ".join(form.errors.values()), kind="bad")
    with store.write() as session:
        account = account_by_login(session, login)
        if account is None:
            return redirect(request, path, message="There is no such login.", kind="bad")
        add_member(
            session,
            project_id=here.project.id,
            account_id=account.id,
            stage=stage,
            held_out=form.ticked("held_out"),
            by=here.viewer.id,
        )
        told = f"{account.name} is a member now."
    return redirect(request, path, message=told)


@router.get("/projects/{project_id}/labellers/{account_id}")
def labeller(request: Request, at: AtMember, store: Store, page: str = "1") -> Response:
    """One member: their numbers, their days, what they sent."""
    number = page_number(page)
    settings = settings_of(at.project)
    project_id, account_id = at.project.id, at.account.id
    with store.read() as session:
        (numbers,) = labeller_numbers(
            session, project_id=project_id, account_id=account_id, pace_days=settings.pace_days
        )
        days = daily_labels(session, project_id=project_id, account_id=account_id, days=CHART_DAYS)
        sent = sent_by(
            session,
            project_id=project_id,
            account_id=account_id,
            limit=SENT_A_PAGE,
            offset=(number - 1) * SENT_A_PAGE,
        )
        stages = _stage_changes(session, at)
    return render(
        request,
        "admin/labeller.html",
        viewer=at.viewer,
        project=at.project,
        numbers=numbers,
        cost=cost_of(at.project, numbers.work),
        days=days,
        sent=sent,
        stage_changes=stages,
        page_number=number,
        num_pages=max(1, -(-numbers.work.sent // SENT_A_PAGE)),
        pace_days=settings.pace_days,
    )


@router.post("/projects/{project_id}/labellers/{account_id}/stage")
def change_stage(request: Request, at: AtMember, store: Store, form: Form) -> Response:
    """Move a member to another stage, with the reason."""
    stage: MemberStage = form.choice("stage", "The stage", get_args(MemberStage))
    reason = form.text("reason", "The reason", most=500, required=True)
    if form.errors:
        return _back(request, at, " ".join(form.errors.values()), is_bad=True)
    with store.write() as session:
        set_stage(
            session,
            project_id=at.project.id,
            account_id=at.account.id,
            stage=stage,
            by=at.viewer.id,
            reason=reason,
        )
    return _back(request, at, f"{at.account.name} is in the stage {stage} now.")


@router.post("/projects/{project_id}/labellers/{account_id}/exclude")
def exclude_all(request: Request, at: AtMember, store: Store, form: Form) -> Response:
    """Give a member no more work, and let none of their labels count."""
    reason = form.text("reason", "The reason", most=500, required=True)
    if form.errors:
        return _back(request, at, form.errors["reason"], is_bad=True)
    with store.write() as session:
        done = exclude_labeller(
            session,
            at.project.id,
            at.account.id,
            reason,
            at.viewer.id,
            ask_again=form.ticked("ask_again"),
        )
    told = f"{done.labels:,} labels of {at.account.name} no longer count."
    if done.asked_again:
        told += f" Others are asked for {done.asked_again:,} new ones, in batches that are open."
    return _back(request, at, told)


def _labels(one: LabellerNumbers) -> bool:
    """Whether somebody belongs in the list of those who label."""
    return one.account.role == "labeller" or one.work.sent > 0


def _stage_changes(session: Session, at: PersonView) -> list[AuditRow]:
    return list(
        session.scalars(
            select(AuditRow)
            .where(
                AuditRow.object_kind == "account",
                AuditRow.object_id == at.account.id,
                AuditRow.project_id == at.project.id,
                AuditRow.action == "member.stage",
            )
            .order_by(AuditRow.at.desc())
        )
    )


def _back(request: Request, at: PersonView, told: str, *, is_bad: bool = False) -> Response:
    path = f"/projects/{at.project.id}/labellers/{at.account.id}"
    return redirect(request, path, message=told, kind="bad" if is_bad else "good")
