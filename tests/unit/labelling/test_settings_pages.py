"""What people set about themselves, over HTTP."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from fakes.labelling_site import csrf_of
from fakes.labelling_store import DemoProject, demo_project
from heedful.labelling.app import create_app
from heedful.store.access import account_by_id
from heedful.store.database import Database, open_database
from heedful.store.passwords import hashed, matches
from heedful.store.sessions import session_account, start_session
from heedful.store.tables import AccountRow
from heedful.store.tokens import token_account, tokens_of

PASSWORD = "a calm harbour at dusk"
NEW = "a stormy harbour at noon"


@dataclass
class Place:
    database: Database
    demo: DemoProject
    client: TestClient

    def post(self, path: str, **fields: Any) -> httpx.Response:
        token = csrf_of(self.client.get("/settings").text)
        return self.client.post(path, data={"csrf_token": token, **fields})

    def as_(self, account: AccountRow) -> str:
        with self.database.write() as session:
            row, token = start_session(session, account.id, browser="A Browser 1.0")
        self.client.cookies.set("heedful_session", token, domain="localhost.local")
        return row.id

    def account(self, row: AccountRow) -> AccountRow:
        with self.database.read() as session:
            return account_by_id(session, row.id)


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("settings") / "labels.db"
    with open_database(f"sqlite:///{path}", migrate=True) as database:
        with database.write() as session:
            demo = demo_project(session)
            for row in (demo.researcher, demo.labellers[0]):
                row.password_hash = hashed(PASSWORD, login=row.login).argon2id
        app = create_app(database)
        with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
            made = Place(database, demo, client)
            made.as_(demo.labellers[0])
            yield made


def test_the_name(place: Place) -> None:
    assert place.post("/settings/name", name=" Ana  B ").status_code == 303
    page = place.client.get("/settings").text
    assert "Your name is changed." in page
    assert 'value="Ana B"' in page
    assert "Your name is changed." not in place.client.get("/settings").text
    answer = place.post("/settings/name", name=" ")
    assert answer.status_code == 422
    assert "the name cannot be used" in answer.text


def test_the_look_and_sensitive_items(place: Place) -> None:
    me = place.demo.labellers[0]
    with place.database.write() as session:
        account_by_id(session, me.id).preferences = {"shortcuts": {"on": False}}
    assert place.post("/settings/theme", theme="dark").status_code == 303
    assert place.account(me).preferences == {"shortcuts": {"on": False}, "theme": "dark"}
    assert 'data-theme="dark"' in place.client.get("/settings").text
    assert place.post("/settings/theme", theme="pink").status_code == 422
    assert place.post("/settings/sensitive", avoid="true").status_code == 303
    assert place.account(me).avoids_sensitive
    assert place.post("/settings/sensitive").status_code == 303
    assert not place.account(me).avoids_sensitive


def test_the_password(place: Place) -> None:
    me = place.demo.labellers[0]
    form = {"current": PASSWORD, "password": NEW, "again": NEW}
    for change, words in (
        ({"current": "wrong"}, "current password is wrong"),
        ({"again": "other"}, "differ"),
        ({"password": "short", "again": "short"}, "Choose one of 12"),
    ):
        answer = place.post("/settings/password", **{**form, **change})
        assert answer.status_code == 422
        assert words in answer.text
    before = dict(place.client.cookies)["heedful_session"]
    assert place.post("/settings/password", **form).status_code == 303
    assert matches(place.account(me).password_hash, NEW)
    assert dict(place.client.cookies)["heedful_session"] != before
    with place.database.read() as session:
        assert session_account(session, before) is None


def test_other_browsers_are_signed_out(place: Place) -> None:
    me = place.demo.labellers[0]
    others = [place.as_(me) for _ in range(3)]
    own = place.as_(me)
    page = place.client.get("/settings").text
    assert page.count("A Browser 1.0") == 5
    assert page.count("this one") == 1
    assert place.post(f"/settings/sessions/{others[0]}/end").status_code == 303
    assert place.post(f"/settings/sessions/{others[0]}/end").status_code == 404
    assert place.post("/settings/sessions/end-others").status_code == 303
    page = place.client.get("/settings").text
    assert "3 other browsers are signed out." in page
    assert page.count("A Browser 1.0") == 1
    assert f"/settings/sessions/{own}/end" not in page


def test_tokens_are_shown_once_and_revoked(place: Place) -> None:
    me = place.demo.researcher
    place.as_(me)
    form = {"name": "nightly", "scopes": ["labels:read"], "project_id": place.demo.id, "days": "30"}
    answer = place.post("/settings/tokens", **form)
    shown = re.search(r"heedful_[\w-]{43}", answer.text)
    assert shown
    with place.database.read() as session:
        found = token_account(session, shown[0])
        assert found is not None
        assert found[1].project_id == place.demo.id
        (row,) = tokens_of(session, me.id)
    page = place.client.get("/settings").text
    assert shown[0] not in page
    assert row.prefix in page
    assert "in Demo" in page
    assert place.post(f"/settings/tokens/{row.id}/revoke").status_code == 303
    assert place.post(f"/settings/tokens/{row.id}/revoke").status_code == 404
    with place.database.read() as session:
        assert token_account(session, shown[0]) is None


@pytest.mark.parametrize(
    "change",
    [{"scopes": []}, {"scopes": ["all:of-it"]}, {"name": ""}, {"days": "400"}, {"project_id": "x"}],
)
def test_tokens_that_make_no_sense(place: Place, change: dict[str, Any]) -> None:
    place.as_(place.demo.researcher)
    form = {"name": "nightly", "scopes": ["labels:read"], "days": "30", **change}
    assert place.post("/settings/tokens", **form).status_code == 422


def test_labellers_make_no_tokens(place: Place) -> None:
    assert "Tokens for programs" not in place.client.get("/settings").text
    form = {"name": "nightly", "scopes": ["labels:read"], "days": "30"}
    assert place.post("/settings/tokens", **form).status_code == 403
