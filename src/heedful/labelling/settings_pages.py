"""What people set about themselves: name, password, look, sensitive items, sessions, tokens."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy import select

from heedful.core.errors import DataError, HeedfulError, LoginError
from heedful.labelling.api_scopes import SCOPES, check_scopes
from heedful.labelling.cookies import SESSION, set_cookie, settings_of
from heedful.labelling.guards import SignedIn, Store, Viewer, not_found, require
from heedful.labelling.rendering import page, redirect
from heedful.store.access import (
    account_by_id,
    end_sessions,
    set_avoids_sensitive,
    set_name,
    set_password,
)
from heedful.store.passwords import MIN_LENGTH, hashed
from heedful.store.people_tables import MemberRow
from heedful.store.sessions import revoke_session, rotate_session, sessions_of
from heedful.store.sign_in import verify_login
from heedful.store.tokens import create_token, revoke_token, tokens_of
from heedful.store.work_tables import ProjectRow

router = APIRouter()

Text = Annotated[str, Form(max_length=200)]
Secret = Annotated[str, Form(max_length=1000)]
Theme = Literal["auto", "light", "dark"]


@router.get("/settings")
def show_settings(request: Request, store: Store, viewer: SignedIn) -> Response:
    """Everything that one can set about oneself."""
    return _settings_page(request, store, viewer)


@router.post("/settings/name")
def change_name(request: Request, store: Store, viewer: SignedIn, name: Text = "") -> Response:
    """Change the name that researchers see."""
    try:
        with store.write() as session:
            set_name(session, account_id=viewer.id, name=name, by=viewer.id)
    except DataError as error:
        return _settings_page(request, store, viewer, {"name": error})
    return redirect(request, "/settings", message="Your name is changed.")


@router.post("/settings/password")
def change_password(
    request: Request,
    store: Store,
    viewer: SignedIn,
    current: Secret = "",
    password: Secret = "",
    again: Secret = "",
) -> Response:
    """Change the password; every other browser is signed out and this one gets a new session."""
    account = viewer.account
    assert viewer.session is not None
    try:
        verify_login(store, account.login, current, address=request.state.address)
        if password != again:
            raise DataError("The two new passwords differ.", "Type the same one twice.")
        ready = hashed(password, login=account.login)
    except LoginError:
        wrong = DataError("The current password is wrong.", "Type it again.")
        return _settings_page(request, store, viewer, {"password": wrong})
    except DataError as error:
        return _settings_page(request, store, viewer, {"password": error})
    with store.write() as session:
        set_password(
            session,
            account_id=viewer.id,
            password=ready,
            by=viewer.id,
            keep_session=viewer.session.id,
        )
        token = rotate_session(session, viewer.session.id)
    response = redirect(request, "/settings", message="Your password is changed.")
    if token is not None:
        seconds = round(settings_of(request).session_age.total_seconds())
        set_cookie(request, response, SESSION, token, seconds=seconds)
    return response


@router.post("/settings/sensitive")
def change_sensitive(
    request: Request, store: Store, viewer: SignedIn, avoid: Annotated[bool, Form()] = False
) -> Response:
    """Opt out of sensitive items, or in again."""
    with store.write() as session:
        set_avoids_sensitive(session, account_id=viewer.id, avoids=avoid)
    words = "You will get no sensitive items." if avoid else "You may get sensitive items."
    return redirect(request, "/settings", message=words)


@router.post("/settings/theme")
def change_theme(
    request: Request, store: Store, viewer: SignedIn, theme: Annotated[Theme, Form()]
) -> Response:
    """Light, dark, or as the system has it."""
    with store.write() as session:
        account = account_by_id(session, viewer.id)
        account.preferences = {**account.preferences, "theme": theme}
    return redirect(request, "/settings", message="The look is changed.")


@router.post("/settings/sessions/end-others")
def end_other_sessions(request: Request, store: Store, viewer: SignedIn) -> Response:
    """Sign every other browser out."""
    assert viewer.session is not None
    with store.write() as session:
        count = end_sessions(session, viewer.id, but=viewer.session.id)
    words = "browser is" if count == 1 else "browsers are"
    return redirect(request, "/settings", message=f"{count} other {words} signed out.")


@router.post("/settings/sessions/{session_id}/end")
def end_session(request: Request, store: Store, viewer: SignedIn, session_id: str) -> Response:
    """Sign one browser out."""
    with store.write() as session:
        if not revoke_session(session, session_id, account_id=viewer.id):
            raise not_found("session")
    return redirect(request, "/settings", message="That browser is signed out.")


@router.post("/settings/tokens")
def make_token(
    request: Request,
    store: Store,
    viewer: SignedIn,
    name: Text = "",
    scopes: Annotated[list[str], Form()] = [],  # noqa: B006 - never changed
    project_id: Text = "",
    days: Annotated[int, Form(ge=1, le=366)] = 90,
) -> Response:
    """Make a token for a program and show it, once."""
    require(viewer, "researcher")
    try:
        check_scopes(scopes)
        with store.write() as session:
            _, token = create_token(
                session,
                account_id=viewer.id,
                name=name,
                scopes=scopes,
                project_id=project_id or None,
                expires_in=timedelta(days=days),
            )
    except HeedfulError as error:
        return _settings_page(request, store, viewer, {"token": error})
    return _settings_page(request, store, viewer, new_token=token)


@router.post("/settings/tokens/{token_id}/revoke")
def end_token(request: Request, store: Store, viewer: SignedIn, token_id: str) -> Response:
    """Take a token back."""
    with store.write() as session:
        if not revoke_token(session, token_id, account_id=viewer.id):
            raise not_found("token")
    return redirect(request, "/settings", message="The token is revoked.")


def _settings_page(
    request: Request,
    store: Store,
    viewer: Viewer,
    problems: dict[str, HeedfulError] | None = None,
    new_token: str = "",
) -> Response:
    idle = settings_of(request).session_idle
    with store.read() as session:
        account = account_by_id(session, viewer.id)
        projects = select(ProjectRow).order_by(ProjectRow.name)
        if not viewer.is_admin:
            projects = projects.join(MemberRow).where(MemberRow.account_id == viewer.id)
        context = {
            "me": account,
            "sessions": sessions_of(session, viewer.id, idle=idle),
            "tokens": tokens_of(session, viewer.id),
            "projects": (mine := list(session.scalars(projects))),
        }
    return page(
        request,
        "access/settings.html",
        viewer=viewer,
        status=422 if problems else 200,
        scopes=SCOPES,
        problems=problems or {},
        new_token=new_token,
        shortest=MIN_LENGTH,
        choices=[("", "All that I can reach"), *((one.id, one.name) for one in mine)],
        **context,
    )
