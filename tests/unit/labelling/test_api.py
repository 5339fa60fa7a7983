"""The JSON API: projects, prompts, completions, its description, and who may use it."""

import re
from pathlib import Path
from typing import Any

import pytest

from fakes.api_site import ApiSite
from fakes.labelling_store import demo_project
from heedful.core.records import Completion, Prompt
from heedful.labelling.api import description
from heedful.labelling.api_scopes import SCOPES
from heedful.labelling.app import dependencies, page_routes

DOCS = Path(__file__).parents[3] / "docs" / "labelling-api.md"


def api_routes(site: ApiSite) -> list[Any]:
    routes = page_routes(site.client.app)
    return [route for route in routes if str(route.path).startswith("/api/v1")]


def test_a_program_sees_the_projects_of_its_account(site: ApiSite, headers: dict[str, str]) -> None:
    with site.database.write() as session:
        demo_project(session, name="Secret")
    found = site.client.get("/api/v1/projects", headers=headers).json()
    assert [entry["name"] for entry in found["entries"]] == ["Demo"]
    assert site.get("", headers)["pay_rate"] == 18.0
    admin = site.token(site.project.demo.admin.id)
    everything = site.client.get("/api/v1/projects", headers=admin).json()
    assert {entry["name"] for entry in everything["entries"]} == {"Demo", "Secret"}


def test_a_token_for_one_project_reaches_no_other(site: ApiSite) -> None:
    with site.database.write() as session:
        other = demo_project(session, name="Elsewhere")
    limited = site.token(site.project.demo.admin.id, project_id=site.project.demo.id)
    assert site.get("", limited)["name"] == "Demo"
    answer = site.client.get(f"/api/v1/projects/{other.id}", headers=limited)
    assert answer.status_code == 404
    found = site.client.get("/api/v1/projects", headers=limited).json()
    assert [entry["name"] for entry in found["entries"]] == ["Demo"]


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x", "Basic abc", "Bearer heedful_x"]
)
def test_without_a_token_nothing_opens(site: ApiSite, authorization: str) -> None:
    answer = site.client.get(site.base, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()) == {"error", "detail", "hint", "request_id"}


def test_every_route_needs_exactly_one_scope(site: ApiSite) -> None:
    """With every scope but its own a token is refused, whatever the route."""
    account = site.project.demo.researcher.id
    ids = {"project_id": site.project.demo.id, "batch_id": "b", "question_id": "q"}
    scope_of: dict[str, list[str]] = {}
    for route in api_routes(site):
        path = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], route.path)
        for method in route.methods - {"HEAD"}:
            opened = [
                scope
                for scope in SCOPES
                if site.client.request(
                    method, path, headers=site.token(account, scope), json={}
                ).status_code
                != 403
            ]
            scope_of[f"{method} {route.path}"] = opened
    assert {route: scopes for route, scopes in scope_of.items() if len(scopes) != 1} == {}
    assert {scope for scopes in scope_of.values() for scope in scopes} == set(SCOPES)
    writing = [route for route in scope_of if not route.startswith("GET")]
    assert all(scope_of[route][0].endswith(":write") for route in writing)


def test_labellers_and_reviewers_have_no_api(site: ApiSite) -> None:
    for account in (site.project.demo.labellers[0], site.project.demo.reviewer):
        token = site.token(account.id)
        assert site.client.get(site.base, headers=token).status_code in (403, 404)
        assert site.client.get("/api/v1/projects", headers=token).json()["entries"] == []


def test_prompts_are_added_once(site: ApiSite, headers: dict[str, str]) -> None:
    body = {"prompts": [{"instruction": "Say hello.", "consent": True, "tags": ["sensitive"]}]}
    first = site.client.post(f"{site.base}/prompts", headers=headers, json=body).json()
    again = site.client.post(f"{site.base}/prompts", headers=headers, json=body).json()
    assert (first["new"], again["new"], again["known"]) == (1, 0, 1)
    assert first["ids"] == again["ids"]
    found = site.get("/prompts", headers, source="api")["entries"]
    assert [Prompt.model_validate(one).instruction for one in found] == ["Say hello."]
    assert site.get("/prompts", headers, sensitive=True)["entries"] == found
    completion = {"prompt_id": first["ids"][0], "text": "Hello!", "checkpoint_id": "m"}
    for new in (1, 0):
        answer = site.client.post(
            f"{site.base}/completions", headers=headers, json={"completions": [completion]}
        )
        assert answer.json()["new"] == new
    (stored,) = site.get("/completions", headers, prompt_id=first["ids"][0])["entries"]
    assert Completion.model_validate(stored).text == "Hello!"


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("prompts", {"prompts": [{"instruction": "x", "consent": False}]}, "did not consent"),
        ("prompts", {"prompts": [{"instruction": "x"}]}, "consent"),
        ("prompts", {"prompts": []}, "prompts"),
        ("prompts", {"prompts": [{"instruction": "x\x00", "consent": True}]}, "NUL"),
        ("prompts", {"prompts": [{"instruction": "x", "consent": True, "a": 1}]}, "a"),
        (
            "completions",
            {"completions": [{"prompt_id": "no", "text": "x", "checkpoint_id": "m"}]},
            "`no`",
        ),
    ],
)
def test_what_cannot_be_added_is_told(
    site: ApiSite, headers: dict[str, str], path: str, body: dict[str, Any], told: str
) -> None:
    answer = site.client.post(f"{site.base}/{path}", headers=headers, json=body)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


def test_lists_come_page_by_page(site: ApiSite, headers: dict[str, str]) -> None:
    whole = [one["id"] for one in site.get("/completions", headers)["entries"]]
    found: list[str] = []
    after = None
    while True:
        query = {"limit": 5} | ({} if after is None else {"after": after})
        page = site.get("/completions", headers, **query)
        assert len(page["entries"]) <= 5
        found += [one["id"] for one in page["entries"]]
        after = page["next"]
        if after is None:
            break
    assert found == whole


@pytest.mark.parametrize("query", ["after=x", "after=%00", "limit=0", "limit=501", "order_by=id"])
def test_a_list_is_asked_only_what_it_declares(
    site: ApiSite, headers: dict[str, str], query: str
) -> None:
    answer = site.client.get(f"{site.base}/prompts?{query}", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_the_description_covers_every_route_and_anybody_may_read_it(site: ApiSite) -> None:
    found = site.client.get("/api/openapi.json")
    assert found.status_code == 200
    described = {
        (method.upper(), path)
        for path, operations in found.json()["paths"].items()
        for method in operations
    }
    routes = {
        (method, route.path) for route in api_routes(site) for method in route.methods - {"HEAD"}
    }
    assert described == routes
    assert found.json() == description(site.client.app)
    assert found.json()["security"] == [{"token": []}]


def test_the_documentation_names_every_route_and_scope(site: ApiSite) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for route in api_routes(site):
        for method in route.methods - {"HEAD"}:
            short = route.path.removeprefix("/api/v1")
            assert f"`{method} {short}`" in text, f"{method} {short}"
    for scope in SCOPES:
        assert f"`{scope}`" in text


def test_tokens_are_checked_by_the_guards_alone(site: ApiSite) -> None:
    for route in api_routes(site):
        names = {getattr(call, "__qualname__", "") for call in dependencies(route)}
        assert any(name.startswith("token_viewer") for name in names), route.path
