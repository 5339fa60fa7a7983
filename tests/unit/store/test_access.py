"""Accounts, roles, suspension, on both databases."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select

from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import DataError, HeedfulError, NotAllowedError
from heedful.store.access import (
    account_by_login,
    accounts,
    clean_login,
    clean_name,
    create_account,
    end_sessions,
    has_admin,
    reinstate,
    set_avoids_sensitive,
    set_name,
    set_password,
    set_role,
    suspend,
)
from heedful.store.columns import Role
from heedful.store.database import Database
from heedful.store.invites import create_invite, open_invite
from heedful.store.passwords import HashedPassword, matches
from heedful.store.sessions import session_account, start_session
from heedful.store.slots import claim_next
from heedful.store.tables import AccountRow, AuditRow, SlotRow
from heedful.store.tokens import create_token, token_account

READY = HashedPassword("$argon2id$stands-in-where-nobody-signs-in")


def make(database: Database, login: str, role: Role = "labeller") -> AccountRow:
    with database.write() as session:
        return create_account(session, login=login, name=login, role=role, password=READY)


def test_accounts_are_found_by_login_whatever_its_case(database: Database) -> None:
    with database.write() as session:
        made = create_account(
            session, login=" Ana@Example.org ", name=" Ana\n Li ", role="reviewer"
        )
    assert (made.login, made.name, made.state) == ("ana@example.org", "Ana Li", "active")
    with database.read() as session:
        found = account_by_login(session, "ANA@example.ORG")
        assert found is not None
        assert found.id == made.id
        assert [row.login for row in accounts(session)] == ["ana@example.org"]


@pytest.mark.parametrize("login", ["", "a", "-ana", "ana li", "ana<script>", "a" * 65, "ана"])
def test_logins_that_cannot_be_used(login: str) -> None:
    with pytest.raises(DataError, match="login"):
        clean_login(login)


@pytest.mark.parametrize("name", ["", " \t ", "n" * 101, "\u202e\u0000"])
def test_names_that_cannot_be_used(name: str) -> None:
    with pytest.raises(DataError, match="name"):
        clean_name(name)


def test_a_login_is_taken_once(database: Database) -> None:
    make(database, "ana")
    with pytest.raises(DataError, match="taken"), database.write() as session:
        create_account(session, login="ANA", name="Other", role="labeller")


def test_the_audit_log_keeps_who_did_it_and_no_secret(database: Database) -> None:
    admin, ana = make(database, "admin", "admin"), make(database, "ana")
    with database.write() as session:
        set_name(session, account_id=ana.id, name="Ana B", by=ana.id)
        set_password(session, account_id=ana.id, password="four plain words here", by=ana.id)
        set_avoids_sensitive(session, account_id=ana.id, avoids=True)
        suspend(session, account_id=ana.id, by=admin.id, reason="left")
        reinstate(session, account_id=ana.id, by=admin.id)
    with database.read() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id)).all()
        account = account_by_login(session, "ana")
    assert [row.action for row in rows][2:] == [
        f"account.{what}" for what in ("name", "password", "sensitive", "suspend", "reinstate")
    ]
    assert rows[-2].account_id == admin.id
    assert all("four plain" not in str(row.detail) for row in rows)
    assert account is not None
    assert account.avoids_sensitive
    assert matches(account.password_hash, "four plain words here")


def test_a_new_password_ends_every_other_session(database: Database) -> None:
    ana = make(database, "ana")
    with database.write() as session:
        kept, kept_token = start_session(session, ana.id)
        _, other_token = start_session(session, ana.id)
        set_password(session, account_id=ana.id, password=READY, by=ana.id, keep_session=kept.id)
    with database.read() as session:
        assert session_account(session, kept_token) is not None
        assert session_account(session, other_token) is None
    with database.write() as session:
        assert end_sessions(session, ana.id) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda session, account, by: suspend(session, account_id=account, by=by),
        lambda session, account, by: set_role(
            session, account_id=account, role="researcher", by=by
        ),
    ],
    ids=["suspend", "set_role"],
)
def test_the_last_admin_stays(database: Database, change: Callable[..., None]) -> None:
    admin = make(database, "admin", "admin")
    with database.write() as session:
        # Nobody can sign in to this one, so it does not count.
        create_account(session, login="program", name="Program", role="admin")
    with pytest.raises(NotAllowedError, match="last active admin"), database.write() as session:
        change(session, admin.id, admin.id)
    second = make(database, "second", "admin")
    with database.write() as session:
        change(session, admin.id, second.id)
    with database.read() as session:
        assert has_admin(session)


def test_two_admins_who_demote_each_other_at_once_do_not_both_succeed(database: Database) -> None:
    first, second = make(database, "first", "admin"), make(database, "second", "admin")
    start, refused = threading.Barrier(2), []

    def demote(by: str, whom: str) -> None:
        start.wait()
        try:
            with database.write() as session:
                set_role(session, account_id=whom, role="labeller", by=by)
        except HeedfulError as error:
            refused.append(error)

    pairs = [(first.id, second.id), (second.id, first.id)]
    threads = [threading.Thread(target=demote, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    with database.read() as session:
        assert has_admin(session)


def test_suspending_shuts_out_at_once_and_frees_what_was_held(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        demo_batch(session, demo)
        labeller = demo.labellers[0]
        assert claim_next(session, labeller.id) is not None
        _, cookie = start_session(session, labeller.id)
        _, token = create_token(session, account_id=labeller.id, name="t", scopes=["labels:read"])
        _, link = create_invite(
            session, role="labeller", project_id=demo.id, created_by=demo.researcher.id
        )
        suspend(session, account_id=labeller.id, by=demo.admin.id)
        suspend(session, account_id=demo.researcher.id, by=demo.admin.id)
    with database.write() as session:
        assert session_account(session, cookie) is None
        assert token_account(session, token) is None
        assert open_invite(session, link) is None
        assert session.scalars(select(SlotRow).where(SlotRow.state == "leased")).all() == []
        reinstate(session, account_id=labeller.id, by=demo.admin.id)
        assert session_account(session, cookie) is None


def test_only_admins_change_roles_and_suspend(database: Database) -> None:
    make(database, "admin", "admin")
    ana, researcher = make(database, "ana"), make(database, "rosa", "researcher")
    for by in (ana, researcher):
        with pytest.raises(NotAllowedError), database.write() as session:
            set_role(session, account_id=ana.id, role="admin", by=by.id)
        with pytest.raises(NotAllowedError), database.write() as session:
            suspend(session, account_id=ana.id, by=by.id)


def test_another_role_ends_sessions_and_tokens(database: Database) -> None:
    admin, rosa = make(database, "admin", "admin"), make(database, "rosa", "researcher")
    with database.write() as session:
        _, cookie = start_session(session, rosa.id)
        _, token = create_token(session, account_id=rosa.id, name="t", scopes=["labels:read"])
        set_role(session, account_id=rosa.id, role="researcher", by=admin.id)
        assert session_account(session, cookie) is not None
        set_role(session, account_id=rosa.id, role="reviewer", by=admin.id)
    with database.read() as session:
        assert session_account(session, cookie) is None
        assert token_account(session, token) is None


def test_what_does_not_exist_is_said_to(database: Database) -> None:
    with pytest.raises(DataError, match="no such account"), database.write() as session:
        suspend(session, account_id="account-none", by=None)
    with pytest.raises(DataError, match="no role"), database.write() as session:
        create_account(session, login="ana", name="Ana", role="owner")  # type: ignore[arg-type]
