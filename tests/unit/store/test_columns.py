"""Times, JSON and choices, as both databases keep them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, StatementError

from fakes.labelling_store import demo_account, demo_batch, demo_project
from heedful.core.errors import DataError
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.tables import AccountRow, ItemRow


def test_a_time_comes_back_in_utc(database: Database) -> None:
    there = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        demo_account(session, "ada", "labeller").created_at = there
    with database.read() as session:
        back = session.get(AccountRow, "account-ada").created_at
    assert back == there
    assert back.tzinfo is UTC
    assert back.hour == 7


def test_times_compare_in_queries(database: Database) -> None:
    with database.write() as session:
        demo_account(session, "ada", "labeller")
    with database.read() as session:
        for moment, found in ((utc_now(), ["ada"]), (utc_now() - timedelta(hours=1), [])):
            query = select(AccountRow.login).where(AccountRow.created_at <= moment)
            assert session.scalars(query).all() == found


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with (
        pytest.raises(StatementError, match="has no time zone"),
        database.write() as session,
    ):
        demo_account(session, "ada", "labeller").created_at = datetime(2026, 1, 1)  # noqa: DTZ001


def test_a_string_that_is_no_choice_is_refused(database: Database) -> None:
    for column, value in (("role", "king"), ("state", "lost"), ("made_by", "robot")):
        with pytest.raises(IntegrityError, match=f"{column}_known"), database.write() as session:
            demo_account(session, "ada", **{"role": "labeller", column: value})


def test_json_that_is_not_there_is_null(database: Database) -> None:
    with database.write() as session:
        demo_batch(session, demo_project(session))
    with database.read() as session:
        assert session.scalars(select(ItemRow.id).where(ItemRow.gold.is_not(None))).all() == []


@pytest.mark.parametrize("text", ["a\0b", "half \ud800"])
def test_text_that_postgresql_cannot_hold_is_refused_by_both(database: Database, text: str) -> None:
    for preferences in ({"a": text}, {text: 1}, {"a": [{"b": text}]}):
        with pytest.raises(DataError, match=r"NUL|surrogate"), database.write() as session:
            demo_account(session, "ada", "labeller", preferences=preferences)


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000 \n\t\x01", "ünï 🦉", '"quoted"'])
def test_json_comes_back_as_it_was(database: Database, text: str) -> None:
    value = {"text": text, text: [1, 2.5, 1e-7, True, None, {"x": []}]}
    with database.write() as session:
        demo_account(session, "ada", "labeller", preferences=value)
    with database.read() as session:
        assert session.get(AccountRow, "account-ada").preferences == value
