"""Pages of an item and of a submission: everything side by side, and what counts."""

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.columns import utc_now
from heedful.store.tables import ItemRow, RatingRow, SkipRow, SlotRow, SubmissionRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def submission(pages: Pages, login: str, batch: str) -> SubmissionRow:
    with pages.database.read() as session:
        return session.scalars(
            select(SubmissionRow).where(
                SubmissionRow.account_id == pages.id_of(login),
                SubmissionRow.batch_id == pages.life.batches[batch].id,
            )
        ).all()[0]


def test_rankings_stand_side_by_side(pages: Pages) -> None:
    sent = submission(pages, "ana", "First rankings")
    with pages.database.write() as session:
        session.add(
            SkipRow(
                item_id=sent.item_id,
                account_id=pages.id_of("eve"),
                reason="cannot_judge",
                note="Too <b>hard</b>",
                at=utc_now(),
            )
        )
    text = pages.get("researcher", f"/items/{sent.item_id}").text
    for words in ("Ana Demo", "Bo Demo", "Cleo Demo", "model-4", "cannot judge", "All are bad"):
        assert words in text
    assert "Too &lt;b&gt;hard" in text


def test_marks_are_in_the_words_that_labellers_read(pages: Pages) -> None:
    sent = submission(pages, "bo", "First rankings")
    with pages.database.write() as session:
        row = session.scalars(select(RatingRow).where(RatingRow.submission_id == sent.id)).all()[0]
        row.record = {**row.record, "flags": {"satisfies_constraint": False}}
    words = "Satisfies the stated constraint: no"
    assert words in pages.get("researcher", f"/submissions/{sent.id}").text
    assert f'{words}: <span class="muted">Bo Demo' in (
        pages.get("researcher", f"/items/{sent.item_id}").text
    )


def test_demonstrations_and_questions_are_shown(pages: Pages) -> None:
    sent = submission(pages, "ana", "Demonstrations")
    text = pages.get("researcher", f"/items/{sent.item_id}").text
    assert str(sent.answer["text"])[:40] in text
    with pages.database.read() as session:
        nine = session.scalars(
            select(ItemRow.id).where(ItemRow.batch_id == pages.life.batches["Nine outputs"].id)
        ).one()
    text = pages.get("researcher", f"/items/{nine}").text
    assert "May two outputs share the first rank?" in text
    assert "No label yet" in text


def test_gold_answers_are_shown(pages: Pages) -> None:
    sent = submission(pages, "dee", "Screening rankings")
    assert ">Gold<" in pages.get("researcher", f"/items/{sent.item_id}").text


def test_a_label_is_excluded_and_included_with_reasons(pages: Pages) -> None:
    sent = submission(pages, "cleo", "First rankings")
    path = f"/submissions/{sent.id}"
    assert "Exclude" in pages.get("researcher", path).text
    pages.form("researcher", f"{path}/exclude", reason="")
    assert submission(pages, "cleo", "First rankings").excluded_at is None
    pages.form("researcher", f"{path}/exclude", reason="Clicked <through>")
    excluded = submission(pages, "cleo", "First rankings")
    assert excluded.excluded_by == pages.id_of("researcher")
    text = pages.get("researcher", path).text
    assert "Excluded by Researcher Demo" in text
    assert "Clicked &lt;through&gt;" in text
    pages.form("researcher", f"{path}/include", reason="Was right")
    assert submission(pages, "cleo", "First rankings").excluded_at is None
    log = pages.get("admin", "/admin/audit?action=label.include").text
    assert "Was right" in log


def test_another_label_is_asked_for_unless_the_box_is_empty(pages: Pages) -> None:
    sent = submission(pages, "ana", "First rankings")
    path = f"/submissions/{sent.id}"
    box = '<input type="checkbox" name="ask_again" value="yes" checked>'
    assert box in pages.get("researcher", path).text

    def slots() -> list[str]:
        with pages.database.read() as session:
            query = select(SlotRow.state).where(SlotRow.item_id == sent.item_id)
            return sorted(session.scalars(query))

    before = slots()
    pages.form("researcher", f"{path}/exclude", reason="Haste")
    assert slots() == before
    pages.form("researcher", f"{path}/include", reason="Was right")
    answer = pages.form("researcher", f"{path}/exclude", reason="Haste", ask_again="yes")
    told = pages.client.get(answer.headers["location"]).text
    assert "Somebody else is asked for a new one" in told
    assert Counter(slots()) - Counter(before) == Counter({"withdrawn": 1, "free": 1})
    assert "label.ask_again" in pages.get("admin", "/admin/audit?action=label.ask_again").text


def test_a_submission_says_who_made_it_under_which_instructions(pages: Pages) -> None:
    sent = submission(pages, "ana", "First rankings")
    with pages.database.write() as session:
        session.get_one(SubmissionRow, sent.id).made_by = "simulated"
    text = pages.get("researcher", f"/submissions/{sent.id}").text
    assert '<span class="badge simulated">simulated</span>' in text
    assert "Training, version 1" in text
    assert "Shown as" in text
    assert '<span class="badge simulated">' in pages.get("admin", f"/items/{sent.item_id}").text


def test_only_researchers_get_in(pages: Pages) -> None:
    sent = submission(pages, "ana", "First rankings")
    for path in (f"/items/{sent.item_id}", f"/submissions/{sent.id}"):
        assert pages.get("ana", path).status_code == 404
        assert pages.get("reviewer", path).status_code == 403
    refused = pages.form("ana", f"/submissions/{sent.id}/exclude", reason="mine")
    assert refused.status_code == 404
