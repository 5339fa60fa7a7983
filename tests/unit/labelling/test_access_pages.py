"""Signing in and out, taking up invites, the start page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from fakes.labelling_site import csrf_of
from fakes.labelling_store import DemoProject, demo_project
from heedful.labelling.app import create_app
from heedful.store.access import create_account
from heedful.store.columns import Role
from heedful.store.database import Database, open_database
from heedful.store.invites import create_invite, create_setup_link
from heedful.store.passwords import hashed
from heedful.store.tables import AccountRow, MemberRow

PASSWORD = "a calm harbour at dusk"


@dataclass
class Place:
    database: Database
    demo: DemoProject
    client: TestClient

    def post(self, form_at: str, path: str, **fields: Any) -> httpx.Response:
        """Send a form with the token of the page where it stands."""
        token = csrf_of(self.client.get(form_at).text)
        return self.client.post(path, data={"csrf_token": token, **fields})

    def sign_in(self, login: str, **fields: Any) -> httpx.Response:
        return self.post("/login", "/login", login=login, password=PASSWORD, **fields)

    def invite(self, **settings: Any) -> str:
        settings = {"role": "labeller", "created_by": None, **settings}
        with self.database.write() as session:
            return create_invite(session, **settings)[1]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("access") / "labels.db"
    with open_database(f"sqlite:///{path}", migrate=True) as database:
        with database.write() as session:
            demo = demo_project(session)
            ready = hashed(PASSWORD, login="nobody")
            for row in (demo.admin, demo.researcher, demo.reviewer, *demo.labellers):
                row.password_hash = ready.argon2id
        app = create_app(database)
        with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
            yield Place(database, demo, client)


@pytest.mark.parametrize(
    ("login", "start"),
    [
        ("admin", "/projects"),
        ("researcher", "/projects"),
        ("reviewer", "/review"),
        ("labeller1", "/work"),
    ],
)
def test_everybody_starts_where_their_work_is(place: Place, login: str, start: str) -> None:
    assert place.client.get("/").headers["location"] == "/login"
    assert place.sign_in(login).headers["location"] == "/"
    assert place.client.get("/").headers["location"] == start
    assert place.client.get(start).status_code == 200


def test_one_lands_where_one_was_going(place: Place) -> None:
    answer = place.client.get("/settings")
    assert answer.headers["location"] == "/login?next=/settings"
    assert 'value="/settings"' in place.client.get("/login?next=/settings").text
    assert place.sign_in("admin", next="/settings").headers["location"] == "/settings"
    assert place.client.get("/login?next=/work").headers["location"] == "/work"


def test_a_wrong_password_shows_the_form_again(place: Place) -> None:
    answer = place.post("/login", "/login", login="admin", password="wrong", next="/work")
    assert answer.status_code == 401
    assert "Login or password is wrong." in answer.text
    assert 'value="admin"' in answer.text
    assert 'value="/work"' in answer.text
    assert "wrong</" not in answer.text.replace("password is wrong", "")


def test_signing_out_ends_the_session(place: Place) -> None:
    place.sign_in("admin")
    kept = dict(place.client.cookies)
    answer = place.post("/settings", "/logout")
    assert answer.headers["location"] == "/login"
    assert "You are signed out." in place.client.get("/login").text
    place.client.cookies.update(kept)
    assert place.client.get("/settings").status_code == 303


def test_an_invite_makes_an_account_and_signs_it_in(place: Place) -> None:
    link = f"/invite/{place.invite(project_id=place.demo.id)}"
    page = place.client.get(link).text
    assert "a labeller in the project Demo" in page
    form = {"login": "fay", "name": "Fay", "password": PASSWORD, "again": PASSWORD}
    answer = place.post(link, link, **form)
    assert answer.status_code == 303
    assert place.client.get("/").headers["location"] == "/work"
    assert place.client.get(link).status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"again": "another one entirely"}, "differ"),
        ({"password": "short", "again": "short"}, "Choose one of 12"),
        ({"login": "ADMIN"}, "taken"),
        ({"login": "no spaces"}, "cannot be used"),
        ({"name": ""}, "name"),
    ],
)
def test_a_form_that_does_not_fit_leaves_the_invite(
    place: Place, change: dict[str, str], words: str
) -> None:
    link = f"/invite/{place.invite()}"
    form = {"login": "fay", "name": "Fay", "password": PASSWORD, "again": PASSWORD, **change}
    answer = place.post(link, link, **form)
    assert answer.status_code == 422
    assert words in answer.text
    assert PASSWORD not in answer.text
    assert place.client.get(link).status_code == 200


def test_an_invite_that_is_used_meanwhile(place: Place) -> None:
    link = f"/invite/{place.invite()}"
    token = csrf_of(place.client.get(link).text)
    form = {"login": "fay", "name": "Fay", "password": PASSWORD, "again": PASSWORD}
    assert place.post(link, link, **form).status_code == 303
    answer = place.client.post(link, data={**form, "login": "gil", "csrf_token": token})
    assert answer.status_code in {403, 404}


@pytest.mark.parametrize(("role", "status"), [("labeller", 303), ("reviewer", 403)])
def test_somebody_signed_in_joins_with_their_account(place: Place, role: Role, status: int) -> None:
    with place.database.write() as session:
        ready = hashed(PASSWORD, login="lone")
        lone = create_account(session, login="lone", name="L", role="labeller", password=ready)
    token = place.invite(project_id=place.demo.id, role=role)
    place.sign_in("lone")
    assert "Join the project" in place.client.get(f"/invite/{token}").text
    answer = place.post("/settings", "/settings/projects", token=token)
    assert answer.status_code == status
    with place.database.read() as session:
        joined = session.get(MemberRow, (place.demo.id, lone.id)) is not None
        assert session.get_one(AccountRow, lone.id).role == "labeller"
    assert joined == (status == 303)


def test_the_first_admin_sets_the_server_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("fresh") / "labels.db"
    with open_database(f"sqlite:///{path}", migrate=True) as database:
        with database.write() as session:
            _, token = create_setup_link(session)
        app = create_app(database)
        with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
            place = Place(database, None, client)  # type: ignore[arg-type]
            assert "setup link" in client.get("/login").text
            link = f"/invite/{token}"
            assert "Set up this server" in client.get(link).text
            form = {"login": "ida", "name": "Ida", "password": PASSWORD, "again": PASSWORD}
            assert place.post(link, link, **form).status_code == 303
            assert client.get("/").headers["location"] == "/projects"
            client.cookies.clear()
            assert "setup link" not in client.get("/login").text
