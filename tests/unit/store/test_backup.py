"""Backups: while writers are at work, checked, never overwriting; and back."""

import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from fakes.databases import Server, small_disk
from fakes.labelling_store import demo_account, demo_batch, demo_project
from heedful.core.errors import ConfigError, DataError, StoreUnavailableError
from heedful.store.backup import back_up, restore
from heedful.store.database import Database, open_database
from heedful.store.schema import check_schema, downgrade
from heedful.store.tables import AccountRow, AuditRow, ProjectRow


@pytest.fixture
def another_url(
    database: Database, tmp_path: Path, postgresql_server: Callable[[], Server]
) -> Iterator[str]:
    """Where to restore to: the same kind of database, empty."""
    if database.is_sqlite:
        yield f"sqlite:///{tmp_path / 'restored.db'}"
        return
    if shutil.which("pg_dump") is None:
        pytest.skip("no pg_dump on PATH")
    url = postgresql_server().fresh(empty=True)
    yield url
    postgresql_server().drop(url)


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def test_there_and_back(database: Database, another_url: str, tmp_path: Path) -> None:
    with database.write() as session:
        demo = demo_project(session, name="Schön 🦉")
        demo_batch(session, demo)
    out, told = tmp_path / "deep" / "copy", []
    copied = back_up(url_of(database), out, told.append)
    assert (copied.path, copied.num_bytes) == (out, out.stat().st_size)
    assert told[-1] == 1.0
    assert told == sorted(told)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in out.parent.iterdir()] == ["copy"]
    restore(out, another_url)
    with open_database(another_url) as restored, restored.read() as session:
        assert session.scalars(select(ProjectRow.name)).all() == ["Schön 🦉"]
        with database.read() as original:
            count = select(func.count()).select_from(AuditRow)
            assert session.scalar(count) == original.scalar(count)


def test_nothing_is_overwritten(database: Database, another_url: str, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    out.write_text("mine")
    with pytest.raises(DataError, match="there is such a file already"):
        back_up(url_of(database), out)
    assert out.read_text() == "mine"
    back_up(url_of(database), tmp_path / "copy2")
    with pytest.raises(DataError, match="already"):
        restore(tmp_path / "copy2", url_of(database))


def test_an_older_version_is_restored_as_it_was(
    database: Database, another_url: str, tmp_path: Path
) -> None:
    downgrade(database, to="0001")
    back_up(url_of(database), tmp_path / "copy")
    restore(tmp_path / "copy", another_url)
    with open_database(another_url, migrate=True) as restored:
        check_schema(restored)


def test_a_copy_while_labellers_write(database: Database, another_url: str, tmp_path: Path) -> None:
    """The copy holds one moment: a number and as many lines as it says, and what came before."""
    with database.write() as session:
        demo_account(session, "counter", "labeller", preferences={"n": 0})
    done, errors = threading.Event(), []

    def work() -> None:
        try:
            while not done.is_set():
                with database.write() as session:
                    row = session.scalars(select(AccountRow).with_for_update()).one()
                    row.preferences = {"n": row.preferences["n"] + 1}
                    session.add(
                        AuditRow(
                            at=row.created_at,
                            action="a",
                            object_kind="b",
                            object_id="x" * 3000,
                            detail={},
                        )
                    )
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        while _count(database) < 100:
            pass
        before = _count(database)
        back_up(url_of(database), tmp_path / "copy")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    restore(tmp_path / "copy", another_url)
    with open_database(another_url) as restored:
        with restored.read() as session:
            told = session.scalars(select(AccountRow)).one().preferences["n"]
        assert before <= told == _count(restored) <= _count(database)


def _count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(AuditRow)) or 0


def test_a_damaged_database_makes_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "heedful.db"
    open_database(f"sqlite:///{path}", migrate=True).close()
    with sqlite3.connect(path) as connection:  # a row whose reference is gone
        connection.execute("INSERT INTO survey_done VALUES ('no project', 'nobody')")
    connection.close()
    with pytest.raises(DataError, match="damaged"):
        back_up(f"sqlite:///{path}", tmp_path / "copy")
    assert [p.name for p in tmp_path.iterdir() if "copy" in p.name] == []


def test_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'heedful.db'}"
    open_database(url, migrate=True).close()
    back_up(url, tmp_path / "copy")
    whole = (tmp_path / "copy").read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:5000] + b"\xff" * 4000 + whole[9000:]):
        (tmp_path / "copy").write_bytes(broken)
        with pytest.raises((DataError, StoreUnavailableError), match="damaged"):
            restore(tmp_path / "copy", f"sqlite:///{tmp_path / 'new.db'}")
        assert not (tmp_path / "new.db").exists()


def test_what_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("Dear diary")
    for path, words in ((tmp_path / "copy", "not a backup"), (tmp_path / "none", "no such file")):
        with pytest.raises(DataError, match=words):
            restore(path, f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(DataError, match="no such file"):
        back_up(f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "copy3")
    assert not (tmp_path / "none.db").exists()


def test_a_backup_of_the_other_kind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'heedful.db'}"
    open_database(url, migrate=True).close()
    back_up(url, tmp_path / "copy")
    with pytest.raises(DataError, match="a sqlite database cannot become a postgresql one"):
        restore(tmp_path / "copy", "postgresql://ada@127.0.0.1:1/heedful")


def test_left_over_files_are_not_mixed_in(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'heedful.db'}"
    open_database(url, migrate=True).close()
    back_up(url, tmp_path / "copy")
    (tmp_path / "new.db-wal").write_bytes(b"x")
    with pytest.raises(DataError, match="left over"):
        restore(tmp_path / "copy", f"sqlite:///{tmp_path / 'new.db'}")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'heedful.db'}"
    open_database(url, migrate=True).close()
    with small_disk(tmp_path / "small", num_bytes=65536) as place:
        with pytest.raises(StoreUnavailableError, match=r"disk of the database is full|cannot be"):
            back_up(url, place / "copy")
        assert list(place.iterdir()) == []


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'heedful.db'}"
    open_database(url, migrate=True).close()
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        back_up(url, tmp_path / "heedful.db" / "copy")


def _pretend_programs(folder: Path) -> None:
    """`pg_dump` that writes down how it was called; the password must not be among it."""
    folder.mkdir()
    script = folder / "pg_dump"
    script.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$@" > {folder}/arguments\n'
        f'printf "%s" "$PGPASSWORD" > {folder}/password\n'
        'echo "pg_dump: error: on purpose" >&2\nexit 1\n'
    )
    script.chmod(0o755)


def test_a_password_is_not_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend_programs(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(StoreUnavailableError, match=r"`pg_dump` failed: .*on purpose"):
        back_up("postgresql://ada:se%20cret@db:5433/heedful", tmp_path / "copy")
    arguments = (tmp_path / "bin" / "arguments").read_text()
    assert "se cret" not in arguments
    assert "se%20cret" not in arguments
    assert "user=ada" in arguments
    assert "port=5433" in arguments
    assert (tmp_path / "bin" / "password").read_text() == "se cret"
    assert json.dumps([p.name for p in tmp_path.iterdir()]) == '["bin"]'


def test_programs_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="`pg_dump` is not installed"):
        back_up("postgresql://ada@db/heedful", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []
