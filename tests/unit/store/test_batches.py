"""Batches: made, opened, closed, counted."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import DataError
from heedful.store.batches import Progress, progress, set_state, use_instructions
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.projects import publish_instructions
from heedful.store.tables import (
    AuditRow,
    BatchRow,
    InstructionsRow,
    ItemRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)


def test_a_batch_has_its_items_and_slots(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        batch = demo_batch(session, demo, overlap=3, priority=2, state="draft")
    with database.read() as session:
        stored = session.get(BatchRow, batch.id)
        assert (stored.state, stored.overlap, stored.priority) == ("draft", 3, 2)
        version = session.get(InstructionsRow, stored.instructions_id)
        assert (version.purpose, version.version) == ("training", 1)
        items = session.scalars(select(ItemRow).order_by(ItemRow.place)).all()
        assert [item.prompt_id for item in items] == [prompt.id for prompt in demo.prompts]
        first = demo.completions[demo.prompts[0].id]
        assert items[0].completion_ids == [completion.id for completion in first]
        slots = session.execute(select(SlotRow.item_id, SlotRow.n, SlotRow.state)).all()
        wanted = {(item.id, n, "free") for item in items for n in (1, 2, 3)}
        assert set(map(tuple, slots)) == wanted
        line = session.scalars(select(AuditRow).where(AuditRow.action == "batch.create")).one()
        assert (line.object_id, line.detail["items"]) == (batch.id, 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "Batch"}, "already"),
        ({"kind": "poem"}, "no kind"),
        ({"purpose": "fun"}, "no purpose"),
        ({"state": "lost"}, "no state"),
        ({"overlap": 0}, "below 1"),
        ({"lease_seconds": 0}, "lease"),
        ({"items": []}, "no items"),
    ],
)
def test_a_batch_that_cannot_be(database: Database, change: dict, words: str) -> None:
    with database.write() as session:
        demo = demo_project(session)
        demo_batch(session, demo)
    with pytest.raises(DataError, match=words), database.write() as session:
        demo_batch(session, demo, **({"name": "Two"} | change))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(BatchRow)) == 1


def test_the_states_of_a_batch(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        batch = demo_batch(session, demo, state="draft")
    by = demo.researcher.id
    for state in ("open", "paused", "open"):
        with database.write() as session:
            assert set_state(session, batch.id, state, by=by).state == state
    for state, words in (("draft", "cannot become draft"), ("closed", "4 of 4 labels are still")):
        with pytest.raises(DataError, match=words), database.write() as session:
            set_state(session, batch.id, state, by=by)
    then = utc_now()
    with database.write() as session:
        set_state(session, batch.id, "closed", by=by, reason="Enough.", now=then)
    with database.read() as session:
        closed = session.get(BatchRow, batch.id)
        assert (closed.closed_reason, closed.closed_at) == ("Enough.", then)
    with database.write() as session:
        again = set_state(session, batch.id, "open", by=by)
        assert (again.closed_reason, again.closed_at) == ("", None)
    with database.read() as session:
        actions = session.scalars(
            select(AuditRow.action).where(AuditRow.object_id == batch.id).order_by(AuditRow.id)
        ).all()
    assert actions[1:] == ["batch.open", "batch.paused", "batch.open", "batch.closed", "batch.open"]


def test_nothing_of_a_batch_that_is_not_there(database: Database) -> None:
    for call in (
        lambda session: set_state(session, "batch-x", "open", by=None),
        lambda session: use_instructions(session, "batch-x", "instructions-x", None),
        lambda session: progress(session, "batch-x"),
    ):
        with pytest.raises(DataError, match="no batch"), database.write() as session:
            call(session)


def test_another_version_of_the_instructions(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        batch = demo_batch(session, demo)
        versions = {
            purpose: publish_instructions(
                session, project_id=demo.id, purpose=purpose, text="New", published_by=None
            )
            for purpose in ("training", "evaluation")
        }
    with database.write() as session:
        use_instructions(session, batch.id, versions["training"].id, demo.researcher.id)
    with database.read() as session:
        assert session.get(BatchRow, batch.id).instructions_id == versions["training"].id
    with pytest.raises(DataError, match="no instructions for training"), database.write() as s:
        use_instructions(s, batch.id, versions["evaluation"].id, demo.researcher.id)


def test_progress_counts_what_is_there(database: Database) -> None:
    now = utc_now()
    with database.write() as session:
        demo = demo_project(session)
        batch = demo_batch(session, demo, overlap=2)
        slots = session.scalars(select(SlotRow).order_by(SlotRow.place, SlotRow.n)).all()
        ada, ben = demo.labellers
        for slot, labeller, ends in ((slots[0], ada, 60), (slots[1], ben, -60)):
            slot.state, slot.labeller_id = "leased", labeller.id
            slot.lease_expires_at = now + timedelta(seconds=ends)
        slots[2].state, slots[2].labeller_id = "done", ada.id
        slots[3].state = "withdrawn"
        for number, (slot, status, excluded) in enumerate(
            ((slots[2], "accepted", None), (None, "surplus", now))
        ):
            session.add(
                SubmissionRow(
                    id=f"submission-{number}",
                    project_id=demo.id,
                    batch_id=batch.id,
                    item_id=slots[2].item_id,
                    slot_id=slot.id if slot else None,
                    account_id=demo.labellers[number].id,
                    status=status,
                    answer={},
                    made_by="person",
                    instructions_id=batch.instructions_id,
                    seconds_spent=1.0,
                    submitted_at=now,
                    excluded_at=excluded,
                )
            )
        session.add(SkipRow(item_id=slots[4].item_id, account_id=ada.id, reason="other", at=now))
    with database.read() as session:
        assert progress(session, batch.id, now=now) == Progress(
            items=4, slots=7, done=1, leased=1, free=5, surplus=1, excluded=1, skips=1
        )
