"""Copies of a database, made while it is at work, and databases made of copies.

A copy appears under its name only when it is whole and checked, and never in the place of
another file. SQLite is copied by its backup interface, PostgreSQL by its own programs.
Anything deleted after a copy (an account, a prompt) is still in it: keep copies no longer
than needed.
"""

import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, inspect

from heedful.core.errors import ConfigError, DataError, StoreUnavailableError
from heedful.core.jsonl import sync_folder
from heedful.store.database import Database, database_url
from heedful.store.faults import fault_of, told_plainly

OnProgress = Callable[[float], None]
_SQLITE_MAGIC, _POSTGRESQL_MAGIC = b"SQLite format 3\0", b"PGDMP"
_PAGES_AT_ONCE = 1024


@dataclass(frozen=True)
class Copied:
    """A finished backup."""

    path: Path
    num_bytes: int


def back_up(url: str, out: Path, on_progress: OnProgress | None = None) -> Copied:
    """Copy the database at `url`, as of one moment, to the new file `out`.

    Labellers may be at work meanwhile; nobody waits.

    Args:
        on_progress: Told the fraction that is done, from 0 to 1.

    Raises:
        DataError: `out` is there already, or the copy failed its check.
        StoreUnavailableError: The database is away, or the disk full.
        ConfigError: PostgreSQL's programs are not installed.
    """
    on_progress = on_progress or (lambda _fraction: None)
    parsed = database_url(url)
    with _new_file(out) as temporary:
        if parsed.get_backend_name() == "sqlite":
            _copy_sqlite(_existing(Path(parsed.database or "")), temporary, on_progress)
        else:
            _dump_postgresql(parsed, temporary)
    on_progress(1.0)
    return Copied(out, out.stat().st_size)


def restore(backup: Path, url: str) -> None:
    """Make the database at `url` from a backup. Older tables stay older: upgrade then.

    Args:
        url: A SQLite file that is not there yet, or an empty PostgreSQL database.

    Raises:
        DataError: The backup is none, or of the other kind, or damaged; or the place is taken.
        StoreUnavailableError: The database is away, or the disk full.
        ConfigError: PostgreSQL's programs are not installed.
    """
    parsed = database_url(url)
    kind, wanted = _kind_of(_existing(backup)), parsed.get_backend_name()
    if kind != wanted:
        raise DataError(
            f"{backup}: a backup of a {kind} database cannot become a {wanted} one.",
            "Restore it to the same kind of database.",
        )
    if kind == "postgresql":
        _restore_postgresql(backup, parsed)
        return
    path = _not_there(Path(parsed.database or ""))
    for left in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if left.exists():
            raise DataError(
                f"{left}: left over from another database of that name.",
                "Move it away together with its database.",
            )
    with _new_file(path) as temporary:
        _copy_sqlite(backup, temporary, lambda _fraction: None)


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A name to write to that becomes `path` when the block ends without an error."""
    temporary = _not_there(path).with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made by us: everything that people wrote is in it.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        _name_finally(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreUnavailableError(
            f"{path}: cannot be written: {error.strerror}", "Check the folder and its free space."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _name_finally(temporary: Path, path: Path) -> None:
    """Give the file its name unless somebody took it meanwhile."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError as error:
        raise DataError(f"{path}: there is such a file already.", "Choose another name.") from error
    except OSError:  # a file system without links, where a rename has to do
        temporary.rename(path)


def _not_there(path: Path) -> Path:
    if path.exists():
        raise DataError(f"{path}: there is such a file already.", "Choose another name.")
    return path


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: no such file.", "Check the path.")
    return path


def _kind_of(backup: Path) -> str:
    with backup.open("rb") as file:
        start = file.read(16)
    if start == _SQLITE_MAGIC:
        return "sqlite"
    if start.startswith(_POSTGRESQL_MAGIC):
        return "postgresql"
    raise DataError(f"{backup}: not a backup of Heedful's.", "Name a file that it made.")


def _copy_sqlite(source: Path, target: Path, on_progress: OnProgress) -> None:
    """Copy as of one moment, make the copy one file, and check it."""

    def progress(_status: int, remaining: int, total: int) -> None:
        on_progress(1 - remaining / total if total else 1.0)

    try:
        with (
            # Not `mode=ro`: the first reader of a log that is there has to recover it.
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            # A transaction held open: without it every write meanwhile starts the copy anew.
            reader.isolation_level = None
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            reader.backup(writer, pages=_PAGES_AT_ONCE, progress=progress)
            reader.execute("ROLLBACK")
            writer.execute("PRAGMA journal_mode=DELETE")
            broken = writer.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if broken != "ok" or writer.execute("PRAGMA foreign_key_check").fetchone():
                raise DataError(
                    f"{source}: the database is damaged: {broken}", "Restore an earlier backup."
                )
    except sqlite3.Error as error:
        what, hint = fault_of(error) or (str(error), None)
        raise StoreUnavailableError(f"{source}, copied to {target.parent}: {what}", hint) from error


def _dump_postgresql(url: URL, target: Path) -> None:
    _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")
    # Reads every block of the copy.
    _run("pg_restore", None, f"--file={os.devnull}", str(target))


def _restore_postgresql(backup: Path, url: URL) -> None:
    with (
        Database(url.render_as_string(hide_password=False)) as database,
        told_plainly(database.name),
    ):
        if tables := inspect(database.engine).get_table_names():
            raise DataError(
                f"{database.name}: there are tables already, such as `{min(tables)}`.",
                "Restore into a new database: make one with `createdb`.",
            )
    whole = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    _run("pg_restore", url, *whole, str(backup))


def _run(program: str, url: URL | None, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; a password goes through the environment."""
    found = shutil.which(program)
    if found is None:
        raise ConfigError(
            f"`{program}` is not installed.",
            "Install PostgreSQL's client programs, of the server's version or newer.",
        )
    environment, where = dict(os.environ), []
    if url is not None:
        from psycopg.conninfo import make_conninfo

        _, options = url.get_dialect()().create_connect_args(url)
        if password := options.pop("password", None):
            environment["PGPASSWORD"] = str(password)
        where = ["--dbname", make_conninfo(**options)]
    done = subprocess.run(
        [found, *where, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise StoreUnavailableError(
            f"`{program}` failed: {said[-1] if said else f'status {done.returncode}'}",
            "Nothing was left behind. The program's own words say what to do.",
        )
