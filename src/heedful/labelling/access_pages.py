"""Signing in and out, taking up an invite, and the start page.

The settings of an account are `settings_pages`'.
"""

import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy import text

from heedful.core.errors import DataError, HeedfulError, LoginError, RateLimitedError
from heedful.labelling.cookies import (
    SESSION,
    VISIT,
    clear_cookie,
    csrf_token,
    read_cookie,
    set_cookie,
    settings_of,
)
from heedful.labelling.guards import SignedIn, Store, find_viewer, not_found
from heedful.labelling.rendering import page, redirect
from heedful.labelling.request_paths import local_path
from heedful.store.access import clean_login, has_admin
from heedful.store.invites import accept_invite, join_by_invite, open_invite
from heedful.store.passwords import MIN_LENGTH, hashed
from heedful.store.people_tables import InviteRow
from heedful.store.sessions import open_session, revoke_session, start_session
from heedful.store.sign_in import verify_login
from heedful.store.work_tables import ProjectRow

router = APIRouter()

Text = Annotated[str, Form(max_length=200)]
Secret = Annotated[str, Form(max_length=1000)]


@router.get("/")
def start(request: Request) -> Response:
    """Lead everybody to where their work is."""
    viewer = find_viewer(request)
    if viewer is None:
        return redirect(request, "/login")
    places = {"labeller": "/work", "reviewer": "/review"}
    return redirect(request, places.get(viewer.role, "/projects"))


@router.get("/healthz")
def health(store: Store) -> Response:
    """Whether the server and its database answer; for whatever watches it."""
    with store.read() as session:
        session.execute(text("SELECT 1"))
    return JSONResponse({"status": "ok"})


@router.get("/login")
def show_login(request: Request, next: str = "") -> Response:  # noqa: A002 - name in addresses
    """The sign-in form."""
    target = local_path(next)
    if find_viewer(request) is not None:
        return redirect(request, target)
    return _login_page(request, target)


@router.post("/login")
def log_in(
    request: Request,
    store: Store,
    login: Text = "",
    password: Secret = "",
    next: Annotated[str, Form(max_length=2000)] = "",  # noqa: A002 - name of the field
) -> Response:
    """Sign in; whatever session the browser had ends."""
    target = local_path(next)
    try:
        account = verify_login(store, login, password, address=request.state.address)
    except LoginError as error:
        return _login_page(request, target, status=401, login=login, problem=error)
    except RateLimitedError as error:
        response = _login_page(request, target, status=429, login=login, problem=error)
        response.headers["Retry-After"] = str(max(1, round(error.seconds)))
        return response
    return open_browser(request, store, account.id, target)


@router.post("/logout")
def log_out(request: Request, store: Store, viewer: SignedIn) -> Response:
    """Sign out of this browser."""
    if viewer.session is not None:
        with store.write() as session:
            revoke_session(session, viewer.session.id, account_id=viewer.id)
    response = redirect(request, "/login", message="You are signed out.")
    clear_cookie(request, response, SESSION)
    return response


@router.get("/invite/{token}")
def show_invite(request: Request, store: Store, token: str) -> Response:
    """The form that an invite opens."""
    invite, project = _read_invite(store, token)
    return _invite_page(request, token, invite, project)


@router.post("/invite/{token}")
def take_invite(
    request: Request,
    store: Store,
    token: str,
    login: Text = "",
    name: Text = "",
    password: Secret = "",
    again: Secret = "",
) -> Response:
    """Make the account that an invite is for, and sign it in."""
    invite, project = _read_invite(store, token)
    problem: HeedfulError | None = None
    try:
        if password != again:
            raise DataError("The two passwords differ.", "Type the same one twice.")
        # Hashed before the write begins, which others wait for.
        ready = hashed(password, login=clean_login(login))
        with store.write() as session:
            account = accept_invite(session, token, login=login, name=name, password=ready)
    except DataError as error:
        problem = error
    if problem is not None:
        typed = {"login": login, "name": name}
        return _invite_page(request, token, invite, project, status=422, problem=problem, **typed)
    return open_browser(request, store, account.id, "/", message="Your account is ready.")


@router.post("/settings/projects")
def join_project(request: Request, store: Store, viewer: SignedIn, token: Text = "") -> Response:
    """Take up an invite with the account that one has."""
    with store.write() as session:
        join_by_invite(session, token, account_id=viewer.id)
    return redirect(request, "/", message="You are a member of the project now.")


def open_browser(
    request: Request, store: Store, account_id: str, target: str, *, message: str = ""
) -> RedirectResponse:
    """Sign an account in here: a new session, and the one that the browser had ends."""
    settings = settings_of(request)
    old = read_cookie(request, SESSION)
    with store.write() as session:
        if (found := open_session(session, old)) is not None:
            revoke_session(session, found[0].id, account_id=found[1].id)
        browser = request.headers.get("user-agent", "")
        _, token = start_session(session, account_id, browser=browser, age=settings.session_age)
    response = redirect(request, target, message=message)
    seconds = round(settings.session_age.total_seconds())
    set_cookie(request, response, SESSION, token, seconds=seconds)
    clear_cookie(request, response, VISIT)
    return response


def _login_page(
    request: Request,
    target: str,
    *,
    status: int = 200,
    login: str = "",
    problem: HeedfulError | None = None,
) -> Response:
    store = request.app.state.database
    with store.read() as session:
        is_new = not has_admin(session)
    visit = _visit(request)
    response = page(
        request,
        "access/login.html",
        status=status,
        csrf_token=csrf_token(visit),
        target=target,
        login=login,
        problem=problem,
        is_new=is_new,
    )
    set_cookie(request, response, VISIT, visit)
    return response


def _invite_page(
    request: Request,
    token: str,
    invite: InviteRow,
    project: ProjectRow | None,
    *,
    status: int = 200,
    problem: HeedfulError | None = None,
    login: str = "",
    name: str = "",
) -> Response:
    visit = _visit(request)
    response = page(
        request,
        "access/invite.html",
        status=status,
        csrf_token=csrf_token(visit),
        token=token,
        invite=invite,
        to_project=project,
        problem=problem,
        login=login,
        name=name,
        shortest=MIN_LENGTH,
        now=datetime.now(UTC),
    )
    set_cookie(request, response, VISIT, visit)
    return response


def _read_invite(store: Store, token: str) -> tuple[InviteRow, ProjectRow | None]:
    """An invite that can still be used, and its project.

    Raises:
        NotFoundError: It was used, revoked, has expired, or never was.
    """
    with store.read() as session:
        invite = open_invite(session, token)
        is_setup = invite is not None and invite.created_by is None and invite.role == "admin"
        if invite is None or (is_setup and has_admin(session)):
            raise not_found("invite, or it was used, taken back, or has expired")
        project = session.get(ProjectRow, invite.project_id) if invite.project_id else None
    return invite, project


def _visit(request: Request) -> str:
    """What ties the form of somebody who is not signed in to their browser."""
    known = read_cookie(request, VISIT)
    return known if len(known) == 43 else secrets.token_urlsafe(32)
