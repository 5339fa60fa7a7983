"""Signed-in browsers: opaque tokens, kept as hashes, that can be taken back at any moment.

A session ends at a fixed time after the sign-in, or earlier after a time without requests.
"""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from heedful.core.records import new_id
from heedful.store.columns import utc_now
from heedful.store.people_tables import AccountRow, SessionRow
from heedful.store.secret_tokens import MAX_TOKEN_LENGTH, new_token, token_hash

DEFAULT_AGE = timedelta(days=14)
DEFAULT_IDLE = timedelta(days=3)
# Each request would otherwise write, and on SQLite writers queue.
_SEEN_EVERY = timedelta(minutes=5)
_MAX_BROWSER = 200


def start_session(
    session: Session,
    account_id: str,
    *,
    browser: str = "",
    age: timedelta = DEFAULT_AGE,
    now: datetime | None = None,
) -> tuple[SessionRow, str]:
    """A new session and the token for the cookie; whatever token the browser had is not used."""
    now = now or utc_now()
    token = new_token()
    row = SessionRow(
        id=new_id("session"),
        token_hash=token_hash(token),
        account_id=account_id,
        browser=browser[:_MAX_BROWSER],
        created_at=now,
        last_seen_at=now,
        expires_at=now + age,
        revoked_at=None,
    )
    session.add(row)
    session.flush()
    return row, token


def open_session(
    session: Session, token: str, *, idle: timedelta = DEFAULT_IDLE, now: datetime | None = None
) -> tuple[SessionRow, AccountRow] | None:
    """The session that a token opens and whose it is; None where it opens nothing (any more)."""
    if not token or len(token) > MAX_TOKEN_LENGTH:
        return None
    now = now or utc_now()
    found = session.execute(
        select(SessionRow, AccountRow)
        .join(AccountRow, AccountRow.id == SessionRow.account_id)
        .where(
            SessionRow.token_hash == token_hash(token),
            SessionRow.revoked_at.is_(None),
            SessionRow.expires_at > now,
            SessionRow.last_seen_at > now - idle,
            AccountRow.state == "active",
        )
    ).one_or_none()
    return None if found is None else (found[0], found[1])


def session_account(
    session: Session, token: str, *, idle: timedelta = DEFAULT_IDLE, now: datetime | None = None
) -> AccountRow | None:
    """Whose session it is, or None."""
    found = open_session(session, token, idle=idle, now=now)
    return None if found is None else found[1]


def is_seen_late(row: SessionRow, now: datetime | None = None) -> bool:
    """Whether the time of the last request is due to be written down again."""
    return (now or utc_now()) - row.last_seen_at >= _SEEN_EVERY


def mark_seen(session: Session, session_id: str, now: datetime | None = None) -> None:
    """Write down that the session is in use."""
    session.execute(
        update(SessionRow)
        .where(SessionRow.id == session_id, SessionRow.revoked_at.is_(None))
        .values(last_seen_at=now or utc_now())
    )


def rotate_session(session: Session, session_id: str) -> str | None:
    """A new token for a session whose rights changed; the old one opens nothing.

    None where the session was revoked meanwhile.
    """
    token = new_token()
    done = session.execute(
        update(SessionRow)
        .where(SessionRow.id == session_id, SessionRow.revoked_at.is_(None))
        .values(token_hash=token_hash(token))
        .returning(SessionRow.id)
    )
    return token if done.all() else None


def revoke_session(
    session: Session, session_id: str, *, account_id: str, now: datetime | None = None
) -> bool:
    """End one session of an account; False where it has no such open session."""
    done = session.execute(
        update(SessionRow)
        .where(
            SessionRow.id == session_id,
            SessionRow.account_id == account_id,
            SessionRow.revoked_at.is_(None),
        )
        .values(revoked_at=now or utc_now())
        .returning(SessionRow.id)
    )
    return bool(done.all())


def sessions_of(
    session: Session,
    account_id: str,
    *,
    idle: timedelta = DEFAULT_IDLE,
    now: datetime | None = None,
) -> list[SessionRow]:
    """The open sessions of an account, the one used last first."""
    now = now or utc_now()
    return list(
        session.scalars(
            select(SessionRow)
            .where(
                SessionRow.account_id == account_id,
                SessionRow.revoked_at.is_(None),
                SessionRow.expires_at > now,
                SessionRow.last_seen_at > now - idle,
            )
            .order_by(SessionRow.last_seen_at.desc(), SessionRow.id)
        )
    )
