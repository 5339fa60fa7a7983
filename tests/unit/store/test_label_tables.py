"""What the tables of labels rule out by themselves: a label counted twice."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from fakes.labelling_store import DemoProject, demo_batch, demo_project
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.tables import BatchRow, SlotRow, SubmissionRow


def submission(demo: DemoProject, slot: SlotRow, batch: BatchRow, **change: Any) -> SubmissionRow:
    columns: dict[str, Any] = {
        "id": "submission-1",
        "project_id": demo.id,
        "batch_id": batch.id,
        "item_id": slot.item_id,
        "slot_id": slot.id,
        "account_id": demo.labellers[0].id,
        "status": "accepted",
        "answer": {},
        "made_by": "person",
        "instructions_id": batch.instructions_id,
        "seconds_spent": 1.0,
        "submitted_at": utc_now(),
    }
    return SubmissionRow(**(columns | change))


def test_a_slot_and_a_labeller_are_counted_once(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        batch = demo_batch(session, demo, overlap=2)
        slots = session.scalars(select(SlotRow).order_by(SlotRow.n)).all()
        session.add(submission(demo, slots[0], batch))
    other = demo.labellers[1].id
    for change in (
        {"slot_id": slots[1].id},  # the same labeller again
        {"account_id": other},  # the same slot again
        {"account_id": other, "slot_id": None, "status": "lost"},
        {"account_id": other, "slot_id": None, "made_by": "robot"},
    ):
        row = submission(demo, slots[0], batch, id="submission-2", **change)
        with pytest.raises(IntegrityError), database.write() as session:
            session.add(row)
    with database.write() as session:
        session.add(
            submission(
                demo, slots[0], batch, id="s2", account_id=other, slot_id=None, status="surplus"
            )
        )
