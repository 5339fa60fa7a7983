"""Attacks on the labelling application over real HTTP, route by route.

The route table is walked, so that a new route is attacked without being named here; one
whose place nobody said (`PLACES`, `label_world`) fails. Injected markup is in
`test_label_injection.py`, who one is and what rights one has in `test_label_sign_in_attacks.py`.
"""

import http.client
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fakes.label_world import STRANGERS, World, attacked_world
from fakes.labelling_site import csrf_of
from heedful.labelling.app import is_guarded, page_routes
from heedful.labelling.cookies import csrf_token

pytestmark = pytest.mark.slow
# Whose the paths are, by their beginnings; the longest that fits counts.
PLACES = {
    "/work": "labeller",
    "/settings": "labeller",
    "/logout": "labeller",
    "/review": "reviewer",
    "/projects": "reviewer",
    "/projects/new": "researcher",
    "/batches": "reviewer",
    "/items": "reviewer",
    "/submissions": "reviewer",
    "/prompts": "reviewer",
    "/questions": "researcher",
    "/instructions": "reviewer",
    "/exports": "researcher",
    "/invites": "researcher",
    "/admin": "admin",
}
HIDDEN = {403, 404}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with attacked_world(tmp_path_factory.mktemp("attacks")) as made:
        yield made


def place(path: str) -> str:
    """The least role that a path is for."""
    fitting = [one for one in PLACES if path == one or path.startswith((f"{one}/", f"{one}."))]
    assert fitting, f"{path}: say in PLACES whose it is"
    return PLACES[max(fitting, key=len)]


def plain(answer: httpx.Response) -> str:
    """An answer without what differs from request to request."""
    text = re.sub(r"request [0-9a-f]{12}", "request", answer.text)
    return re.sub(r'name="csrf_token" value="[^"]*"', "", text)


def test_every_route_has_a_guard_or_is_public(world: World) -> None:
    assert [route.path for route in page_routes(world.site.app) if not is_guarded(route)] == []


def test_nobody_gets_in_without_signing_in(world: World) -> None:
    before = world.fingerprint()
    for method, template in world.routes():
        answer = world.send(None, method, world.fill(template))
        if method == "GET":
            assert answer.status_code == 303, template
            assert answer.headers["location"].startswith("/login"), template
        else:
            assert answer.status_code in {401, 403}, template
    assert world.fingerprint() == before


def test_things_of_another_project_do_not_exist(world: World) -> None:
    before = world.fingerprint()
    for method, template in world.routes():
        if "{" not in template:
            continue
        for login in STRANGERS:
            hidden = world.send(login, method, world.fill(template))
            nothing = world.send(login, method, world.nowhere(template))
            assert hidden.status_code in HIDDEN, (login, method, template, hidden.status_code)
            assert plain(hidden) == plain(nothing), (login, method, template)
            assert hidden.status_code == nothing.status_code
    assert world.fingerprint() == before


def test_a_labellers_work_is_hidden_from_other_labellers(world: World) -> None:
    before = world.fingerprint()
    work = {"item_id", "submission_id", "demonstration_id", "question_id"}
    personal = {"session_id", "token_id", "invite_id", "account_id"}
    for method, template in world.routes():
        names = {name for name in work | personal if f"{{{name}}}" in template}
        if not names:
            continue
        for login in ("bo", "dee", "eve"):
            answer = world.send(login, method, world.fill(template))
            assert answer.status_code in HIDDEN, (login, method, template, answer.status_code)
            assert plain(answer) == plain(world.send(login, method, world.nowhere(template)))
    assert world.fingerprint() == before


def test_people_below_a_paths_role_get_nowhere(world: World) -> None:
    before = world.fingerprint()
    rank = {"labeller": 0, "reviewer": 1, "researcher": 2, "admin": 3}
    people = {"ana": "labeller", "reviewer": "reviewer", "researcher": "researcher"}
    for method, template in world.routes():
        for login, role in people.items():
            if rank[role] < rank[place(template)]:
                answer = world.send(login, method, world.fill(template))
                assert answer.status_code in HIDDEN, (login, method, template)
    assert world.fingerprint() == before


def test_every_write_needs_the_forms_token(world: World) -> None:
    client = world.client("admin")
    world.client("bo")
    before = world.fingerprint()
    here = {"Origin": world.site.url, "Accept": "text/html"}
    for method, template in world.routes():
        if method == "GET":
            continue
        path = world.fill(template)
        good = world.csrf["admin"]
        tries: list[tuple[dict[str, str], dict[str, str]]] = [
            ({}, here),
            ({"csrf_token": ""}, here),
            ({"csrf_token": "0" * 64}, here),
            ({"csrf_token": world.csrf["bo"]}, here),
            ({"csrf_token": csrf_token("")}, here),
            ({"csrf_token": good}, {**here, "Sec-Fetch-Site": "cross-site"}),
            ({"csrf_token": good}, {**here, "Sec-Fetch-Site": "same-site"}),
            ({"csrf_token": good}, {**here, "Origin": "http://evil.example"}),
            ({"csrf_token": good}, {**here, "Origin": "null"}),
        ]
        for form, headers in tries:
            answer = client.request(method, path, data=form, headers=headers)
            assert answer.status_code == 403, (method, template, form, answer.status_code)
        answer = client.request(method, path, json={"csrf_token": good}, headers=here)
        assert answer.status_code == 403, (method, template)
    assert world.fingerprint() == before


def test_signing_in_and_invites_need_the_forms_token_too(world: World) -> None:
    before = world.fingerprint()
    form = {"login": "ana", "password": "a calm harbour at dusk 42"}
    with httpx.Client(base_url=world.site.url) as client:
        own = csrf_of(client.get("/login").text)
        for path in ("/login", f"/invite/{world.tokens['invite']}"):
            for token in (None, "", "0" * 64, csrf_token("")):
                sent = form if token is None else {**form, "csrf_token": token}
                assert client.post(path, data=sent).status_code == 403
            stranger = {**form, "csrf_token": own}
            cross = {"Origin": "http://evil.example"}
            assert client.post(path, data=stranger, headers=cross).status_code == 403
        client.cookies.clear()
        assert client.post("/login", data={**form, "csrf_token": own}).status_code == 403
    assert world.fingerprint() == before


def test_looking_changes_nothing(world: World) -> None:
    logins = ("admin", "researcher", "reviewer", "ana", "dee")
    for login in logins:
        world.client(login)
    before = world.fingerprint()
    for method, template in world.routes():
        if method != "GET":
            continue
        for login in logins:
            answer = world.send(login, "GET", world.fill(template))
            assert answer.status_code < 500, (login, template, answer.text[-500:])
        for verb in ("PUT", "DELETE", "PATCH"):
            token = {"X-CSRF-Token": world.csrf["admin"]}
            answer = world.client("admin").request(verb, world.fill(template), headers=token)
            assert answer.status_code == 405, (verb, template)
    changed = {name for name, value in world.fingerprint().items() if value != before[name]}
    assert changed == set()


def test_unknown_parameters_are_refused(world: World) -> None:
    for method, template in world.routes():
        if method != "GET":
            continue
        path = world.fill(template)
        for name in ("order_by", "password_hash", "filter[account__password_hash]", "sort", "__x"):
            if name in _declared(world, template):
                continue
            answer = world.send("admin", "GET", path, **{name: "password_hash"})
            assert answer.status_code == 422, (template, name)


def test_known_parameters_take_no_columns(world: World) -> None:
    secret_values = world.secrets()
    for method, template in world.routes():
        for name in _declared(world, template) if method == "GET" else ():
            for value in (
                "password_hash",
                "accounts.password_hash",
                "1; DROP TABLE accounts",
                "\0",
            ):
                answer = world.send("admin", "GET", world.fill(template), **{name: value})
                assert answer.status_code < 500, (template, name, value)
                assert not [one for one in secret_values if one in answer.text], (template, name)


def test_no_page_shows_a_secret(world: World) -> None:
    for login in ("admin", "researcher", "ana"):
        world.client(login)
    secret_values = world.secrets()
    for method, template in world.routes():
        for login in ("admin", "researcher", "ana") if method == "GET" else ():
            answer = world.send(login, "GET", world.fill(template))
            found = [one for one in secret_values if one in answer.text]
            assert found == [], (login, template)
            assert "argon2" not in answer.text, (login, template)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/../../store/access.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2fstore%2faccess.py",
        "/static/..\\app.py",
        "/static//etc/passwd",
        "/static/vendor/../../app.py",
        "/static/",
        "/static/vendor",
        "/static/heedful.css%00.html",
    ],
)
def test_static_files_lead_nowhere_else(world: World, path: str) -> None:
    port = world.site.settings.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status in {400, 404}, body[:200]
    assert b"def " not in body
    assert b"root:" not in body


def test_every_answer_has_the_headers(world: World) -> None:
    answers = [
        world.send(login, method, world.fill(template))
        for method, template in world.routes()
        for login in ("admin", None)
        if method == "GET"
    ]
    answers += [world.client(None).get(path) for path in ("/login", "/nope", "/static/nope.js")]
    answers.append(world.client(None).post("/login", content=b"x" * (3 << 20)))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def _declared(world: World, template: str) -> frozenset[str]:
    names: dict[Any, frozenset[str]] = world.site.app.state.query_names
    return next(
        names[route.endpoint]
        for route in page_routes(world.site.app)
        if route.path == template and "GET" in (route.methods or ())
    )
