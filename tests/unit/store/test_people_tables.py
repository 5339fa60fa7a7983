"""What the tables of people rule out by themselves."""

import pytest
from sqlalchemy.exc import IntegrityError

from fakes.labelling_store import demo_account, demo_project
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.tables import MemberRow, SessionRow


def test_a_login_is_taken_once(database: Database) -> None:
    with database.write() as session:
        demo_account(session, "ada", "labeller")
    with pytest.raises(IntegrityError), database.write() as session:
        demo_account(session, "ada", "labeller")


def test_nobody_is_a_member_twice_or_of_nothing(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
    for project_id, account_id in (
        (demo.id, demo.labellers[0].id),
        ("project-none", demo.labellers[0].id),
        (demo.id, "account-none"),
    ):
        member = MemberRow(
            project_id=project_id, account_id=account_id, stage="working", joined_at=utc_now()
        )
        with pytest.raises(IntegrityError), database.write() as session:
            session.add(member)


def test_a_session_belongs_to_somebody(database: Database) -> None:
    now = utc_now()
    row = SessionRow(
        id="s", token_hash="h", account_id="x", created_at=now, last_seen_at=now, expires_at=now
    )
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(row)
