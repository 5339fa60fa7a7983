"""The second version, tried up and down on a project that has been worked in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from fakes.labelling_store import demo_batch, demo_project
from heedful.store.batches import set_state
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.schema import check_schema, downgrade, upgrade
from heedful.store.tables import BatchRow, SlotRow, SubmissionRow, metadata

CLOSED_AT = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


def worked_in(database: Database) -> tuple[str, str]:
    """A project with a label, a closed batch and an open one; their ids."""
    with database.write() as session:
        demo = demo_project(session)
        closed, still_open = (demo_batch(session, demo, name=name) for name in ("One", "Two"))
        slot = session.scalars(sa.select(SlotRow).where(SlotRow.batch_id == closed.id)).first()
        slot.state, slot.labeller_id, slot.done_at = "done", demo.labellers[0].id, utc_now()
        session.add(
            SubmissionRow(
                id="submission-1",
                project_id=demo.id,
                batch_id=closed.id,
                item_id=slot.item_id,
                slot_id=slot.id,
                account_id=demo.labellers[0].id,
                status="accepted",
                answer={"text": "Schön, 🦉"},
                made_by="simulated",
                instructions_id=closed.instructions_id,
                seconds_spent=12.5,
                submitted_at=utc_now(),
            )
        )
        # Closed twice: the last time counts.
        earlier = CLOSED_AT - timedelta(days=1)
        set_state(session, closed.id, "closed", by=None, reason="a", now=earlier)
        set_state(session, closed.id, "open", by=None)
        set_state(session, closed.id, "closed", by=None, reason="b", now=CLOSED_AT)
    return closed.id, still_open.id


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, the new column apart."""
    with database.read() as session:
        return {
            table.name: [
                dict(row)
                for row in session.execute(
                    sa.select(*(c for c in table.c if c.name != "closed_at")).order_by(
                        *table.primary_key
                    )
                ).mappings()
            ]
            for table in metadata.sorted_tables
        }


def test_down_and_up_keep_every_row(database: Database) -> None:
    closed, still_open = worked_in(database)
    before = everything(database)
    downgrade(database, to="0001")
    assert everything(database) == before
    upgrade(database)
    check_schema(database)
    assert everything(database) == before
    with database.read() as session:
        assert session.get(BatchRow, closed).closed_at == CLOSED_AT
        assert session.get(BatchRow, still_open).closed_at is None
