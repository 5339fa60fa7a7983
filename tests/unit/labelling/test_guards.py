"""Who may see which project, with a cookie and with a token."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from fakes.labelling_store import DemoProject, demo_project
from heedful.core.errors import NotAllowedError
from heedful.labelling import errors
from heedful.labelling.cookies import csrf_token
from heedful.labelling.guards import (
    GUARDS,
    NotFoundError,
    ProjectView,
    Viewer,
    needs,
    project_access,
    require,
    signed_in,
    token_project,
    token_viewer,
    visible_project,
)
from heedful.labelling.server_settings import ServerSettings
from heedful.store.access import suspend
from heedful.store.columns import Role, utc_now
from heedful.store.database import Database
from heedful.store.sessions import start_session
from heedful.store.tables import AccountRow, SessionRow
from heedful.store.tokens import create_token

READ = "labels:read"


@dataclass
class Place:
    database: Database
    demo: DemoProject
    other: DemoProject
    client: TestClient

    def sign_in(self, account: AccountRow, **settings: Any) -> str:
        with self.database.write() as session:
            _, token = start_session(session, account.id, **settings)
        self.client.cookies.set("heedful_session", token, domain="localhost.local")
        return token


def small_app(database: Database) -> FastAPI:
    app = FastAPI()
    app.state.database, app.state.settings = database, ServerSettings()
    errors.install(app)

    @app.get("/any")
    def anybody(viewer: Annotated[Viewer, Depends(signed_in)]) -> dict[str, str]:
        return {"login": viewer.account.login, "csrf": viewer.csrf}

    @app.get("/staff")
    def staff(viewer: Annotated[Viewer, Depends(needs("researcher"))]) -> str:
        return viewer.id

    @app.get("/projects/{project_id}")
    def project(view: Annotated[ProjectView, Depends(project_access())]) -> str:
        return view.project.id

    @app.get("/api/labels")
    def labels(viewer: Annotated[Viewer, Depends(token_viewer(READ))]) -> str:
        return viewer.id

    @app.get("/api/{project_id}")
    def through_api(view: Annotated[ProjectView, Depends(token_project(READ))]) -> str:
        return view.project.id

    return app


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    with database.write() as session:
        demo, other = demo_project(session), demo_project(session, name="Other")
    with TestClient(
        small_app(database), base_url="http://localhost", follow_redirects=False
    ) as client:
        yield Place(database, demo, other, client)


def test_guards_are_known() -> None:
    assert signed_in in GUARDS
    assert needs("admin") in GUARDS
    assert token_viewer(READ) in GUARDS


def test_nobody_is_led_to_the_sign_in_and_back(place: Place) -> None:
    answer = place.client.get("/any?x=1&y=%2F")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/any%3Fx%3D1%26y%3D%252F"
    assert (
        place.client.get("/any", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/login"
    )
    as_program = place.client.get("/any", headers={"Accept": "application/json"})
    assert as_program.status_code == 401
    assert as_program.json()["detail"] == "You are not signed in."


def test_a_session_opens_what_its_account_may(place: Place) -> None:
    token = place.sign_in(place.demo.researcher)
    assert place.client.get("/any").json() == {"login": "researcher", "csrf": csrf_token(token)}
    assert place.client.get("/staff").status_code == 200
    assert place.client.get(f"/projects/{place.demo.id}").status_code == 200
    assert place.client.get(f"/projects/{place.other.id}").status_code == 404
    place.sign_in(place.demo.labellers[0])
    assert place.client.get("/staff").status_code == 403
    assert place.client.get(f"/projects/{place.demo.id}").status_code == 404


def test_the_last_request_is_noted(place: Place) -> None:
    long_ago = utc_now() - timedelta(hours=1)
    place.sign_in(place.demo.admin, now=long_ago)
    assert place.client.get("/any").status_code == 200
    with place.database.read() as session:
        seen = session.query(SessionRow).one().last_seen_at
    assert utc_now() - seen < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("login", "role", "outcome"),
    [
        ("admin", "admin", None),
        ("researcher", "researcher", None),
        ("researcher", "labeller", None),
        ("researcher", "admin", NotAllowedError),
        ("reviewer", "reviewer", None),
        ("reviewer", "researcher", NotAllowedError),
        ("labeller1", "labeller", None),
        ("labeller1", "reviewer", NotFoundError),
        ("researcher-other", "researcher", NotFoundError),
        ("labeller1-other", "labeller", NotFoundError),
        ("admin-other", "researcher", None),
    ],
)
def test_who_sees_a_project(
    place: Place, login: str, role: Role, outcome: type[Exception] | None
) -> None:
    with place.database.read() as session:
        account = session.get_one(AccountRow, f"account-{login}")
        viewer = Viewer(account=account)
        if outcome is None:
            view = visible_project(session, viewer, place.demo.id, role)
            assert view.project.id == place.demo.id
            assert (view.member is None) == login.startswith("admin")
        else:
            with pytest.raises(outcome):
                visible_project(session, viewer, place.demo.id, role)
        with pytest.raises(NotFoundError):
            visible_project(session, viewer, "project-none", role)


def test_roles_are_in_order(place: Place) -> None:
    reviewer = Viewer(account=place.demo.reviewer)
    assert reviewer.may("labeller")
    assert reviewer.may("reviewer")
    assert not reviewer.may("researcher")
    assert not reviewer.is_admin
    assert reviewer.role == "reviewer"
    with pytest.raises(NotAllowedError, match="admin"):
        require(reviewer, "admin")


def make_token(place: Place, account: AccountRow, **settings: Any) -> dict[str, str]:
    with place.database.write() as session:
        scopes = settings.pop("scopes", [READ])
        _, token = create_token(session, account_id=account.id, name="t", scopes=scopes, **settings)
    return {"Authorization": f"Bearer {token}"}


def test_tokens_open_their_scope_and_project(place: Place) -> None:
    get = place.client.get
    everything = make_token(place, place.demo.admin)
    limited = make_token(place, place.demo.admin, project_id=place.demo.id)
    other_scope = make_token(place, place.demo.admin, scopes=["batches:write"])
    theirs = make_token(place, place.demo.researcher)
    labellers = make_token(place, place.demo.labellers[0])
    assert get("/api/labels", headers=everything).json() == place.demo.admin.id
    assert get("/api/labels", headers=other_scope).status_code == 403
    for headers, here, there in (
        (everything, 200, 200),
        (limited, 200, 404),
        (theirs, 200, 404),
        (labellers, 404, 404),
    ):
        assert get(f"/api/{place.demo.id}", headers=headers).status_code == here
        assert get(f"/api/{place.other.id}", headers=headers).status_code == there


def test_cookies_open_nothing_for_programs(place: Place) -> None:
    place.sign_in(place.demo.admin)
    answer = place.client.get("/api/labels")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    headers = make_token(place, place.demo.researcher)
    with place.database.write() as session:
        suspend(session, account_id=place.demo.researcher.id, by=None)
    assert place.client.get("/api/labels", headers=headers).status_code == 401
