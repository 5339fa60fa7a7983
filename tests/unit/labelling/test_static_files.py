"""Static files: kept by browsers when asked for by their hash."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from heedful.labelling.rendering import asset, asset_hash
from heedful.labelling.static_files import OwnFiles


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.mount("/static", OwnFiles())
    with TestClient(app) as made:
        yield made


def test_a_file_by_its_hash_is_kept_for_ever(client: TestClient) -> None:
    answer = client.get(asset("heedful.css"))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("query", ["", "?v=", "?v=000000000000", "?w=1"])
def test_otherwise_it_is_asked_for_again(client: TestClient, query: str) -> None:
    answer = client.get(f"/static/heedful.css{query}")
    assert answer.headers["cache-control"] == "public, no-cache"
    again = client.get("/static/heedful.css", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_files_in_folders_have_hashes_too(client: TestClient) -> None:
    name = "vendor/htmx/htmx.min.js"
    answer = client.get(f"/static/{name}?v={asset_hash(name)}")
    assert "immutable" in answer.headers["cache-control"]


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    assert client.get("/static/none.js?v=1").status_code == 404
    assert client.get("/static/vendor").status_code == 404
