"""What each labeller did, on both databases."""

from datetime import timedelta

from sqlalchemy import select

from fakes.labelling_store import demo_batch, demo_project
from fakes.sent_work import items_of, sent
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.labeller_overview import labeller_numbers
from heedful.store.tables import SkipRow, SlotRow


def test_members_with_and_without_work(database: Database) -> None:
    now = utc_now()
    with database.write() as session:
        demo = demo_project(session)
        busy, idle = demo.labellers
        batch = demo_batch(session, demo)
        one, two, three, four = items_of(session, batch)
        sent(session, batch, one, busy.id, at=now - timedelta(days=1), seconds=30)
        sent(session, batch, two, busy.id, at=now - timedelta(days=20), seconds=70)
        session.add(SkipRow(item_id=three.id, account_id=busy.id, reason="other", at=now))
        slot = session.scalars(select(SlotRow).where(SlotRow.item_id == four.id)).one()
        slot.state, slot.labeller_id = "leased", busy.id
        slot.lease_expires_at = now + timedelta(minutes=5)
    with database.read() as session:
        everybody = labeller_numbers(session, project_id=demo.id, now=now)
        (alone,) = labeller_numbers(session, project_id=demo.id, account_id=busy.id, now=now)
        nobody = labeller_numbers(session, project_id=demo.id, account_id=demo.admin.id)
    by_id = {numbers.account.id: numbers for numbers in everybody}
    assert by_id.keys() == {busy.id, idle.id, demo.researcher.id, demo.reviewer.id}
    assert by_id[busy.id].work == alone.work
    assert (alone.work.labels, alone.work.seconds, alone.recent_labels) == (2, 100, 1)
    assert (alone.skips, alone.holding) == (1, 1)
    assert alone.work.last_at == now - timedelta(days=1)
    assert (by_id[idle.id].work.sent, by_id[idle.id].skips) == (0, 0)
    assert nobody == []
