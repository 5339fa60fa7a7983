"""Pages of batches: the list, one batch, opening, pausing and closing it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.projects import publish_instructions
from heedful.store.tables import AuditRow, BatchRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def path_of(pages: Pages, name: str) -> str:
    return f"/batches/{pages.life.batches[name].id}"


def batch_of(pages: Pages, name: str) -> BatchRow:
    with pages.database.read() as session:
        return session.get_one(BatchRow, pages.life.batches[name].id)


def test_the_list_shows_every_batch(pages: Pages) -> None:
    text = pages.get("researcher", f"/projects/{pages.life.project.id}/batches").text
    for name in pages.life.batches:
        assert name in text
    assert "15 of 15" in text


def test_a_batch_shows_its_items(pages: Pages) -> None:
    text = pages.get("researcher", path_of(pages, "First rankings")).text
    assert "14 of 15" in text
    assert "1. Why are there two high tides" in text
    assert "sensitive" in text
    assert "User-based, Brainstorming" in pages.get("admin", path_of(pages, "New prompts")).text


@pytest.mark.parametrize(
    ("batch", "show", "found"),
    [
        ("First rankings", "unfinished", "No such item"),
        ("First rankings", "labelled", "5 items"),
        ("First rankings", "sensitive", "1 item"),
        ("Practice", "gold", "3 items"),
        ("Practice", "labelled", "No such item"),
        ("Practice", "nonsense", "3 items"),
    ],
)
def test_items_are_filtered(pages: Pages, batch: str, show: str, found: str) -> None:
    assert found in pages.get("researcher", f"{path_of(pages, batch)}?show={show}").text


def test_progress_stands_alone(pages: Pages) -> None:
    text = pages.get("researcher", f"{path_of(pages, 'First rankings')}/progress").text
    assert "<html" not in text
    assert "14 of 15" in text


def test_a_batch_is_paused_opened_and_closed_with_a_reason(pages: Pages) -> None:
    path = path_of(pages, "Practice")
    for state in ("paused", "open"):
        assert pages.form("researcher", f"{path}/state", state=state).status_code == 303
        assert batch_of(pages, "Practice").state == state
    refused = pages.form("researcher", f"{path}/state", state="closed")
    assert refused.status_code == 422
    assert "labels are still missing" in refused.text
    pages.form("researcher", f"{path}/state", state="closed", reason="Enough")
    assert batch_of(pages, "Practice").closed_reason == "Enough"
    assert "Closed with work left: Enough" in pages.get("researcher", path).text
    with pages.database.read() as session:
        lines = session.scalars(
            select(AuditRow.action).where(
                AuditRow.object_id == pages.life.batches["Practice"].id,
                AuditRow.account_id == pages.id_of("researcher"),
            )
        ).all()
    assert {"batch.paused", "batch.open", "batch.closed"} <= set(lines)


def test_an_unknown_state_changes_nothing(pages: Pages) -> None:
    path = path_of(pages, "Nine outputs")
    answer = pages.form("researcher", f"{path}/state", state="burnt")
    assert answer.status_code == 303
    assert batch_of(pages, "Nine outputs").state == "open"


def test_another_version_of_the_instructions_can_apply(pages: Pages) -> None:
    with pages.database.write() as session:
        row = publish_instructions(
            session,
            project_id=pages.life.project.id,
            purpose="training",
            text="New words",
            published_by=None,
        )
        version_id = row.id
    path = path_of(pages, "Nine outputs")
    assert "Go by another version" in pages.get("researcher", path).text
    form = {"instructions_id": version_id}
    assert pages.form("researcher", f"{path}/instructions", **form).status_code == 303
    assert batch_of(pages, "Nine outputs").instructions_id == version_id
    wrong = pages.form("researcher", f"{path_of(pages, 'Practice')}/instructions", **form)
    assert wrong.status_code == 422


def test_only_researchers_get_in(pages: Pages) -> None:
    path = path_of(pages, "First rankings")
    assert pages.get("ana", path).status_code == 404
    assert pages.get("reviewer", path).status_code == 403
    assert pages.form("ana", f"{path}/state", state="closed", reason="x").status_code == 404
