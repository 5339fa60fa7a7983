"""Whatever a program with a valid token sends, the API answers and never breaks.

Made from the API's own description: each route is sent values of every kind, in the address
and in the body. What has no place is refused with words; nothing is answered with 500.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.api_site import ApiSite, api_site
from fakes.databases import KINDS, Server, fresh_url
from heedful.labelling.api import description

STRANGE = (
    "",
    "0",
    "-1",
    "1e400",
    "9" * 30,
    "\x00",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "' OR 1=1 --",
    "../../etc/passwd",
    "%00",
    "\u202e",
    "x" * 600,
    "null",
    "true",
    "NaN",
    "2026-11-22",
    "prompt-1",
    "training",
    "ranking",
    "keep",
)
TEXTS = st.sampled_from(STRANGE) | st.text(max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module", params=KINDS)
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_server: Callable[[], Server],
) -> Iterator[ApiSite]:
    folder = tmp_path_factory.mktemp("api")
    with (
        fresh_url(request.param, folder, postgresql_server) as url,
        api_site(folder, url) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def headers(site: ApiSite) -> dict[str, str]:
    return site.token(site.project.demo.admin.id)


def operations(site: ApiSite) -> list[tuple[str, str, dict[str, Any]]]:
    found = description(site.client.app)["paths"]
    return [(method, path, one) for path, of in found.items() for method, one in of.items()]


def bodies(schema: dict[str, Any], known: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that nearly fit a schema: right fields, and anything in them."""
    if "$ref" in schema:
        return bodies(known[schema["$ref"].rpartition("/")[2]], known, depth + 1)
    choices = [VALUES]
    if "enum" in schema:
        choices.append(st.sampled_from(schema["enum"]))
    choices += [bodies(part, known, depth + 1) for part in schema.get("anyOf", ())]
    if schema.get("type") == "array" and depth < 6:
        inner = bodies(schema.get("items", {}), known, depth + 1)
        choices = [st.lists(inner, max_size=3)] * 3 + choices
    if "properties" in schema and depth < 6:
        fields = {
            name: bodies(part, known, depth + 1) for name, part in schema["properties"].items()
        }
        required = {name: fields[name] for name in schema.get("required", ())}
        optional = {name: part for name, part in fields.items() if name not in required}
        choices = [st.fixed_dictionaries(required, optional=optional)] * 5 + choices
    return st.one_of(choices)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_request_breaks_the_server(
    site: ApiSite, headers: dict[str, str], data: st.DataObject
) -> None:
    method, path, operation = data.draw(st.sampled_from(operations(site)))
    known = description(site.client.app)["components"]["schemas"]
    ids = st.just(site.project.demo.id) if data.draw(st.integers(0, 9)) else TEXTS
    inside = {"project_id": data.draw(ids), "batch_id": site.project.batches["Training"]}
    address = re.sub(
        r"\{(\w+)\}",
        lambda found: _quoted(inside.get(found[1]) or data.draw(TEXTS)),
        path,
    )
    names = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    query = {
        name: data.draw(TEXTS) for name in names if data.draw(st.integers(0, 3), label=name) == 0
    }
    content = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        content = json.dumps(data.draw(bodies(schema, known)))
    answer = site.client.request(
        method,
        address,
        params=query,
        content=content,
        headers=headers | {"Content-Type": "application/json"},
    )
    assert answer.status_code < 500, (answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"prompts": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"prompts": NaN}',
        b'{"prompts": [{"instruction": "\\ud800", "consent": true}]}',
        b'{"prompts": [{"instruction": "x", "consent": true, "num": ' + b"9" * 10_000 + b"}]}",
    ],
    ids=["empty", "cut off", "not UTF-8", "deep", "deep inside", "NaN", "half a pair", "long"],
)
def test_a_body_that_is_no_json_is_refused(
    site: ApiSite, headers: dict[str, str], content: bytes
) -> None:
    answer = site.client.post(
        f"{site.base}/prompts",
        content=content,
        headers=headers | {"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.json()["detail"]


def _quoted(text: Any) -> str:
    return quote(str(text), safe="")


@pytest.mark.parametrize("value", ["\x00", "a\x00b", "\u202e", "9" * 18])
def test_every_parameter_stands_what_a_database_cannot_hold(
    site: ApiSite, headers: dict[str, str], value: str
) -> None:
    ids = {"project_id": site.project.demo.id, "batch_id": value, "question_id": value}
    for method, path, operation in operations(site):
        address = re.sub(r"\{(\w+)\}", lambda found: _quoted(ids[found[1]]), path)
        names = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
        for name in names or [None]:
            answer = site.client.request(
                method,
                address,
                params={} if name is None else {name: value},
                headers=headers,
                json={"text": "x", "state": "open"},
            )
            assert answer.status_code < 500, (method, path, name, answer.text)
