"""The one place that decides who may see or do what. Every route depends on one of these.

What somebody may not see does not exist for them (404); what they may see but not do is
refused (403). Admins see everything; researchers and reviewers the projects that they are
members of; labellers their own work. Path parameters are named `project_id`, `batch_id`,
`item_id`, `submission_id`, `account_id`, `prompt_id`, `question_id`, `instructions_id`,
`invite_id` and `demonstration_id`; `object_guards` has the guards for those objects.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request
from sqlalchemy.orm import Session

from heedful.core.errors import HeedfulError, NotAllowedError
from heedful.labelling.cookies import SESSION, csrf_token, read_cookie, settings_of
from heedful.store.access import RANK
from heedful.store.columns import Role
from heedful.store.database import Database
from heedful.store.people_tables import AccountRow, ApiTokenRow, MemberRow, SessionRow
from heedful.store.sessions import is_seen_late, mark_seen, open_session
from heedful.store.tokens import is_used_late, mark_used, token_account
from heedful.store.work_tables import ProjectRow

View = TypeVar("View")
# Every dependency that lets nobody in unasked; `heedful.labelling.app` looks routes up here.
GUARDS: set[Callable[..., Any]] = set()


class SignInNeededError(HeedfulError):
    """Nobody is signed in; pages lead to the sign-in, other requests are answered 401."""


class NotFoundError(HeedfulError):
    """There is no such thing, or it is none of this person's business; they cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who asks, and with what rights.

    Attributes:
        session: None where a program asks with a token.
        csrf: What forms carry; empty for programs, which have no cookies.
        project_limit: The only project that a token reaches; None for no limit.
        scopes: Of a token.
    """

    account: AccountRow
    session: SessionRow | None = None
    csrf: str = ""
    project_limit: str | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def id(self) -> str:
        """The account's id."""
        return self.account.id

    @property
    def role(self) -> str:
        """The account's role."""
        return self.account.role

    @property
    def is_admin(self) -> bool:
        """Whether every project is open to them."""
        return self.account.role == "admin"

    def may(self, role: Role) -> bool:
        """Whether they have a role, or one above it."""
        return RANK[self.account.role] >= RANK[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectView:
    """A project that somebody may see.

    Attributes:
        member: None for an admin who is not a member.
    """

    viewer: Viewer
    project: ProjectRow
    member: MemberRow | None


def guard(check: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a dependency a guard."""
    GUARDS.add(check)
    return check


def database(request: Request) -> Database:
    """The store of the running application."""
    found: Database = request.app.state.database
    return found


Store = Annotated[Database, Depends(database)]


def find_viewer(request: Request) -> Viewer | None:
    """Whoever the session cookie belongs to, or None."""
    known = getattr(request.state, "viewer", None)
    if isinstance(known, Viewer):
        return known
    token = read_cookie(request, SESSION)
    if not token:
        return None
    store, settings = database(request), settings_of(request)
    with store.read() as session:
        found = open_session(session, token, idle=settings.session_idle)
    if found is None:
        return None
    row, account = found
    if is_seen_late(row):
        with store.write() as session:
            mark_seen(session, row.id)
    viewer = Viewer(account=account, session=row, csrf=csrf_token(token))
    request.state.viewer = viewer
    return viewer


@guard
def signed_in(request: Request) -> Viewer:
    """Anybody with an account."""
    viewer = find_viewer(request)
    if viewer is None:
        raise SignInNeededError("You are not signed in.", "Sign in and try again.")
    return viewer


SignedIn = Annotated[Viewer, Depends(signed_in)]


def needs(role: Role) -> Callable[..., Viewer]:
    """A guard for those who have `role` or one above it."""

    def check(viewer: SignedIn) -> Viewer:
        return require(viewer, role)

    return guard(check)


def project_access(role: Role = "reviewer") -> Callable[..., ProjectView]:
    """A guard for the project `project_id`; labellers see one only with the role `labeller`."""
    return object_guard("project_id", visible_project, role)


def object_guard(
    parameter: str, find: Callable[[Session, Viewer, str, Role], View], role: Role
) -> Callable[..., View]:
    """A guard for the object whose id stands in the path as `parameter`.

    Args:
        find: Gives the object to those who may see it and have the role, else raises.
    """

    def check(request: Request, viewer: SignedIn) -> View:
        with database(request).read() as session:
            return find(session, viewer, request.path_params[parameter], role)

    return guard(check)


def token_viewer(scope: str) -> Callable[..., Viewer]:
    """A guard for programs: a bearer token with that scope. Cookies count for nothing here."""

    def check(request: Request, authorization: Annotated[str, Header()] = "") -> Viewer:
        kind, _, token = authorization.partition(" ")
        store = database(request)
        if kind.lower() != "bearer" or not token:
            raise SignInNeededError(
                "A token is needed.", "Send `Authorization: Bearer <token>`; /settings makes one."
            )
        with store.read() as session:
            found = token_account(session, token.strip())
        if found is None:
            raise SignInNeededError(
                "This token opens nothing.", "It may have expired; make a new one."
            )
        account, row = found
        _require_scope(row, scope)
        if is_used_late(row):
            with store.write() as session:
                mark_used(session, row.id)
        viewer = Viewer(account=account, project_limit=row.project_id, scopes=frozenset(row.scopes))
        request.state.viewer = viewer
        return viewer

    return guard(check)


def token_project(scope: str, role: Role = "researcher") -> Callable[..., ProjectView]:
    """A guard for programs and the project `project_id`."""

    def check(
        request: Request,
        viewer: Annotated[Viewer, Depends(token_viewer(scope))],
        project_id: str,
    ) -> ProjectView:
        with database(request).read() as session:
            return visible_project(session, viewer, project_id, role)

    return guard(check)


def require(viewer: Viewer, role: Role) -> Viewer:
    """`viewer`, who has the role.

    Raises:
        NotAllowedError: They have not.
    """
    if not viewer.may(role):
        raise NotAllowedError(
            f"This is for those with the role of a {role}.", "Ask an admin if you need it."
        )
    return viewer


def visible_project(
    session: Session, viewer: Viewer, project_id: str, role: Role = "reviewer"
) -> ProjectView:
    """The project, where `viewer` may see it and has `role`.

    Raises:
        NotFoundError: They may not see it, or it does not exist.
        NotAllowedError: They may see it but lack the role.
    """
    project = session.get(ProjectRow, project_id) if project_id else None
    member = session.get(MemberRow, (project_id, viewer.id)) if project else None
    if project is None or viewer.project_limit not in (None, project_id):
        raise not_found("project")
    if not viewer.is_admin and member is None:
        raise not_found("project")
    if role != "labeller" and not viewer.may("reviewer"):
        raise not_found("project")
    require(viewer, role)
    return ProjectView(viewer=viewer, project=project, member=member)


def not_found(what: str) -> NotFoundError:
    """The one answer for what does not exist and for what one may not see."""
    return NotFoundError(f"There is no such {what}.", "Check the address.")


def _require_scope(row: ApiTokenRow, scope: str) -> None:
    if scope not in row.scopes:
        raise NotAllowedError(
            f"This token lacks the scope `{scope}`.", "Make one that has it under /settings."
        )
