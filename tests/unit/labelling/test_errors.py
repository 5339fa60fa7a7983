"""Errors as pages and as JSON, with the same words."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI, HTTPException
from starlette.testclient import TestClient

from fakes.inert_html import MARK, faults_of
from heedful.core.errors import (
    DataError,
    DraftConflictError,
    HeedfulError,
    LeaseLostError,
    NotAllowedError,
    RateLimitedError,
    SchemaError,
    StoreUnavailableError,
)
from heedful.labelling import errors
from heedful.labelling.guards import NotFoundError
from heedful.labelling.server_settings import ServerSettings

RAISED: dict[str, Callable[[], Exception]] = {
    "422": lambda: DataError(f"what {MARK}", f"hint {MARK}"),
    "403": lambda: NotAllowedError("not yours", "Ask."),
    "404": lambda: NotFoundError("no such thing", "Look."),
    "409": lambda: LeaseLostError("gone", "Take another."),
    "429": lambda: RateLimitedError("too often", seconds=12.4),
    "503": lambda: StoreUnavailableError("locked", "Wait."),
    "418": lambda: HTTPException(418, "a teapot", {"X-Tea": "green"}),
}
JSON = {"Accept": "application/json"}


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.state.settings = ServerSettings()
    errors.install(app)

    @app.get("/raise/{name}")
    def fail(name: str) -> None:
        error = RAISED[name]()
        raise error

    @app.get("/number")
    def number(n: int, m: int) -> int:
        return n + m

    @app.get("/conflict")
    def conflict() -> None:
        raise DraftConflictError(7, {"text": "newer"})

    with TestClient(app) as made:
        yield made


@pytest.mark.parametrize("name", RAISED)
def test_each_error_has_its_status_and_its_words(client: TestClient, name: str) -> None:
    page, as_json = client.get(f"/raise/{name}"), client.get(f"/raise/{name}", headers=JSON)
    assert page.status_code == as_json.status_code == int(name)
    assert page.headers["content-type"].startswith("text/html")
    assert faults_of(page.text) == []
    error = RAISED[name]()
    said = error.what if isinstance(error, HeedfulError) else "a teapot"
    assert as_json.json()["detail"] == said
    assert said.split()[0] in page.text


def test_headers_that_say_when_to_come_back(client: TestClient) -> None:
    assert client.get("/raise/429").headers["retry-after"] == "12"
    assert client.get("/raise/503").headers["retry-after"] == "5"
    assert client.get("/raise/418").headers["x-tea"] == "green"


def test_a_form_that_does_not_fit_names_its_fields(client: TestClient) -> None:
    answer = client.get("/number?n=x", headers=JSON)
    assert answer.status_code == 422
    assert set(answer.json()["fields"]) == {"n", "m"}
    page = client.get("/number", params={"n": MARK}).text
    assert "<strong>m</strong>" in page
    assert faults_of(page) == []


def test_a_newer_draft_comes_with_the_conflict(client: TestClient) -> None:
    answer = client.get("/conflict", headers=JSON)
    assert answer.status_code == 409
    assert answer.json()["revision"] == 7
    assert answer.json()["body"] == {"text": "newer"}


def test_no_such_page(client: TestClient) -> None:
    assert "There is no such page." in client.get("/none").text
    assert client.post("/number").status_code == 405
    assert client.get("/api/none").json()["detail"] == "There is no such page."


def test_the_most_particular_status_is_found() -> None:
    assert errors.STATUS_OF[SchemaError] == 503
