"""The audit log."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from heedful.store import audit
from heedful.store.database import Database
from heedful.store.tables import AuditRow


def test_lines_come_in_order_with_what_was_told(database: Database) -> None:
    then = datetime(2026, 1, 2, tzinfo=UTC)
    with database.write() as session:
        audit.record(
            session, account_id=None, action="store.back_up", object_kind="store", object_id="x"
        )
        audit.record(
            session,
            account_id="account-1",
            action="batch.open",
            object_kind="batch",
            object_id="batch-1",
            project_id="project-1",
            detail={"from": "draft"},
            now=then,
        )
    with database.read() as session:
        first, second = session.scalars(select(AuditRow).order_by(AuditRow.id))
    assert (first.account_id, first.detail, first.project_id) == (None, {}, None)
    assert (second.at, second.detail["from"], second.project_id) == (then, "draft", "project-1")


def test_a_line_goes_with_its_transaction(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            audit.record(session, account_id=None, action="a", object_kind="b", object_id="c")
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as session:
        assert session.scalars(select(AuditRow)).all() == []
