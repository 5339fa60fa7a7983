"""Accounts, tokens, copies and upgrades from the shell."""

from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelling_store import demo_project
from heedful.core.errors import ConfigError, DataError, SchemaError, StoreUnavailableError
from heedful.store.access import accounts
from heedful.store.database import Database
from heedful.store.invites import open_invite
from heedful.store.schema import downgrade
from heedful.store.sign_in import verify_login
from heedful.store.tokens import token_account

PASSWORD = "correct horse battery"


@pytest.fixture
def label(tmp_path: Path) -> LabelShell:
    shell = LabelShell(tmp_path)
    with shell.open() as database, database.write() as session:
        demo_project(session)
    return shell


def login_of(database: Database, login: str, password: str) -> str:
    return verify_login(database, login, password, address="127.0.0.1").role


def test_an_admin_is_made_with_a_password_from_standard_input(label: LabelShell) -> None:
    assert "can sign in" in label("admin", "boss", typed=f"{PASSWORD}\n")
    with label.open() as database:
        assert login_of(database, "boss", PASSWORD) == "admin"


@pytest.mark.parametrize("typed", ["", "short\n"])
def test_a_weak_password_makes_nobody(label: LabelShell, typed: str) -> None:
    with pytest.raises(DataError, match="characters"):
        label("admin", "boss", typed=typed)
    with label.open() as database, database.read() as session:
        assert "boss" not in {account.login for account in accounts(session)}


def test_a_forgotten_password_is_set_anew(label: LabelShell) -> None:
    label("admin", "boss", typed=f"{PASSWORD}\n")
    label("password", "boss", typed="another good password\n")
    with label.open() as database:
        assert login_of(database, "boss", "another good password") == "admin"
    with pytest.raises(DataError, match="no account `bos`"):
        label("password", "bos", typed=f"{PASSWORD}\n")


def test_an_invite_is_a_link_to_the_public_address(label: LabelShell) -> None:
    link = label(
        "invite", "--held-out", "--stage", "working", "--public-url", "https://label.example.org"
    ).strip()
    start = "https://label.example.org/invite/"
    assert link.startswith(start)
    with label.open() as database, database.read() as session:
        invite = open_invite(session, link.removeprefix(start))
        assert invite is not None
        assert (invite.role, invite.stage, invite.held_out) == ("labeller", "working", True)
        assert invite.project_id is not None
    with pytest.raises(ConfigError, match="--public-url: expected an address"):
        label("invite", "--public-url", "label.example.org")


def test_an_admin_is_invited_without_a_project(label: LabelShell) -> None:
    token = label("invite", "--role", "admin").strip().rpartition("/")[2]
    with label.open() as database, database.read() as session:
        invite = open_invite(session, token)
        assert invite is not None
        assert invite.project_id is None


def test_a_token_is_printed_once_and_has_its_scopes(label: LabelShell) -> None:
    token = label("token", "researcher", "--name", "n", "--scope", "labels:read").strip()
    with label.open() as database, database.read() as session:
        found = token_account(session, token)
        assert found is not None
        assert (found[0].login, found[1].scopes) == ("researcher", ["labels:read"])
    with pytest.raises(DataError, match="there is no scope `labels`"):
        label("token", "researcher", "--name", "n", "--scope", "labels")
    with pytest.raises(DataError, match="no account `nobody`"):
        label("token", "nobody", "--name", "n", "--scope", "labels:read")


def test_a_backup_becomes_a_database_again(label: LabelShell) -> None:
    label("backup", label.folder / "copy.db")
    restored = label("restore", label.folder / "copy.db", "--database", label.folder / "new.db")
    assert "new.db" in restored
    assert "Demo" in LabelShell(label.folder, "new.db")("project", "list")
    with pytest.raises(DataError, match="there is such a file already"):
        label("restore", label.folder / "copy.db")


def test_old_tables_are_refused_with_the_command_that_helps(label: LabelShell) -> None:
    with label.open() as database:
        downgrade(database, to="0001")
    with pytest.raises(SchemaError, match="`heedful label upgrade`"):
        label("project", "list")
    assert "from version 0001 to" in label("upgrade")
    assert "up to date" in label("upgrade")
    assert "Demo" in label("project", "list")


def test_a_mistyped_database_is_not_made(tmp_path: Path) -> None:
    shell = LabelShell(tmp_path, "mistyped.db")
    with pytest.raises(StoreUnavailableError, match=r"mistyped\.db: no such file"):
        shell("project", "list")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_rehearsal_makes_its_database(tmp_path: Path) -> None:
    shell = LabelShell(tmp_path, "rehearsal.db")
    told = shell("rehearse", "--size", "6")
    assert "all simulated" in told
    assert "heedful label serve --database" in told
    assert "(simulated)" in shell("project", "list")
