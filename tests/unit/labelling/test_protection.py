"""What stands before the pages: hosts, sizes, headers, forged writes, unknown parameters, logs."""

import logging
from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Form, Request
from starlette.testclient import TestClient

from heedful.labelling import errors
from heedful.labelling.cookies import csrf_token
from heedful.labelling.protection import (
    HEADERS,
    HideSecrets,
    Protection,
    check_query,
    check_write,
    hide_secrets_in_logs,
)
from heedful.labelling.server_settings import ServerSettings

SETTINGS = ServerSettings(max_body_bytes=1000, max_upload_bytes=5000)


def app_of(settings: ServerSettings) -> FastAPI:
    app = FastAPI(dependencies=[Depends(check_query), Depends(check_write)])
    app.state.settings = settings
    errors.install(app)

    @app.get("/page")
    def page(request: Request, sort: str = "") -> str:
        return str(request.state.address)

    @app.post("/write")
    def write(text: Annotated[str, Form()] = "") -> str:
        return text

    @app.post("/prompts/import")
    async def upload(request: Request) -> int:
        return len(await request.body())

    @app.get("/fail")
    def fail() -> None:
        raise ZeroDivisionError("a secret detail")

    app.state.query_names = {page: frozenset({"sort"})}
    app.add_middleware(
        Protection, settings=settings, is_known=lambda request: "x-known" in request.headers
    )
    return app


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app_of(SETTINGS), base_url="http://localhost") as made:
        made.cookies.set("heedful_session", "secret", domain="localhost.local")
        yield made


TOKEN = {"X-CSRF-Token": csrf_token("secret")}


def test_every_answer_has_the_headers(client: TestClient) -> None:
    for path in ("/page", "/none", "/fail"):
        answer = client.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers["x-request-id"]) == 12
        assert "strict-transport-security" not in answer.headers


def test_a_defect_of_ours_tells_its_number_and_nothing_else(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/fail")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert answer.headers["x-request-id"] in caplog.text
    as_json = client.get("/fail", headers={"Accept": "application/json"}).json()
    assert set(as_json) == {"error", "detail", "hint", "request_id"}


def test_the_form_or_a_header_carries_the_token(client: TestClient) -> None:
    good = csrf_token("secret")
    assert client.post("/write", data={"csrf_token": good, "text": "x"}).json() == "x"
    assert client.post("/write", files={"a": b""}, data={"csrf_token": good}).status_code == 200
    assert client.post("/write", data={"text": "x"}, headers=TOKEN).json() == "x"
    assert client.post("/write", data={"text": "x"}).status_code == 403
    assert client.post("/write", json={"csrf_token": good}).status_code == 403
    assert client.post("/write", files={"csrf_token": good.encode()}).status_code == 403
    assert client.post("/write", headers={"X-CSRF-Token": csrf_token("x")}).status_code == 403
    client.cookies.clear()
    assert client.post("/write", headers=TOKEN).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
def test_where_a_write_comes_from(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/write", headers={**TOKEN, **headers}).status_code == status


def test_behind_a_proxy_the_public_address_counts() -> None:
    app = app_of(ServerSettings(public_url="https://label.example.org"))
    with TestClient(app, base_url="https://label.example.org") as client:
        client.cookies.set("__Host-heedful_session", "secret")
        for origin, status in (("https://label.example.org", 200), ("https://evil.example", 403)):
            assert client.post("/write", headers={**TOKEN, "Origin": origin}).status_code == status
        assert "max-age" in client.get("/page").headers["strict-transport-security"]


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 100):
        yield b"x" * 100


@pytest.mark.parametrize(
    ("path", "length", "known", "status"),
    [
        ("/write", 900, False, 200),
        ("/write", 1100, True, 413),
        ("/prompts/import", 900, False, 200),
        ("/prompts/import", 1100, False, 413),
        ("/prompts/import", 4900, True, 200),
        ("/prompts/import", 5100, True, 413),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_long_requests_end(
    client: TestClient, path: str, length: int, known: bool, status: int, streamed: bool
) -> None:
    headers = {**TOKEN, "Content-Type": "application/x-www-form-urlencoded"}
    headers |= {"X-Known": "yes"} if known else {}
    body = chunks(length) if streamed else b"x" * length
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == status
    if status == 413:
        assert "MiB" in answer.text


def test_unknown_parameters_are_named_harmlessly(client: TestClient) -> None:
    assert client.get("/page?sort=a").status_code == 200
    answer = client.get("/page", params={"<b>order": "x"})
    assert answer.status_code == 422
    assert "`?b?order`" in answer.text


def test_foreign_hosts_are_refused(client: TestClient) -> None:
    answer = client.get("/page", headers={"Host": "rebound.example"})
    assert answer.status_code == 400
    assert "--public-url" in answer.text


def test_sockets_are_refused(client: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/page"):
        pass


def test_tokens_of_invites_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    hide_secrets_in_logs()
    hide_secrets_in_logs()
    logger = logging.getLogger("uvicorn.access")
    assert sum(isinstance(one, HideSecrets) for one in logger.filters) == 1
    with caplog.at_level(logging.INFO, logger="uvicorn.access"):
        logger.info('%s - "%s %s" %d', "127.0.0.1", "GET", "/invite/SECRET?x=1", 200)
        logger.info("GET /invite/SECRET")
    assert "SECRET" not in caplog.text
    assert caplog.text.count("/invite/[secret]") == 2
