"""Reading, writing, opening; many threads at once."""

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from fakes.labelling_store import demo_account
from heedful.core.errors import ConfigError
from heedful.store.database import Database, database_url, open_database
from heedful.store.tables import AccountRow


def logins(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(AccountRow.login).order_by(AccountRow.login)))


def test_a_write_is_there_after_its_block(database: Database) -> None:
    with database.write() as session:
        row = demo_account(session, "ada", "labeller")
        assert logins(database) == []
    assert logins(database) == ["ada"]
    assert row.name == "Ada"  # readable after the end


def test_an_error_takes_the_whole_block_back(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            demo_account(session, "ada", "labeller")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert logins(database) == []
    with database.write() as session:  # and the lock is free again
        demo_account(session, "ben", "labeller")
    assert logins(database) == ["ben"]


def test_a_read_changes_nothing(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"), database.read() as session:
        demo_account(session, "ada", "labeller")
    with database.write() as session:  # the same connection may write again
        demo_account(session, "ben", "labeller")
    assert logins(database) == ["ben"]


def test_a_read_sees_one_moment(database: Database) -> None:
    with database.read() as session:
        count = select(func.count()).select_from(AccountRow)
        assert session.scalar(count) == 0
        with database.write() as other:
            demo_account(other, "ada", "labeller")
        assert session.scalar(count) == 0
    assert logins(database) == ["ada"]


def test_writers_and_readers_at_once(database: Database) -> None:
    """Counts up in many threads: a lost update, a lock error or a deadlock would show."""
    with database.write() as session:
        demo_account(session, "ada", "labeller", preferences={"n": 0})
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(5):
                with database.write() as session:
                    query = select(AccountRow).with_for_update()
                    row = session.scalars(query).one()
                    row.preferences = {"n": row.preferences["n"] + 1}
                with database.read() as session:
                    session.scalars(select(AccountRow)).one()
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with database.read() as session:
        assert session.scalars(select(AccountRow)).one().preferences == {"n": 200}


def test_a_write_within_a_write_says_so(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path / 'heedful.db'}", migrate=True) as database:

        def nest() -> None:
            with database.write(), database.write():
                pass

        with pytest.raises(RuntimeError, match="inside a write"):
            nest()


def test_sqlite_is_set_so_that_nothing_is_lost(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path / 'heedful.db'}", migrate=True) as database:
        with database.write() as session:
            settings = {
                name: session.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert settings == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "busy_timeout": 10_000,
        }
        for file in tmp_path.iterdir():  # and so that nobody else on the machine reads it
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_two_programs_write_to_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'heedful.db'}"
    with open_database(url, migrate=True) as first, open_database(url) as second:
        with first.write() as session:
            demo_account(session, "ada", "labeller", preferences={"n": 0})

        def work(database: Database) -> None:
            for _ in range(20):
                with database.write() as session:
                    row = session.scalars(select(AccountRow)).one()
                    row.preferences = {"n": row.preferences["n"] + 1}

        threads = [threading.Thread(target=work, args=(one,)) for one in (first, second) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with first.read() as session:
            assert session.scalars(select(AccountRow)).one().preferences == {"n": 80}


def test_a_visitor_does_not_take_the_log_away(tmp_path: Path) -> None:
    """SQLite's locks keep the last one to leave from deleting a log that others write to.

    They are lost when any descriptor of the file is closed in the process that holds them.
    """
    path = tmp_path / "heedful.db"
    visit = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('select 1 from accounts')"
    with open_database(f"sqlite:///{path}", migrate=True) as database:
        with database.write() as session:
            demo_account(session, "ada", "labeller")
            assert logins(database) == []  # a second connection
        log = Path(f"{path}-wal")
        before = log.stat().st_ino
        subprocess.run([sys.executable, "-c", visit, path], check=True)
        assert log.stat().st_ino == before


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////srv/h.db", "sqlite+pysqlite:////srv/h.db"),
        ("postgres://ada@db/h", "postgresql+psycopg://ada@db/h"),
        ("postgresql://ada:secret@db/h", "postgresql+psycopg://ada:secret@db/h"),
        ("postgresql+psycopg://ada@db/h", "postgresql+psycopg://ada@db/h"),
    ],
)
def test_urls(url: str, expected: str) -> None:
    assert database_url(url).render_as_string(hide_password=False) == expected


def test_a_relative_path_is_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_url("sqlite:///h.db").database == str(tmp_path / "h.db")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert database_url("sqlite:///~/h.db").database == str(tmp_path / "h.db")


@pytest.mark.parametrize(
    "url", ["", "heedful.db", "sqlite://", "sqlite:///:memory:", "mysql://ada:secret@db/h"]
)
def test_urls_that_are_none_of_ours(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        database_url(url)
    assert "sqlite:///path" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_messages_never_show_a_password() -> None:
    with Database("postgresql://ada:secret@db/h?password=secret2&host=x") as database:
        assert database.name == "postgresql://ada:***@db/h"


def test_an_update_of_all_is_refused_in_a_read(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"), database.read() as session:
        session.execute(update(AccountRow).values(name="x"))


def test_without_postgresqls_driver_sqlite_works_and_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from heedful.core.errors import ConfigError\n"
        "from heedful.store.backup import back_up\n"
        "from heedful.store.database import open_database\n"
        f"open_database('sqlite:///{tmp_path}/a.db', migrate=True).close()\n"
        "try:\n"
        "    open_database('postgresql://host/name')\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'heedful[postgresql]'" in done.stdout
