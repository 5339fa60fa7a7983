"""Tokens for programs, on both databases."""

from datetime import timedelta

import pytest

from fakes.labelling_store import DemoProject, demo_project
from heedful.core.errors import DataError, NotAllowedError
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.tokens import (
    PREFIX,
    create_token,
    is_used_late,
    mark_used,
    revoke_token,
    token_account,
    tokens_of,
)

NOW = utc_now()


@pytest.fixture
def demo(database: Database) -> DemoProject:
    with database.write() as session:
        return demo_project(session)


def test_a_token_opens_its_account_and_is_not_stored(database: Database, demo: DemoProject) -> None:
    with database.write() as session:
        row, token = create_token(
            session,
            account_id=demo.researcher.id,
            name=" nightly  export ",
            scopes=["labels:read", "labels:read"],
            project_id=demo.id,
            now=NOW,
        )
    assert token.startswith(PREFIX)
    assert token.startswith(row.prefix)
    assert token not in str(vars(row))
    assert (row.name, row.scopes) == ("nightly export", ["labels:read"])
    with database.read() as session:
        found = token_account(session, token)
        assert found is not None
        assert (found[0].id, found[1].project_id) == (demo.researcher.id, demo.id)
        for wrong in (
            "",
            token[:-1],
            token.removeprefix(PREFIX),
            row.token_hash,
            PREFIX + "x" * 999,
        ):
            assert token_account(session, wrong) is None


def test_tokens_expire_and_are_revoked_by_their_owner(
    database: Database, demo: DemoProject
) -> None:
    with database.write() as session:
        row, token = create_token(
            session,
            account_id=demo.researcher.id,
            name="short",
            scopes=["labels:read"],
            expires_in=timedelta(days=1),
            now=NOW,
        )
        assert token_account(session, token, now=NOW + timedelta(hours=23)) is not None
        assert token_account(session, token, now=NOW + timedelta(days=1)) is None
        assert not revoke_token(session, row.id, account_id=demo.admin.id)
        assert [one.id for one in tokens_of(session, demo.researcher.id)] == [row.id]
        assert revoke_token(session, row.id, account_id=demo.researcher.id)
        assert not revoke_token(session, row.id, account_id=demo.researcher.id)
        assert token_account(session, token, now=NOW) is None
        assert tokens_of(session, demo.researcher.id) == []


def test_the_last_use_is_written_down_now_and_then(database: Database, demo: DemoProject) -> None:
    with database.write() as session:
        row, _ = create_token(session, account_id=demo.admin.id, name="t", scopes=["labels:read"])
        assert is_used_late(row, NOW)
        mark_used(session, row.id, NOW)
        session.refresh(row)
    assert not is_used_late(row, NOW + timedelta(seconds=59))
    assert is_used_late(row, NOW + timedelta(minutes=1))


def test_tokens_that_make_no_sense(database: Database, demo: DemoProject) -> None:
    with database.write() as session:
        other = demo_project(session, name="Other")
    for change, error in (
        ({"name": " "}, DataError),
        ({"scopes": []}, DataError),
        ({"project_id": other.id}, NotAllowedError),
    ):
        settings = {"name": "t", "scopes": ["labels:read"], **change}
        with pytest.raises(error), database.write() as session:
            create_token(session, account_id=demo.researcher.id, **settings)
    with database.write() as session:
        create_token(
            session,
            account_id=demo.admin.id,
            name="t",
            scopes=["labels:read"],
            project_id=other.id,
        )
