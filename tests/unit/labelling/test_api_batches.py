from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.api_site import ApiSite, api_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ApiSite]:
    with api_site(tmp_path) as found:
        yield found


@pytest.fixture
def headers(site: ApiSite) -> dict[str, str]:
    return site.token(site.project.demo.researcher.id)


def make(site: ApiSite, headers: dict[str, str], **changes: Any) -> Any:
    items = [
        {"prompt_id": f"prompt-{n}", "completion_ids": [f"completion-{n}-{k}" for k in (1, 2, 3)]}
        for n in (1, 2)
    ]
    body = {"name": "New", "kind": "ranking", "purpose": "training", "items": items} | changes
    return site.client.post(f"{site.base}/batches", headers=headers, json=body)


def test_a_batch_is_made_opened_and_closed(site: ApiSite, headers: dict[str, str]) -> None:
    made = make(site, headers, overlap=2)
    assert made.status_code == 201
    batch = made.json()
    assert (batch["state"], batch["progress"]["slots"]) == ("draft", 4)
    address = f"{site.base}/batches/{batch['id']}"
    opened = site.client.post(f"{address}/state", headers=headers, json={"state": "open"})
    assert opened.json()["state"] == "open"
    refused = site.client.post(f"{address}/state", headers=headers, json={"state": "closed"})
    assert refused.status_code == 422
    assert "4 of 4 labels are still missing" in refused.json()["detail"]
    body = {"state": "closed", "reason": "a mistake"}
    assert site.client.post(f"{address}/state", headers=headers, json=body).status_code == 200
    assert site.get(f"/batches/{batch['id']}", headers)["closed_reason"] == "a mistake"


def test_batches_are_listed_by_purpose_and_state(site: ApiSite, headers: dict[str, str]) -> None:
    def names(**query: str) -> list[str]:
        return [one["name"] for one in site.get("/batches", headers, **query)["entries"]]

    assert names() == ["Training", "Disputes", "Final", "Writing"]
    assert names(purpose="evaluation") == ["Final"]
    assert names(state="closed") == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Training"}, "already"),
        ({"items": [{"prompt_id": "prompt-1", "completion_ids": ["completion-2-1"]}]}, "item"),
        ({"items": []}, "items"),
        ({"kind": "guessing"}, "kind"),
        ({"overlap": 0}, "overlap"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_cannot_be_a_batch_is_told(
    site: ApiSite, headers: dict[str, str], changes: dict[str, Any], told: str
) -> None:
    answer = make(site, headers, **changes)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


def test_a_batch_of_another_project_is_not_there(site: ApiSite) -> None:
    from fakes.labelling_store import demo_batch, demo_project

    with site.database.write() as session:
        other = demo_project(session, name="Other")
        theirs = demo_batch(session, other)
    admin = site.token(site.project.demo.admin.id)
    address = f"{site.base}/batches/{theirs.id}"
    assert site.client.get(address, headers=admin).status_code == 404
    body = {"state": "closed", "reason": "x"}
    assert site.client.post(f"{address}/state", headers=admin, json=body).status_code == 404
