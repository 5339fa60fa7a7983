"""The application as a whole: every route guarded, parameters known, a public few."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel
from starlette.testclient import TestClient

from heedful.labelling.app import (
    create_app,
    dependencies,
    is_guarded,
    page_routes,
    query_names,
)
from heedful.labelling.guards import signed_in
from heedful.labelling.request_paths import PUBLIC
from heedful.store.database import Database, open_database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("app") / "labels.db"
    with open_database(f"sqlite:///{path}", migrate=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def app(database: Database) -> FastAPI:
    return create_app(database)


def test_every_route_is_guarded_or_public(app: FastAPI) -> None:
    assert [route.path for route in page_routes(app) if not is_guarded(route)] == []
    paths = {route.path for route in page_routes(app)}
    assert paths >= PUBLIC
    assert len(paths) > 50


def test_no_two_routes_answer_the_same(app: FastAPI) -> None:
    seen = [(method, route.path) for route in page_routes(app) for method in route.methods or ()]
    assert len(seen) == len(set(seen))


def test_a_route_without_a_guard_is_noticed() -> None:
    class Filters(BaseModel):
        state: str = ""

    def page_of(page: int = 1) -> int:
        return page

    app = FastAPI()

    @app.get("/open")
    def left_open(
        filters: Annotated[Filters, Query()],
        page: Annotated[int, Depends(page_of)],
        sort: Annotated[str, Query(alias="order")] = "",
    ) -> None: ...

    @app.get("/closed", dependencies=[Depends(signed_in)])
    def closed() -> None: ...

    routes = {route.path: route for route in page_routes(app)}
    assert not is_guarded(routes["/open"])
    assert is_guarded(routes["/closed"])
    assert signed_in in set(dependencies(routes["/closed"]))
    assert set(query_names(routes["/open"])) == {"state", "page", "order"}


def test_it_answers_and_shows_no_documentation_of_its_own(app: FastAPI) -> None:
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/").headers["location"] == "/login"
        for path in ("/docs", "/redoc", "/openapi.json", "/static/../app.py"):
            assert client.get(path).status_code == 404


def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    with open_database(f"sqlite:///{path}", migrate=True) as opened:
        app = create_app(opened)
    path.unlink()
    path.mkdir()
    with TestClient(app, base_url="http://localhost") as client:
        answer = client.get("/login")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
