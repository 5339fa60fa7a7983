"""The dashboards' numbers, on both databases, against work whose numbers are known."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.labelling_store import demo_batch, demo_project
from fakes.sent_work import items_of, sent
from heedful.store.database import Database
from heedful.store.overview import batch_numbers, daily_labels, project_numbers
from heedful.store.tables import QuestionRow, SkipRow, SlotRow

NOW = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)


def a_working_project(session: Session) -> tuple[str, str]:
    """One batch of 4 items and overlap 2: 3 labels that count, 1 surplus, 1 excluded, 1 skip."""
    demo = demo_project(session, num_labellers=3)
    first, second, third = (labeller.id for labeller in demo.labellers)
    batch = demo_batch(session, demo, overlap=2)
    one, two, three, four = items_of(session, batch)
    sent(session, batch, one, first, at=NOW - timedelta(hours=1), seconds=100)
    sent(session, batch, one, second, at=NOW - timedelta(days=3), seconds=50, made_by="simulated")
    sent(session, batch, one, third, at=NOW - timedelta(days=3), seconds=10)
    sent(session, batch, two, first, at=NOW - timedelta(days=30), seconds=40)
    sent(
        session,
        batch,
        two,
        second,
        at=NOW,
        seconds=5,
        excluded_at=NOW,
        excluded_reason="A test",
        excluded_by=demo.researcher.id,
    )
    session.add(SkipRow(item_id=three.id, account_id=first, reason="unclear", at=NOW))
    waiting, lapsed = session.scalars(
        select(SlotRow).where(SlotRow.item_id == four.id).order_by(SlotRow.n)
    )
    waiting.state = lapsed.state = "leased"
    waiting.labeller_id, waiting.lease_expires_at = first, NOW + timedelta(minutes=1)
    lapsed.labeller_id, lapsed.lease_expires_at = second, NOW - timedelta(minutes=1)
    session.add(
        QuestionRow(
            id="question-1",
            project_id=demo.id,
            item_id=one.id,
            account_id=first,
            text="Which?",
            asked_at=NOW,
        )
    )
    demo_batch(session, demo, name="A draft", state="draft")
    return demo.id, batch.id


def test_batches_are_counted(database: Database) -> None:
    with database.write() as session:
        project_id, batch_id = a_working_project(session)
    with database.read() as session:
        everything = batch_numbers(session, project_id=project_id, now=NOW)
        (one,) = batch_numbers(session, project_id=project_id, batch_id=batch_id, now=NOW)
    assert {numbers.batch.name for numbers in everything} == {"Batch", "A draft"}
    assert one.items == 4
    assert one.skips == 1
    assert (one.slots.done, one.slots.leased, one.slots.free) == (4, 1, 3)
    assert (one.slots.wanted, one.slots.remaining) == (8, 4)
    assert (one.work.labels, one.work.simulated) == (3, 1)
    assert (one.work.surplus, one.work.excluded) == (1, 1)
    assert (one.work.sent, one.work.sent_by_people) == (5, 4)
    assert (one.work.seconds, one.work.seconds_of_people) == (205, 155)
    assert one.work.last_at == NOW


def test_a_project_is_the_sum_of_its_batches_and_has_a_pace(database: Database) -> None:
    with database.write() as session:
        project_id, _ = a_working_project(session)
    with database.read() as session:
        batches = batch_numbers(session, project_id=project_id, now=NOW)
        numbers = project_numbers(session, project_id=project_id, batches=batches, now=NOW)
    assert numbers.slots == numbers.open_slots
    assert numbers.slots.wanted == 8
    assert (numbers.work.labels, numbers.skips, numbers.open_questions) == (3, 1, 1)
    assert (numbers.recent_labels, numbers.active_labellers) == (2, 3)
    assert numbers.days_left == 4 / (2 / 7)


def test_without_work_there_is_no_forecast(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        empty = project_numbers(session, project_id=demo.id, batches=[])
        demo_batch(session, demo)
        batches = batch_numbers(session, project_id=demo.id)
        waiting = project_numbers(session, project_id=demo.id, batches=batches)
    assert empty.days_left == 0
    assert waiting.days_left is None


def test_days_are_utc_and_complete(database: Database) -> None:
    with database.write() as session:
        project_id, batch_id = a_working_project(session)
    with database.read() as session:
        days = daily_labels(session, project_id=project_id, days=5, now=NOW)
        whole = daily_labels(session, project_id=project_id, days=31, batch_id=batch_id, now=NOW)
        other = daily_labels(session, project_id=project_id, account_id="nobody", now=NOW)
    assert [(day.day.isoformat(), day.labels, day.seconds) for day in days] == [
        ("2026-11-16", 0, 0),
        ("2026-11-17", 1, 60),
        ("2026-11-18", 0, 0),
        ("2026-11-19", 1, 100),
        ("2026-11-20", 0, 5),
    ]
    assert sum(day.labels for day in whole) == 3
    assert sum(day.seconds for day in other) == 0
