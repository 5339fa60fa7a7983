"""What went wrong with a database, in words for people.

Locked, full, away, damaged: each is told by the driver in its own way. Everything else, a
broken constraint above all, is a defect or the caller's to handle and passes through.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from heedful.core.errors import DataError, HeedfulError, StoreUnavailableError

Fault = tuple[str, str]
BUSY: Fault = (
    "the database is locked by another program or too busy",
    "Nothing was changed; try again. If it lasts, see which program holds it open.",
)
_FULL: Fault = (
    "the disk of the database is full",
    "Nothing was changed. Free some space, then try again.",
)
_AWAY: Fault = (
    "the database server does not answer",
    "Nothing was changed that was not confirmed. Check that it runs and is reachable.",
)
_DAMAGED: Fault = (
    "the file is damaged or no database",
    "Restore a backup: `heedful label restore`.",
)
_SQLITE_FAULTS: dict[int, Fault] = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_IOERR: (
        "the disk of the database cannot be read or written",
        "Check the disk and its free space, then try again.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the database file cannot be opened",
        "Check that its folder exists and may be written to.",
    ),
    sqlite3.SQLITE_READONLY: (
        "the database file may not be written to",
        "Check the permissions of the file and of its folder.",
    ),
}
# By SQLSTATE, of which the first two characters are the class.
_POSTGRESQL_FAULTS: dict[str, Fault] = {
    "53100": _FULL,
    "53300": ("the database server has no connection free", "Try again in a moment."),
    "40001": BUSY,
    "40P01": BUSY,
    "55P03": BUSY,
    "57014": BUSY,
    "08": _AWAY,
    "57": _AWAY,
}


@contextmanager
def told_plainly(name: str, *, reading: bool = False) -> Iterator[None]:
    """Turn what a driver says of an unavailable database into a `StoreUnavailableError`.

    Args:
        name: The database, as messages call it.
        reading: Nothing is meant to be written, so that an attempt is a defect of ours.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreUnavailableError(f"{name}: {BUSY[0]}", BUSY[1]) from error
    except sqlite3.Error as error:  # at the beginning of a transaction
        fault = fault_of(error)
        if fault is None:
            raise
        raise StoreUnavailableError(f"{name}: {fault[0]}", fault[1]) from error
    except StatementError as error:
        if isinstance(error.orig, HeedfulError):
            raise error.orig from error
        if _holds_nul(error.orig):
            raise DataError("A text holds a NUL character.", "Remove it.") from error
        fault = fault_of(error.orig) if isinstance(error, DBAPIError) else None
        wrote = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY
        if fault is None or (reading and wrote):
            raise
        raise StoreUnavailableError(f"{name}: {fault[0]}", fault[1]) from error


def fault_of(error: BaseException | None) -> Fault | None:
    """The fault that a driver's error tells of, if it is one of availability."""
    if isinstance(error, sqlite3.Error):
        # The low byte is the kind; the rest says more of it.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return _SQLITE_FAULTS.get(code)
    if _is_psycopgs(error, "Error"):
        state = getattr(error, "sqlstate", None)
        if state is None:
            return _unconnected(error) if _is_psycopgs(error, "OperationalError") else None
        return _POSTGRESQL_FAULTS.get(state) or _POSTGRESQL_FAULTS.get(state[:2])
    return None


def _unconnected(error: BaseException | None) -> Fault:
    """A connection that was not made or broke; why is in words only, for want of a code."""
    _, refused, why = str(error).partition("FATAL:")
    if not refused:
        return _AWAY
    why = why.strip().splitlines()[0]
    return (f"the database server refuses: {why}", "Check user, password and database in the URL.")


def _holds_nul(error: BaseException | None) -> bool:
    return _is_psycopgs(error, "DataError") and "NUL" in str(error)


def _is_psycopgs(error: BaseException | None, kind: str) -> bool:
    """Whether an error is of that class of the driver's, which need not be installed."""
    driver = sys.modules.get("psycopg")
    return driver is not None and isinstance(error, getattr(driver, kind))
