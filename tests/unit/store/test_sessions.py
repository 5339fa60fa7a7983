"""Sessions: opened by their token alone, until they end, on both databases."""

from datetime import timedelta

from sqlalchemy import select

from fakes.labelling_store import demo_account
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.sessions import (
    is_seen_late,
    mark_seen,
    open_session,
    revoke_session,
    rotate_session,
    session_account,
    sessions_of,
    start_session,
)
from heedful.store.tables import SessionRow

NOW = utc_now()
AGE, IDLE = timedelta(days=2), timedelta(hours=6)


def test_the_token_is_not_stored(database: Database) -> None:
    with database.write() as session:
        ana = demo_account(session, "ana", "labeller")
        row, token = start_session(session, ana.id, browser="B" * 500)
        stored = session.scalars(select(SessionRow)).one()
        assert token not in str(vars(stored))
        assert len(stored.browser) == 200
        found = open_session(session, token)
        assert found is not None
        assert (found[0].id, found[1].id) == (row.id, ana.id)
        for wrong in ("", token[:-1], stored.token_hash, "x" * 5000):
            assert session_account(session, wrong) is None


def test_a_session_ends_by_age_and_by_idleness(database: Database) -> None:
    with database.write() as session:
        ana = demo_account(session, "ana", "labeller")
        row, token = start_session(session, ana.id, age=AGE, now=NOW)

        def opens(after: timedelta) -> bool:
            return session_account(session, token, idle=IDLE, now=NOW + after) is not None

        assert opens(IDLE - timedelta(seconds=1))
        assert not opens(IDLE)
        for hours in range(5, 48, 5):
            assert opens(timedelta(hours=hours))
            mark_seen(session, row.id, NOW + timedelta(hours=hours))
            session.expire_all()
        assert opens(AGE - timedelta(seconds=1))
        assert not opens(AGE)


def test_the_last_request_is_written_down_now_and_then(database: Database) -> None:
    with database.write() as session:
        row, _ = start_session(session, demo_account(session, "ana", "labeller").id, now=NOW)
    assert not is_seen_late(row, NOW + timedelta(minutes=4))
    assert is_seen_late(row, NOW + timedelta(minutes=5))


def test_a_rotated_session_has_another_token(database: Database) -> None:
    with database.write() as session:
        row, old = start_session(session, demo_account(session, "ana", "labeller").id)
        new = rotate_session(session, row.id)
        assert new is not None
        assert session_account(session, old) is None
        assert session_account(session, new) is not None
        assert revoke_session(session, row.id, account_id=row.account_id)
        assert rotate_session(session, row.id) is None


def test_one_ends_ones_own_sessions_alone(database: Database) -> None:
    with database.write() as session:
        ana, bo = (demo_account(session, login, "labeller") for login in ("ana", "bo"))
        mine, token = start_session(session, ana.id, now=NOW)
        newer, _ = start_session(session, ana.id, now=NOW + timedelta(minutes=1))
        assert not revoke_session(session, mine.id, account_id=bo.id)
        later = NOW + timedelta(minutes=2)
        listed = [row.id for row in sessions_of(session, ana.id, now=later)]
        assert listed == [newer.id, mine.id]
        assert revoke_session(session, mine.id, account_id=ana.id)
        assert not revoke_session(session, mine.id, account_id=ana.id)
        assert session_account(session, token) is None
        assert [row.id for row in sessions_of(session, ana.id, now=later)] == [newer.id]


def test_a_suspended_account_has_no_session(database: Database) -> None:
    with database.write() as session:
        ana = demo_account(session, "ana", "labeller")
        _, token = start_session(session, ana.id)
        ana.state = "suspended"
        session.flush()
        assert session_account(session, token) is None
