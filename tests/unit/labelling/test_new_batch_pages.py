"""The form for a new batch: looking at it first, then making it."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import BatchRow, ItemRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def send(pages: Pages, **form: Any) -> Any:
    first = {"name": "N", "kind": "ranking", "purpose": "training", "overlap": "2", "most": "50"}
    path = f"/projects/{pages.life.project.id}/batches/new"
    return pages.form("researcher", path, **(first | form))


def made(pages: Pages, name: str) -> tuple[BatchRow, list[ItemRow]]:
    with pages.database.read() as session:
        batch = session.scalars(select(BatchRow).where(BatchRow.name == name)).one()
        items = session.scalars(select(ItemRow).where(ItemRow.batch_id == batch.id)).all()
    return batch, list(items)


def test_the_form_offers_what_there_is(pages: Pages) -> None:
    path = f"/projects/{pages.life.project.id}/batches/new"
    text = pages.get("researcher", path).text
    assert "model-9" in text
    assert 'value="sensitive"' in text
    assert 'name="num_completions"' in text


def test_a_batch_is_looked_at_before_it_is_made(pages: Pages) -> None:
    answer = send(pages, action="preview", num_completions="4", unused="")
    assert answer.status_code == 200
    assert "This batch would have 6 items" in answer.text
    few = send(pages, action="preview", num_completions="9", unused="")
    assert "This batch would have 1 item" in few.text
    assert "5 prompts have too few different completions" in few.text
    none = send(pages, action="preview", text="not in any prompt")
    assert "No prompt fits" in none.text
    with pages.database.read() as session:
        assert session.scalars(select(BatchRow).where(BatchRow.name == "N")).first() is None


def test_a_ranking_of_chosen_checkpoints(pages: Pages) -> None:
    answer = send(
        pages,
        name="Two models",
        purpose="evaluation",
        action="draft",
        num_completions="2",
        checkpoints=["model-2", "model-3"],
        baseline="model-2",
        lease_minutes="45",
        priority="5",
        sensitive="no",
    )
    assert answer.status_code == 303
    batch, items = made(pages, "Two models")
    assert (batch.state, batch.overlap, batch.priority) == ("draft", 2, 5)
    assert (batch.lease_seconds, batch.baseline) == (2700, "model-2")
    assert len(items) == 5
    assert all(one.completion_ids[0].endswith("-2") for one in items)


def test_demonstrations_and_prompts_open_at_once(pages: Pages) -> None:
    send(pages, name="Write", kind="demonstration", action="open", most="2")
    batch, items = made(pages, "Write")
    assert (batch.state, len(items)) == ("open", 2)
    send(
        pages,
        name="Ask",
        kind="prompt",
        action="open",
        num_plain="1",
        num_user_based="2",
        application="A shop",
        brief_use_case="chat",
    )
    _, briefs = made(pages, "Ask")
    assert [one.brief["kind"] for one in briefs if one.brief].count("user_based") == 2


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "The name is missing."),
        ({"name": "First rankings"}, "already"),
        ({"overlap": "0"}, "from 1 to 20"),
        ({"num_completions": "10"}, "from 2 to 9"),
        ({"checkpoints": "model-99"}, "choose from the list"),
        ({"baseline": "model-99"}, "choose one of the list"),
        ({"source": "nowhere"}, "choose one of the list"),
        ({"kind": "prompt"}, "No prompts are asked for"),
        ({"text": "not in any prompt"}, "has no items"),
    ],
)
def test_what_cannot_be_is_explained(pages: Pages, form: dict[str, str], words: str) -> None:
    answer = send(pages, action="draft", **form)
    assert answer.status_code == 422
    assert words in answer.text


def test_only_researchers_make_batches(pages: Pages) -> None:
    path = f"/projects/{pages.life.project.id}/batches/new"
    assert pages.form("ana", path, name="x").status_code == 404
    assert pages.form("reviewer", path, name="x").status_code == 403
