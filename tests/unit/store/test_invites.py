"""Invites and the setup link, on both databases."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from fakes.labelling_store import DemoProject, demo_account, demo_project
from heedful.core.errors import DataError, HeedfulError, NotAllowedError
from heedful.store.access import set_role
from heedful.store.columns import Role, utc_now
from heedful.store.database import Database
from heedful.store.invites import (
    accept_invite,
    create_invite,
    create_setup_link,
    invites,
    join_by_invite,
    open_invite,
    revoke_invite,
)
from heedful.store.passwords import HashedPassword
from heedful.store.tables import AccountRow, AuditRow, InviteRow, MemberRow

READY = HashedPassword("$argon2id$stands-in-where-nobody-signs-in")
NOW = utc_now()


@pytest.fixture
def demo(database: Database) -> DemoProject:
    with database.write() as session:
        made = demo_project(session)
        made.admin.password_hash = READY.argon2id
        return made


def invite(database: Database, demo: DemoProject, **changes: object) -> str:
    settings: dict[str, object] = {
        "role": "labeller",
        "project_id": demo.id,
        "created_by": demo.researcher.id,
        "now": NOW,
        **changes,
    }
    with database.write() as session:
        return create_invite(session, **settings)[1]  # type: ignore[arg-type]


def accept(database: Database, token: str, login: str, **changes: object) -> AccountRow:
    with database.write() as session:
        settings: dict[str, object] = {"name": login, "password": READY, "now": NOW, **changes}
        return accept_invite(session, token, login=login, **settings)  # type: ignore[arg-type]


def test_an_invite_makes_a_member_once(database: Database, demo: DemoProject) -> None:
    token = invite(database, demo, held_out=True, stage="practice", note=" for Fay ")
    account = accept(database, token, "fay")
    with database.read() as session:
        member = session.get_one(MemberRow, (demo.id, account.id))
        row = session.scalars(select(InviteRow)).one()
        actions = session.scalars(select(AuditRow.action).order_by(AuditRow.id)).all()
    assert (account.role, member.stage, member.held_out) == ("labeller", "practice", True)
    assert (row.used_by, row.used_at, row.note) == (account.id, NOW, "for Fay")
    assert token not in str(vars(row))
    assert {"invite.create", "account.create", "member.add", "invite.use"} <= set(actions)
    with pytest.raises(NotAllowedError, match="cannot be used"):
        accept(database, token, "gil")


def test_invites_expire_and_are_taken_back(database: Database, demo: DemoProject) -> None:
    token = invite(database, demo, expires_in=timedelta(days=1))
    with pytest.raises(NotAllowedError):
        accept(database, token, "fay", now=NOW + timedelta(days=1))
    with database.write() as session:
        found = open_invite(session, token, now=NOW)
        assert found is not None
        revoke_invite(session, found.id, by=demo.admin.id)
    with pytest.raises(NotAllowedError):
        accept(database, token, "fay")
    with pytest.raises(DataError, match="not open"), database.write() as session:
        revoke_invite(session, found.id, by=demo.admin.id)
    with database.read() as session:
        assert open_invite(session, "") is None
        assert open_invite(session, "t" * 4000) is None
        assert [row.id for row in invites(session, project_id=demo.id)] == [found.id]


def test_a_login_that_is_taken_leaves_the_invite_usable(
    database: Database, demo: DemoProject
) -> None:
    token = invite(database, demo)
    with pytest.raises(DataError, match="taken"):
        accept(database, token, "labeller1")
    assert accept(database, token, "fay").login == "fay"


def test_of_many_at_the_same_moment_one_wins(database: Database, demo: DemoProject) -> None:
    token, refused = invite(database, demo), []
    start = threading.Barrier(6)

    def run(number: int) -> None:
        start.wait()
        try:
            accept(database, token, f"fay{number}")
        except HeedfulError as error:
            refused.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    assert all(isinstance(error, NotAllowedError) for error in refused)
    with database.read() as session:
        made = select(func.count()).where(AccountRow.login.like("fay%"))
        assert session.scalar(made) == 1


@pytest.mark.parametrize(
    ("by", "role", "with_project", "allowed"),
    [
        ("admin", "admin", False, True),
        ("admin", "labeller", True, True),
        ("researcher", "researcher", True, True),
        ("researcher", "labeller", True, True),
        ("researcher", "labeller", False, False),
        ("researcher", "admin", True, False),
        ("reviewer", "labeller", True, False),
        ("labeller1", "labeller", True, False),
        ("labeller1", "admin", False, False),
    ],
)
def test_who_may_invite_whom(
    database: Database, demo: DemoProject, by: str, role: Role, with_project: bool, allowed: bool
) -> None:
    change = {
        "role": role,
        "created_by": f"account-{by}",
        "project_id": demo.id if with_project else None,
    }
    if allowed:
        assert invite(database, demo, **change)
        return
    with pytest.raises(NotAllowedError):
        invite(database, demo, **change)


def test_a_researcher_invites_to_their_own_projects_alone(
    database: Database, demo: DemoProject
) -> None:
    with database.write() as session:
        other = demo_project(session, name="Other")
    with pytest.raises(NotAllowedError, match="not a member"):
        invite(database, demo, project_id=other.id)


def test_invites_of_somebody_demoted_end(database: Database, demo: DemoProject) -> None:
    token = invite(database, demo)
    with database.write() as session:
        set_role(session, account_id=demo.researcher.id, role="reviewer", by=demo.admin.id)
    with pytest.raises(NotAllowedError):
        accept(database, token, "fay")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expires_in": timedelta(days=91)}, "that long"),
        ({"expires_in": timedelta(0)}, "that long"),
        ({"project_id": "project-none"}, "no such project"),
        ({"role": "owner"}, "no role"),
    ],
)
def test_invites_that_make_no_sense(
    database: Database, demo: DemoProject, change: dict[str, object], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        invite(database, demo, **change)


def test_an_account_joins_another_project(database: Database, demo: DemoProject) -> None:
    with database.write() as session:
        lone = demo_account(session, "lone", "labeller")
    token = invite(database, demo)
    with database.write() as session:
        join_by_invite(session, token, account_id=lone.id, now=NOW)
    with pytest.raises(NotAllowedError), database.write() as session:
        join_by_invite(session, token, account_id=lone.id, now=NOW)
    second = invite(database, demo)
    with pytest.raises(DataError, match="member"), database.write() as session:
        join_by_invite(session, second, account_id=lone.id, now=NOW)
    higher = invite(database, demo, role="reviewer")
    with pytest.raises(NotAllowedError, match="new account"), database.write() as session:
        join_by_invite(session, higher, account_id=lone.id, now=NOW)
    with database.read() as session:
        assert session.get_one(AccountRow, lone.id).role == "labeller"
        assert session.get(MemberRow, (demo.id, lone.id)) is not None


def test_the_setup_link_works_while_there_is_no_admin(database: Database) -> None:
    with database.write() as session:
        _, first = create_setup_link(session, now=NOW)
        _, second = create_setup_link(session, now=NOW)
    with pytest.raises(NotAllowedError):
        accept(database, first, "ida")
    assert accept(database, second, "ida").role == "admin"
    with pytest.raises(NotAllowedError, match="admin already"), database.write() as session:
        create_setup_link(session)


def test_the_setup_link_ends_when_an_admin_is_made_otherwise(database: Database) -> None:
    with database.write() as session:
        _, token = create_setup_link(session, now=NOW)
        demo_account(session, "ida", "admin", password_hash=READY.argon2id)
    with pytest.raises(NotAllowedError):
        accept(database, token, "eve")
    with database.write() as session:
        assert session.scalars(select(AccountRow.login)).all() == ["ida"]
