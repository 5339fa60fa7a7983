"""Attacks on who one is: guessing, planted sessions, rights one was not given, cookies, tokens."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import httpx
import pytest
from starlette.testclient import TestClient

from fakes.label_world import World, attacked_world
from fakes.labelling_life import PASSWORD
from fakes.labelling_site import csrf_of
from heedful.labelling.api_scopes import SCOPES
from heedful.labelling.app import create_app
from heedful.labelling.server_settings import ServerSettings
from heedful.store.access import accounts, create_account, set_role, suspend
from heedful.store.columns import utc_now
from heedful.store.invites import create_invite, revoke_invite
from heedful.store.passwords import hashed
from heedful.store.tokens import create_token

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with attacked_world(tmp_path_factory.mktemp("sign-in")) as made:
        yield made


def plain(answer: httpx.Response) -> str:
    """An answer without what differs from request to request."""
    text = re.sub(r"request [0-9a-f]{12}", "request", answer.text)
    return re.sub(r'name="csrf_token" value="[^"]*"', "", text)


def test_sign_in_tells_nothing_of_who_exists(world: World) -> None:
    with world.site.database.write() as session:
        gone = create_account(
            session,
            login="gone",
            name="Gone",
            role="labeller",
            password=hashed(PASSWORD, login="gone"),
        )
        suspend(session, account_id=gone.id, by=None)
    said = set()
    for login, password in (("ana", "wrong"), ("nobody", "wrong"), ("gone", PASSWORD)):
        answer = world.send(None, "POST", "/login", login=login, password=password)
        assert answer.status_code == 401
        assert "heedful_session" not in answer.headers.get("set-cookie", "")
        said.add(plain(answer).replace(f'value="{login}"', ""))
    assert len(said) == 1


def test_invites_tell_nothing_of_why_they_fail(world: World) -> None:
    with world.site.database.write() as session:
        row, revoked = create_invite(session, role="labeller", created_by=None)
        revoke_invite(session, row.id, by=None)
    said = set()
    for token in (revoked, "never-was", "a" * 43, "x" * 3000, "%00", "..%2f..%2flogin"):
        answer = world.send(None, "GET", f"/invite/{token}")
        assert answer.status_code == 404, token
        said.add(plain(answer))
    assert len(said) <= 2  # one of them is no path of ours


def test_a_session_set_by_a_stranger_is_not_taken_over(world: World) -> None:
    with httpx.Client(base_url=world.site.url) as client:
        client.cookies.set("heedful_session", "planted-by-a-stranger", domain="127.0.0.1", path="/")
        world.site.sign_in(client, "cleo")
        token = _session_token(client)
        assert token != "planted-by-a-stranger"
        form = {"csrf_token": csrf_of(client.get("/settings").text)}
        assert client.post("/logout", data=form).status_code == 303
        client.cookies.clear()
        client.cookies.set("heedful_session", token, domain="127.0.0.1", path="/")
        assert client.get("/settings").status_code == 303


def test_signing_in_again_ends_the_session_before(world: World) -> None:
    with httpx.Client(base_url=world.site.url) as client:
        world.site.sign_in(client, "cleo")
        first = _session_token(client)
        form = {
            "login": "eve",
            "password": PASSWORD,
            "csrf_token": csrf_of(world.client(None).get("/login").text),
        }
        cookies = {one.name: str(one.value) for one in world.client(None).cookies.jar}
        cookies["heedful_session"] = first
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        with httpx.Client(base_url=world.site.url) as other:
            answer = other.post("/login", data=form, headers={"Cookie": header})
        assert answer.status_code == 303
        assert client.get("/settings").status_code == 303


def test_nobody_promotes_themselves(world: World) -> None:
    extra = {
        "role": "admin",
        "state": "active",
        "is_admin": "true",
        "account_id": world.life.people["ana"].id,
        "held_out": "true",
        "stage": "working",
        "name": "Ana Demo",
        "theme": "auto",
    }
    roles = _roles(world)
    for login in ("ana", "reviewer"):
        for method, template in world.routes():
            if method != "GET" and template not in ("/logout", "/work/items/{item_id}/skip"):
                answer = world.send(login, method, world.fill(template), **extra)
                assert answer.status_code < 500, (login, template)
    assert _roles(world) == roles
    form = {"login": "mal", "name": "Mal", "password": PASSWORD, "again": PASSWORD}
    path = f"/invite/{world.tokens['invite']}"
    with httpx.Client(base_url=world.site.url) as client:
        form["csrf_token"] = csrf_of(client.get(path).text)
        assert client.post(path, data={**form, "role": "admin"}).status_code == 303
    assert _roles(world) == {**roles, "mal": "labeller"}


def test_a_demotion_works_at_once(world: World) -> None:
    with world.site.database.write() as session:
        made = create_account(
            session,
            login="tess",
            name="Tess",
            role="admin",
            password=hashed(PASSWORD, login="tess"),
        )
    assert world.send("tess", "GET", "/admin/accounts").status_code == 200
    with world.site.database.write() as session:
        set_role(session, account_id=made.id, role="labeller", by=world.life.people["admin"].id)
    assert world.send("tess", "GET", "/admin/accounts").status_code == 303


def _roles(world: World) -> dict[str, str]:
    with world.site.database.read() as session:
        return {row.login: row.role for row in accounts(session)}


def _session_token(client: httpx.Client) -> str:
    return next(str(one.value) for one in client.cookies.jar if one.name == "heedful_session")


def test_a_changed_password_changes_the_session_and_ends_the_others(world: World) -> None:
    with world.site.database.write() as session:
        create_account(
            session,
            login="pat",
            name="Pat",
            role="labeller",
            password=hashed(PASSWORD, login="pat"),
        )
    with closing(world.site.client("pat")) as here, closing(world.site.client("pat")) as there:
        before = _session_token(here)
        new = "another harbour at noon 43"
        form = {"current": PASSWORD, "password": new, "again": new}
        assert world.site.post(here, "/settings/password", **form).status_code == 303
        assert _session_token(here) != before
        assert here.get("/settings").status_code == 200
        assert there.get("/settings").status_code == 303
        here.cookies.clear()
        here.cookies.set("heedful_session", before, domain="127.0.0.1", path="/")
        assert here.get("/settings").status_code == 303


def test_guessing_ends_soon(world: World) -> None:
    answers = [
        world.send(None, "POST", "/login", login="target", password="guess").status_code
        for _ in range(12)
    ]
    assert answers[:8] == [401] * 8
    assert answers[8:] == [429] * 4
    answer = world.send(None, "POST", "/login", login="target", password="guess")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\/evil", "javascript:alert(1)"],
)
def test_signing_in_leads_to_no_other_site(world: World, target: str) -> None:
    with httpx.Client(base_url=world.site.url) as client:
        page = client.get("/login", params={"next": target})
        assert "evil" not in page.text
        form = {"login": "cleo", "password": PASSWORD, "next": target}
        form["csrf_token"] = csrf_of(page.text)
        answer = client.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_cookies_are_for_this_server_alone(world: World) -> None:
    with httpx.Client(base_url=world.site.url) as client:
        first = client.get("/login").headers["set-cookie"]
        form = {
            "login": "cleo",
            "password": PASSWORD,
            "csrf_token": csrf_of(client.get("/login").text),
        }
        for cookie in (first, client.post("/login", data=form).headers["set-cookie"]):
            assert "HttpOnly" in cookie
            assert "samesite=lax" in cookie.lower()
            assert "domain" not in cookie.lower()


def test_over_https_cookies_are_secure_and_the_host_is_checked(world: World) -> None:
    url = "https://label.example.org"
    app = create_app(world.site.database, ServerSettings(public_url=url))
    with TestClient(app, base_url=url, follow_redirects=False) as client:
        answer = client.get("/login")
        form = {"login": "cleo", "password": PASSWORD, "csrf_token": csrf_of(answer.text)}
        signed_in = client.post("/login", data=form, headers={"Origin": url})
        assert signed_in.status_code == 303
        for one, name in ((answer, "visit"), (signed_in, "session")):
            cookie = one.headers["set-cookie"]
            assert cookie.startswith(f"__Host-heedful_{name}=")
            assert "Secure" in cookie
            assert "Path=/" in cookie
            assert "max-age" in one.headers["strict-transport-security"]
        assert client.get("/settings").status_code == 200
        for host, status in (("label.example.org", 200), ("evil.example", 400), ("", 400)):
            assert client.get("/healthz", headers={"Host": host}).status_code == status, host


def test_the_address_of_a_stranger_counts_whatever_they_claim(world: World) -> None:
    app = create_app(world.site.database, ServerSettings(trusted_proxies=("192.0.2.1",)))
    with TestClient(app, base_url="http://localhost", client=("198.51.100.9", 5)) as client:
        token = csrf_of(client.get("/login").text)
        form = {"login": "elsewhere", "password": "guess", "csrf_token": token}
        answers = [
            client.post("/login", data=form, headers={"X-Forwarded-For": f"203.0.113.{n}"})
            for n in range(10)
        ]
        assert [answer.status_code for answer in answers] == [401] * 8 + [429] * 2


def test_programs_need_a_token_with_the_scope(world: World) -> None:
    routes = [one for one in world.routes(api=True) if one[1] != "/api/openapi.json"]
    assert routes, "the API has no routes"
    before = world.fingerprint()
    client = world.client("admin")
    expired = utc_now() - timedelta(days=2)
    with world.site.database.write() as session:
        admin = world.life.people["admin"].id
        none = create_token(session, account_id=admin, name="n", scopes=["nothing:at-all"])[1]
        old = create_token(
            session,
            account_id=admin,
            name="o",
            scopes=list(SCOPES),
            expires_in=timedelta(days=1),
            now=expired,
        )[1]
    before = world.fingerprint()
    for method, template in routes:
        path = world.fill(template)
        for header, status in (
            ({}, 401),
            ({"X-CSRF-Token": world.csrf["admin"]}, 401),
            ({"Authorization": "Bearer nothing"}, 401),
            ({"Authorization": f"Basic {none}"}, 401),
            ({"Authorization": f"Bearer {old}"}, 401),
            ({"Authorization": f"Bearer {none}"}, 403),
        ):
            answer = client.request(method, path, headers=header)
            assert answer.status_code == status, (method, template, header, answer.text)
            assert answer.headers["content-type"].startswith("application/json")
    after = world.fingerprint()
    assert {name for name in after if after[name] != before[name]} <= {"api_tokens"}


def test_programs_reach_their_project_alone(world: World) -> None:
    with world.site.database.write() as session:
        people = {row.login: row for row in accounts(session)}
        limited = create_token(
            session,
            account_id=people["admin"].id,
            name="limited",
            scopes=list(SCOPES),
            project_id=world.other_project,
        )[1]
        stranger = create_token(
            session, account_id=people["oscar"].id, name="s", scopes=list(SCOPES)
        )[1]
    before = world.fingerprint()
    for method, template in world.routes(api=True):
        if "{" not in template:
            continue
        for token in (limited, stranger):
            with httpx.Client(
                base_url=world.site.url, headers={"Authorization": f"Bearer {token}"}
            ) as client:
                hidden = client.request(method, world.fill(template))
                nothing = client.request(method, world.nowhere(template))
            assert hidden.status_code == 404, (method, template, hidden.text)
            assert hidden.json()["detail"] == nothing.json()["detail"]
    after = world.fingerprint()
    assert {name for name in after if after[name] != before[name]} <= {"api_tokens"}
