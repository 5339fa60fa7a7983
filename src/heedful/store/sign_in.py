"""Signing in with login and password, and how often one may try.

An unknown login, a wrong password and a suspended account look alike: same words, same
work. Attempts are counted in the database, so that a restart forgives nothing.
"""

import hashlib
import ipaddress
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from heedful.core.errors import LoginError, RateLimitedError
from heedful.store import audit
from heedful.store.access import account_by_login, normal_login
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.passwords import is_outdated, matches, rehashed
from heedful.store.people_tables import AccountRow, LoginAttemptRow

WINDOW = timedelta(minutes=15)
# Failed attempts within the window. A stranger who fails on purpose soon meets the first
# limit, long before the third would shut the owner of the login out everywhere.
MAX_PER_LOGIN_AND_ADDRESS = 8
MAX_PER_ADDRESS = 30
MAX_PER_LOGIN = 40
_LOCK = 0x4845454446554C  # any number that nothing else locks


def verify_login(
    database: Database,
    login: str,
    password: str,
    *,
    address: str,
    now: datetime | None = None,
) -> AccountRow:
    """The account that login and password open.

    It takes the database, not a session: the attempt is counted before the password is
    looked at (so that a hundred at once count as a hundred), stays counted when this
    fails, and the slow part lies outside of transactions.

    Args:
        address: Where the attempt comes from.

    Raises:
        LoginError: No active account has this login and this password.
        RateLimitedError: Too many attempts with this login or from this address.
    """
    now = now or utc_now()
    limits = _limits(login, address)
    with database.write() as session:
        attempts = _count_attempt(session, limits, now)
        account = account_by_login(session, login)
    stored = account.password_hash if account is not None else None
    if not matches(stored, password) or account is None or account.state != "active":
        raise LoginError("Login or password is wrong.", "Check both and try again.")
    renewed = rehashed(password) if stored is not None and is_outdated(stored) else None
    with database.write() as session:
        _forgive(session, attempts, next(iter(limits)))
        current = session.get(AccountRow, account.id)
        if current is None or current.state != "active" or current.password_hash != stored:
            raise LoginError("Login or password is wrong.", "Check both and try again.")
        if renewed is not None:
            current.password_hash = renewed
        audit.record(
            session,
            account_id=account.id,
            action="account.sign_in",
            object_kind="account",
            object_id=account.id,
            now=now,
        )
        return current


def _limits(login: str, address: str) -> dict[str, int]:
    """The keys that an attempt counts under, each with how many are let through."""
    login, network = normal_login(login), _network(address)
    return {
        _key("login and address", login, network): MAX_PER_LOGIN_AND_ADDRESS,
        _key("address", network): MAX_PER_ADDRESS,
        _key("login", login): MAX_PER_LOGIN,
    }


def _count_attempt(session: Session, limits: dict[str, int], now: datetime) -> list[int]:
    """Count an attempt under each key; return the rows.

    Raises:
        RateLimitedError: A key is used up.
    """
    if session.get_bind().dialect.name == "postgresql":
        # One count after the other; on SQLite writers queue anyway.
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    session.execute(delete(LoginAttemptRow).where(LoginAttemptRow.at <= now - WINDOW))
    for key, most in limits.items():
        count, oldest = session.execute(
            select(func.count(), func.min(LoginAttemptRow.at)).where(
                LoginAttemptRow.key == key, LoginAttemptRow.at > now - WINDOW
            )
        ).one()
        if count >= most:
            wait = (oldest + WINDOW - now).total_seconds()
            raise RateLimitedError("Too many attempts to sign in.", seconds=max(1.0, wait))
    rows = [LoginAttemptRow(key=key, at=now) for key in limits]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def _forgive(session: Session, attempts: list[int], own_key: str) -> None:
    """Uncount a successful attempt, and this login's earlier ones from this address."""
    session.execute(
        delete(LoginAttemptRow).where(
            or_(LoginAttemptRow.id.in_(attempts), LoginAttemptRow.key == own_key)
        )
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _network(address: str) -> str:
    """The address, or of IPv6 the /64 network, all of which one customer has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
