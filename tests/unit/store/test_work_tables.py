"""What the tables of the work rule out by themselves: above all, double assignment."""

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from fakes.labelling_store import demo_batch, demo_project
from heedful.store.database import Database
from heedful.store.tables import BatchRow, SlotRow


def test_nobody_holds_two_slots_of_an_item(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo, overlap=2)
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(update(SlotRow).values(labeller_id=demo.labellers[0].id))


def test_an_item_has_each_slot_once(database: Database) -> None:
    with database.write() as session:
        demo_batch(session, demo_project(session, num_prompts=1), overlap=1)
        slot = session.scalars(select(SlotRow)).one()
    twin = SlotRow(id="slot-twin", item_id=slot.item_id, batch_id=slot.batch_id, n=1, place=0)
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(twin)


def test_settings_without_sense(database: Database) -> None:
    with database.write() as session:
        demo_batch(session, demo_project(session))
    for column in ("overlap", "lease_seconds"):
        with pytest.raises(IntegrityError), database.write() as session:
            session.execute(update(BatchRow).values({column: 0}))
