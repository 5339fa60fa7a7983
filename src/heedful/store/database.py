"""The one way to the database: open it by URL, read in one block, write in another.

SQLite (one file, nothing to configure) and PostgreSQL (a team's server) behave alike here. A
read sees one moment and can change nothing; a write commits at the end of its block, and on
SQLite writers queue. What the tables are is `tables`', their versions `schema`'s.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from heedful.core.errors import ConfigError, DataError, StoreUnavailableError
from heedful.store.faults import BUSY, told_plainly
from heedful.store.turns import Turns

# The web server works with 40 threads; a request may read while it writes.
POOL_SIZE, POOL_OVERFLOW = 48, 16
BUSY_SECONDS = 10.0


class Database:
    """An open database. `close` it, or use it as a context manager.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.
        busy_seconds: How long to wait for a lock before saying that it is locked.
    """

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.url = database_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.busy_seconds = busy_seconds
        self.engine = (
            _sqlite(self.url, busy_seconds)
            if self.is_sqlite
            else _postgresql(self.url, busy_seconds)
        )
        options: dict[str, Any] = {"read_only": True}
        if not self.is_sqlite:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**options)
        self._turns = Turns() if self.is_sqlite else None

    @property
    def name(self) -> str:
        """The file, or the URL without password and options; for messages."""
        if self.path is not None:
            return str(self.path)
        # An option may be a password too.
        shown = self.url.set(drivername="postgresql", query={})
        return shown.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.url.database or "") if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees the database as of one moment and cannot change it.

        Raises:
            StoreUnavailableError: The database is away.
        """
        with (
            told_plainly(self.name, reading=True),
            Session(self._reader, expire_on_commit=False) as session,
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end of the block, and rolls back on an error.

        Work that takes long and needs no database (hashing a password) belongs before the
        block: on SQLite everybody else's writes wait for it.

        Raises:
            StoreUnavailableError: It is locked, full or away; nothing was written.
        """
        with ExitStack() as stack:
            stack.enter_context(told_plainly(self.name))
            if self._turns is not None:
                try:
                    stack.enter_context(self._turns.turn(self.busy_seconds))
                except TimeoutError as error:
                    raise StoreUnavailableError(f"{self.name}: {BUSY[0]}", BUSY[1]) from error
            session = stack.enter_context(Session(self.engine, expire_on_commit=False))
            yield session
            session.commit()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_database(url: str, *, migrate: bool = False) -> Database:
    """Open a database whose tables are of this program's version.

    Args:
        url: `sqlite:///path` or `postgresql://...`.
        migrate: Make the tables, or bring them up to date, first.

    Raises:
        ConfigError: The URL is of neither kind.
        StoreUnavailableError: There is no such file, or the server is away.
        SchemaError: The tables are older (and `migrate` is not set), newer, or half migrated.
    """
    from heedful.store.schema import check_schema, upgrade

    database = Database(url)
    try:
        if migrate:
            upgrade(database)
        elif database.path is not None and not database.path.is_file():
            raise StoreUnavailableError(
                f"{database.path}: no such file",
                "Check the path, or make a database with `heedful label upgrade`.",
            )
        check_schema(database)
    except BaseException:
        database.close()
        raise
    return database


def database_url(url: str) -> URL:
    """`url` with the driver that we use, a SQLite path made absolute.

    Raises:
        ConfigError: It is no URL, or of a database that is not supported.
    """
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name().replace("postgres", "postgresql", 1)
    except ArgumentError as error:
        raise ConfigError(f"`{url}` is not a database URL", _URLS) from error
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        try:
            import psycopg  # noqa: F401 - an extra
        except ImportError:
            raise ConfigError(
                "PostgreSQL needs a driver that is not installed",
                "Install it: pip install 'heedful[postgresql]'.",
            ) from None
        return parsed.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and parsed.database and parsed.database != ":memory:":
        path = Path(parsed.database).expanduser().absolute()
        return parsed.set(drivername="sqlite+pysqlite", database=str(path))
    raise ConfigError(f"`{parsed.render_as_string()}`: such a database is not supported", _URLS)


_URLS = "Use sqlite:///path/to/file.db or postgresql://user@host/name."


def _sqlite(url: URL, busy_seconds: float) -> Engine:
    engine = create_engine(
        url,
        connect_args={
            "timeout": busy_seconds,
            "check_same_thread": False,
            "cached_statements": 512,
        },
        **_pool(busy_seconds),
    )

    @event.listens_for(engine, "do_connect")
    def _private(*_: object) -> None:
        # Accounts and what people wrote are in it: readable by its owner alone. SQLite
        # gives the write-ahead log the same mode. A file that exists must not be opened here:
        # closing it would drop every lock that SQLite holds on it in this process.
        path = Path(url.database or "")
        with suppress(OSError):  # SQLite says it better
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    @event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, _record: object) -> None:
        # Off, so that we say ourselves where a transaction begins.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = bool(connection.get_execution_options().get("read_only"))
        # Straight to the driver: each request begins several times.
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(f"PRAGMA query_only={int(read_only)}")
        # Taking the lock at once: a transaction that reads first and writes later would
        # fail where another wrote in between.
        driver.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL, busy_seconds: float) -> Engine:
    milliseconds = round(busy_seconds * 1000)
    settings = {
        "connect_timeout": "5",
        "application_name": "heedful",
        "options": f"-c lock_timeout={milliseconds} -c timezone=UTC",
    }
    query = {**settings, **url.query}
    # A server that was away is noticed when a connection is taken, not in mid-work.
    return create_engine(url.set(query=query), pool_pre_ping=True, **_pool(busy_seconds))


def _pool(busy_seconds: float) -> dict[str, Any]:
    return {
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_OVERFLOW,
        "pool_timeout": busy_seconds,
        "pool_use_lifo": True,  # the connection used last has the warmest cache
        "json_serializer": _to_json,
    }


def _to_json(value: object) -> str:
    """Compact JSON that both databases can hold.

    Raises:
        DataError: A text holds a NUL or half a surrogate pair, which PostgreSQL refuses.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(*_UNHOLDABLE) from error
    if "\\u0000" in text and "\0" in _texts(value):
        raise DataError(*_UNHOLDABLE)
    return text


_UNHOLDABLE = (
    "A text holds a NUL character or half a surrogate pair.",
    "Remove it; it is not visible and cannot be stored.",
)


def _texts(value: object) -> str:
    """Every text in `value`, keys too, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(_texts(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return "".join(map(_texts, value))
    return ""
