"""Pages of invites: of a project for its researchers, of the whole server for admins.

The link of an invite is shown once, on the page that answers its making; only a hash of it
is kept. What an invite may give is decided in `heedful.store.invites`.
"""

from datetime import timedelta
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.errors import HeedfulError
from heedful.labelling.cookies import settings_of
from heedful.labelling.form_values import Form, FormReader, told
from heedful.labelling.guards import ProjectView, Store, Viewer, needs, project_access
from heedful.labelling.object_guards import InviteView, invite_access
from heedful.labelling.rendering import page, redirect
from heedful.store.access import RANK
from heedful.store.columns import MemberStage, Role, utc_now
from heedful.store.invites import create_invite, invites, revoke_invite
from heedful.store.tables import AccountRow, InviteRow, ProjectRow

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]
Admin = Annotated[Viewer, Depends(needs("admin"))]
AtInvite = Annotated[InviteView, Depends(invite_access())]

MOST_DAYS = 90
FIRST_STAGES: tuple[MemberStage, ...] = ("screening", "practice", "working")


@router.get("/projects/{project_id}/invites")
def project_invites(request: Request, here: Here, store: Store) -> Response:
    """The invites of a project and the form for a new one."""
    return _page(request, store, here.viewer, here.project)


@router.post("/projects/{project_id}/invites")
def invite_to_project(request: Request, here: Here, store: Store, form: Form) -> Response:
    """Make an invite to the project and show its link."""
    return _make(request, store, here.viewer, here.project, form)


@router.get("/admin/invites")
def all_invites(request: Request, viewer: Admin, store: Store) -> Response:
    """The invites of the whole server, and the form for one without a project."""
    return _page(request, store, viewer, None)


@router.post("/admin/invites")
def invite_staff(request: Request, viewer: Admin, store: Store, form: Form) -> Response:
    """Make an invite without a project and show its link."""
    return _make(request, store, viewer, None, form)


@router.post("/invites/{invite_id}/revoke")
def revoke(request: Request, at: AtInvite, store: Store) -> Response:
    """Take an unused invite back."""
    with store.write() as session:
        revoke_invite(session, at.invite.id, by=at.viewer.id)
    where = "/admin/invites" if at.project is None else f"/projects/{at.project.id}/invites"
    return redirect(request, where, message="The invite is taken back; its link opens nothing.")


def _make(
    request: Request, store: Store, viewer: Viewer, project: ProjectRow | None, form: FormReader
) -> Response:
    role: Role = form.choice("role", "The role", _roles(viewer))
    stage: MemberStage = form.choice("stage", "The stage", FIRST_STAGES, otherwise="screening")
    days = form.number("days", "Valid for", low=1, high=MOST_DAYS, otherwise=7)
    note = form.text("note", "The note", most=200)
    if form.errors:
        return _page(request, store, viewer, project, form=form)
    try:
        with store.write() as session:
            _, token = create_invite(
                session,
                role=role,
                project_id=project.id if project is not None else None,
                stage=stage,
                held_out=role == "labeller" and form.ticked("held_out"),
                note=note,
                expires_in=timedelta(days=days),
                created_by=viewer.id,
            )
    except HeedfulError as error:
        form.errors["role"] = told(error)
        return _page(request, store, viewer, project, form=form)
    base = settings_of(request).public_url or str(request.base_url)
    return _page(request, store, viewer, project, link=f"{base.rstrip('/')}/invite/{token}")


def _page(
    request: Request,
    store: Store,
    viewer: Viewer,
    project: ProjectRow | None,
    *,
    form: FormReader | None = None,
    link: str = "",
) -> Response:
    with store.read() as session:
        rows = invites(session, project_id=project.id if project is not None else None)
        names, projects = _names(session, rows)
    errors = form.errors if form is not None else {}
    return page(
        request,
        "admin/invites.html",
        viewer=viewer,
        status=422 if errors else 200,
        project=project,
        rows=rows,
        names=names,
        projects=projects,
        link=link,
        values=form.values if form is not None else {},
        errors=errors,
        roles=_roles(viewer),
        stages=FIRST_STAGES,
        now=utc_now(),
    )


def _roles(viewer: Viewer) -> list[Role]:
    """The roles that `viewer` may invite to, the lowest first."""
    every: tuple[Role, ...] = get_args(Role)
    return sorted((role for role in every if viewer.may(role)), key=RANK.__getitem__)


def _names(session: Session, rows: list[InviteRow]) -> tuple[dict[str, str], dict[str, str]]:
    people = {one for row in rows for one in (row.created_by, row.used_by) if one}
    places = {row.project_id for row in rows if row.project_id}
    accounts = session.execute(
        select(AccountRow.id, AccountRow.name).where(AccountRow.id.in_(people))
    )
    projects = session.execute(
        select(ProjectRow.id, ProjectRow.name).where(ProjectRow.id.in_(places))
    )
    return {row[0]: row[1] for row in accounts}, {row[0]: row[1] for row in projects}
