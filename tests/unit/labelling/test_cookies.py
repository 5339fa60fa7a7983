"""CSRF tokens, and the messages that the next page shows."""

import base64
import json

import pytest
from fastapi import FastAPI, Request, Response
from starlette.testclient import TestClient

from heedful.labelling.cookies import (
    MESSAGE,
    SESSION,
    clear_cookie,
    csrf_token,
    is_csrf_token,
    read_cookie,
    read_messages,
    set_cookie,
    set_message,
)
from heedful.labelling.server_settings import ServerSettings


def client_of(settings: ServerSettings, url: str = "http://localhost") -> TestClient:
    app = FastAPI()
    app.state.settings = settings

    @app.get("/set")
    def set_all(request: Request, response: Response) -> None:
        set_cookie(request, response, SESSION, "token", seconds=60)
        set_message(request, response, "Saved “it”; a=b", "warn")

    @app.get("/read")
    def read_all(request: Request) -> dict[str, object]:
        return {"session": read_cookie(request, SESSION), "messages": read_messages(request)}

    @app.get("/clear")
    def clear(request: Request, response: Response) -> None:
        clear_cookie(request, response, SESSION)

    return TestClient(app, base_url=url)


def test_a_csrf_token_goes_with_its_secret_alone() -> None:
    token = csrf_token("secret")
    assert is_csrf_token("secret", token)
    assert not is_csrf_token("other", token)
    assert not is_csrf_token("secret", token[:-1])
    assert not is_csrf_token("secret", "é")
    assert not is_csrf_token("", csrf_token(""))


@pytest.mark.parametrize(
    ("settings", "url", "name"),
    [
        (ServerSettings(), "http://localhost", "heedful_session"),
        (
            ServerSettings(public_url="https://a.example"),
            "https://a.example",
            "__Host-heedful_session",
        ),
    ],
)
def test_cookies_come_back_and_go(settings: ServerSettings, url: str, name: str) -> None:
    with client_of(settings, url) as client:
        client.get("/set")
        assert client.cookies.get(name) == "token"
        assert client.get("/read").json() == {
            "session": "token",
            "messages": [["warn", "Saved “it”; a=b"]],
        }
        client.get("/clear")
        assert client.get("/read").json()["session"] == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"no json", b"[]", b'["good"]', b'["evil", "x"]', b'["good", 1]', b"[" * 1500],
)
def test_messages_that_make_no_sense_are_not_shown(content: bytes) -> None:
    with client_of(ServerSettings()) as client:
        value = base64.urlsafe_b64encode(content).decode()
        client.cookies.set(f"{MESSAGE}", value, domain="localhost.local")
        assert client.get("/read").json()["messages"] == []
        for raw in ("%%%", "ä".encode().decode("latin-1"), "x" * 9000):
            header = {"Cookie": f"{MESSAGE}={raw}".encode("latin-1")}
            assert client.get("/read", headers=header).json()["messages"] == []  # type: ignore[arg-type]


def test_long_messages_are_cut() -> None:
    with client_of(ServerSettings()) as client:
        content = json.dumps(["good", "x" * 700]).encode()
        client.cookies.set(
            MESSAGE, base64.urlsafe_b64encode(content).decode(), domain="localhost.local"
        )
        assert len(client.get("/read").json()["messages"][0][1]) == 600
