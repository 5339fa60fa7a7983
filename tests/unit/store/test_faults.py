"""Locked, full, away, damaged: each tried with the real thing."""

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from fakes.databases import Server, small_disk, start_server
from fakes.labelling_store import demo_account
from heedful.core.errors import DataError, StoreUnavailableError
from heedful.store.database import Database, open_database
from heedful.store.faults import fault_of
from heedful.store.tables import AccountRow


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'heedful.db'}"
    open_database(url, migrate=True).close()
    return url


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that may be stopped."""
    server = start_server()
    yield server
    server.close()


def add_account(database: Database, login: str, **columns: object) -> None:
    with database.write() as session:
        demo_account(session, login, "labeller", **columns)


def count(database: Database) -> int:
    with database.read() as session:
        return len(session.scalars(select(AccountRow.id)).all())


def test_a_file_that_another_program_locked(sqlite_url: str, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "heedful.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Database(sqlite_url, busy_seconds=0.1) as database:
        with pytest.raises(StoreUnavailableError, match="locked by another program"):
            add_account(database, "ada")
        assert count(database) == 0  # reading goes on
        holder.execute("ROLLBACK")
        holder.close()
        add_account(database, "ada")
        assert count(database) == 1


def test_a_row_that_another_program_locked(postgresql_server: Callable[[], Server]) -> None:
    server = postgresql_server()
    url = server.fresh()
    with Database(url, busy_seconds=0.2) as database, database.write() as session:
        session.execute(text("LOCK TABLE accounts"))
        with pytest.raises(StoreUnavailableError, match="locked by another program"):
            add_account(database, "ada")
    server.drop(url)


def test_a_writer_in_this_program_that_does_not_end(sqlite_url: str) -> None:
    with Database(sqlite_url, busy_seconds=0.1) as database:
        errors: list[Exception] = []

        def other() -> None:
            try:
                add_account(database, "ada")
            except StoreUnavailableError as error:
                errors.append(error)

        thread = threading.Thread(target=other)
        with database.write():
            thread.start()
            thread.join()
        assert "too busy" in str(errors[0])


def test_a_full_disk(sqlite_url: str) -> None:
    """SQLite's own limit gives the same answer as a full disk."""
    with Database(sqlite_url) as database:
        with database.write() as session:
            pages = session.scalar(text("PRAGMA page_count"))
            session.execute(text(f"PRAGMA max_page_count={pages + 2}"))
        with pytest.raises(StoreUnavailableError, match="disk of the database is full") as caught:
            add_account(database, "ada", preferences={"text": "x" * 100_000})
        assert "Nothing was changed" in str(caught.value.hint)
        assert count(database) == 0
        add_account(database, "ben")  # what fits is taken
        assert count(database) == 1


def test_a_really_full_disk(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "small", num_bytes=2_000_000) as place,
        open_database(f"sqlite:///{place / 'heedful.db'}", migrate=True) as database,
    ):
        add_account(database, "ada")
        (place / "ballast").write_bytes(b"x" * shutil.disk_usage(place).free)
        with pytest.raises(StoreUnavailableError, match="disk of the database"):
            add_account(database, "ben", preferences={"text": "x" * 1_000_000})
        assert count(database) == 1
        (place / "ballast").unlink()
        add_account(database, "ben")
        assert count(database) == 2


def test_a_server_that_is_away_and_comes_back(own_server: Server) -> None:
    url = own_server.fresh()
    with open_database(url) as database:
        add_account(database, "ada")

        def cut_off() -> None:
            with database.write() as session:
                demo_account(session, "lost", "labeller")
                own_server.stop()
                session.scalars(select(AccountRow)).all()

        with pytest.raises(StoreUnavailableError, match="does not answer"):
            cut_off()
        for attempt in (count, lambda database: add_account(database, "ben")):
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                attempt(database)
        own_server.start()
        add_account(database, "ben")
        assert count(database) == 2


def test_a_server_that_was_never_there() -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        open_database("postgresql://ada@127.0.0.1:1/heedful")
    assert time.monotonic() - began < 10


def test_a_database_that_is_not_there(postgresql_server: Callable[[], Server]) -> None:
    with pytest.raises(StoreUnavailableError, match='refuses: database "nowhere" does not exist'):
        open_database(postgresql_server().url("nowhere"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        open_database(f"sqlite:///{tmp_path / 'none' / 'heedful.db'}", migrate=True)


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "heedful.db").write_text("Dear diary, " * 100)
    with pytest.raises(StoreUnavailableError, match="damaged or no database"):
        open_database(f"sqlite:///{tmp_path / 'heedful.db'}")


def test_a_damaged_file(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "heedful.db"
    contents = bytearray(path.read_bytes())
    contents[200:] = bytes(len(contents) - 200)
    path.write_bytes(contents)
    with pytest.raises(StoreUnavailableError, match="damaged"):
        open_database(sqlite_url)


def test_a_file_that_may_not_be_written_to(sqlite_url: str, tmp_path: Path) -> None:
    """Tried as another user, since the administrator may write to everything."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from heedful.store.database import Database\n"
        "from heedful.core.errors import StoreUnavailableError\n"
        "from sqlalchemy import text\n"
        "path = Path(sys.argv[1])\n"
        "path.chmod(0o444)\n"
        "if os.geteuid() == 0:\n"
        "    for folder in [path, *path.parents][:6]:\n"
        "        os.chmod(folder, folder.stat().st_mode | 0o055)\n"
        "    os.setuid(65534)\n"
        "try:\n"
        "    with Database(f'sqlite:///{path}') as database, database.write() as session:\n"
        "        session.execute(text('DELETE FROM audit'))\n"
        "except StoreUnavailableError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "heedful.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "may not be written to" in done.stdout, done.stderr


def test_what_is_no_fault_of_the_database_passes(database: Database) -> None:
    add_account(database, "ada")
    with pytest.raises(IntegrityError):
        add_account(database, "ada")


def test_an_error_of_ours_comes_out_as_it_is(database: Database) -> None:
    with pytest.raises(DataError, match="surrogate"):
        add_account(database, "ada", preferences={"a": "\udc00"})


def test_other_errors_are_no_faults() -> None:
    assert fault_of(None) is None
    assert fault_of(ValueError()) is None
    assert fault_of(sqlite3.OperationalError("no such table")) is None
    assert fault_of(psycopg.errors.UndefinedTable()) is None
    assert fault_of(psycopg.errors.DiskFull()) == (
        "the disk of the database is full",
        "Nothing was changed. Free some space, then try again.",
    )
    assert "no connection free" in fault_of(psycopg.errors.TooManyConnections())[0]
