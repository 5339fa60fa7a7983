"""History, questions, instructions: a labeller's own, read-only, and nothing beside."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import BatchRow, InstructionsRow, SubmissionRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("sent")) as opened:
        yield opened


def sent_item(pages: Pages, login: str, batch: str) -> str:
    with pages.database.read() as session:
        query = select(SubmissionRow.item_id).where(
            SubmissionRow.account_id == pages.id_of(login),
            SubmissionRow.batch_id == pages.life.batches[batch].id,
        )
        item_id = session.scalars(query).first()
    assert item_id is not None
    return item_id


def test_history_lists_ones_own_work_alone(pages: Pages) -> None:
    page = pages.get("ana", "/work/history").text
    assert page.count('href="/work/history/item') == 7
    assert "Bo Demo" not in page
    assert pages.get("ana", "/work/history?page=2").status_code == 200
    assert pages.get("ana", "/work/history?page=0").status_code == 422
    assert pages.get("ana", "/work/history?sort=gold").status_code == 422


def test_a_ranking_is_shown_as_it_was_made(pages: Pages) -> None:
    page = pages.get("ana", f"/work/history/{sent_item(pages, 'ana', 'First rankings')}").text
    assert "Rank 1: output" in page
    assert "of 7" in page
    for secret in ("model-", "completion-", "gold", "checkpoint"):
        assert secret not in page


def test_screening_work_does_not_tell_that_it_was_gold(pages: Pages) -> None:
    page = pages.get("dee", f"/work/history/{sent_item(pages, 'dee', 'Screening rankings')}").text
    assert "gold" not in page
    assert "agreement" not in page


def test_a_demonstration_is_shown(pages: Pages) -> None:
    page = pages.get("ana", f"/work/history/{sent_item(pages, 'ana', 'Demonstrations')}").text
    assert "Your answer" in page


def test_what_became_of_a_label_is_not_shown(pages: Pages) -> None:
    with pages.database.read() as session:
        row = session.scalars(
            select(SubmissionRow).where(SubmissionRow.excluded_at.is_not(None))
        ).one()
    page = pages.get("bo", f"/work/history/{row.item_id}").text
    assert "mistake" not in page
    assert "xcluded" not in page


def test_a_prompt_is_shown_as_it_was_written(pages: Pages) -> None:
    path = pages.take("cleo", "New prompts")
    pages.get("cleo", path)
    fields = {"instruction": "Write <i>me</i> a limerick.", "context": "On frost."}
    assert pages.form("cleo", f"{path}/submit", **fields).status_code == 303
    page = pages.get("cleo", path.replace("items", "history")).text
    assert "Write &lt;i&gt;me&lt;/i&gt; a limerick." in page
    assert "On frost." in page


def test_nobody_sees_what_another_sent(pages: Pages) -> None:
    item = sent_item(pages, "ana", "Demonstrations")
    assert pages.get("cleo", f"/work/history/{item}").status_code == 404


def test_what_is_not_sent_yet_has_no_history(pages: Pages) -> None:
    path = pages.take("cleo", "Nine outputs")
    pages.get("cleo", path)
    assert pages.get("cleo", path.replace("items", "history")).status_code == 404


def test_questions_stand_with_their_answers(pages: Pages) -> None:
    page = pages.get("bo", "/work/questions").text
    assert "Whose letter is it?" in page
    assert "The neighbour&#39;s. Address it to them." in page
    assert "new answer" in page
    assert "new answer" not in pages.get("bo", "/work/questions").text
    assert "Whose letter" not in pages.get("ana", "/work/questions").text


def test_instructions_are_those_of_the_stage(pages: Pages) -> None:
    assert "Training" in pages.get("ana", "/work/instructions").text
    listed = pages.get("eve", "/work/instructions").text
    assert "Final evaluation" in listed
    assert "Training" not in listed
    assert "Screening" in pages.get("dee", "/work/instructions").text


def test_a_version_is_rendered_inert(pages: Pages) -> None:
    with pages.database.read() as session:
        batch = session.get_one(BatchRow, pages.life.batches["First rankings"].id)
        row = session.get_one(InstructionsRow, batch.instructions_id)
    page = pages.get("ana", f"/work/instructions/{row.id}").text
    assert "<strong>twice</strong>" in page
    assert pages.get("ana", "/work/instructions/none").status_code == 404
