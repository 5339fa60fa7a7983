"""Tokens for programs: scoped, limited to a project where wanted, revocable, kept as hashes.

What each scope opens is `heedful.labelling.api_scopes`'.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from heedful.core.errors import DataError, NotAllowedError
from heedful.core.records import new_id
from heedful.store import audit
from heedful.store.access import account_by_id
from heedful.store.columns import utc_now
from heedful.store.people_tables import AccountRow, ApiTokenRow, MemberRow
from heedful.store.secret_tokens import MAX_TOKEN_LENGTH, new_token, token_hash

# Programs that look for leaked secrets can tell it by this.
PREFIX = "heedful_"
_SHOWN = len(PREFIX) + 6
_USED_EVERY = timedelta(minutes=1)


def create_token(
    session: Session,
    *,
    account_id: str,
    name: str,
    scopes: Iterable[str],
    project_id: str | None = None,
    expires_in: timedelta | None = None,
    now: datetime | None = None,
) -> tuple[ApiTokenRow, str]:
    """A token and its text, which is shown once and not kept.

    Args:
        project_id: The one project that it reaches; None for all that the account reaches.

    Raises:
        DataError: It has no name or no scope.
        NotAllowedError: The project is not the account's.
    """
    now = now or utc_now()
    scopes, name = sorted(set(scopes)), " ".join(name.split())
    if not 1 <= len(name) <= 100:
        raise DataError("the token needs a name", "Say in a few words what it is for.")
    if not scopes:
        raise DataError("the token could do nothing", "Choose at least one scope.")
    account = account_by_id(session, account_id)
    is_member = project_id is None or session.get(MemberRow, (project_id, account_id)) is not None
    if not is_member and account.role != "admin":
        raise NotAllowedError("that project is not yours", "Choose one of your projects.")
    token = new_token(PREFIX)
    row = ApiTokenRow(
        id=new_id("token"),
        token_hash=token_hash(token),
        prefix=token[:_SHOWN],
        name=name,
        account_id=account_id,
        project_id=project_id,
        scopes=scopes,
        created_at=now,
        expires_at=None if expires_in is None else now + expires_in,
        last_used_at=None,
        revoked_at=None,
    )
    session.add(row)
    session.flush()
    _record(session, row, "token.create", now)
    return row, token


def token_account(
    session: Session, token: str, *, now: datetime | None = None
) -> tuple[AccountRow, ApiTokenRow] | None:
    """Whose token it is and what it may do; None where it opens nothing (any more)."""
    if not token.startswith(PREFIX) or len(token) > MAX_TOKEN_LENGTH:
        return None
    now = now or utc_now()
    found = session.execute(
        select(AccountRow, ApiTokenRow)
        .join(ApiTokenRow, ApiTokenRow.account_id == AccountRow.id)
        .where(
            ApiTokenRow.token_hash == token_hash(token),
            ApiTokenRow.revoked_at.is_(None),
            AccountRow.state == "active",
        )
    ).one_or_none()
    if found is None:
        return None
    account, row = found
    if row.expires_at is not None and row.expires_at <= now:
        return None
    return account, row


def is_used_late(row: ApiTokenRow, now: datetime | None = None) -> bool:
    """Whether the time of the last use is due to be written down again."""
    return row.last_used_at is None or (now or utc_now()) - row.last_used_at >= _USED_EVERY


def mark_used(session: Session, token_id: str, now: datetime | None = None) -> None:
    """Write down that the token is in use."""
    session.execute(
        update(ApiTokenRow).where(ApiTokenRow.id == token_id).values(last_used_at=now or utc_now())
    )


def revoke_token(
    session: Session, token_id: str, *, account_id: str, now: datetime | None = None
) -> bool:
    """Take a token of an account back; False where it has no such open token."""
    row = session.get(ApiTokenRow, token_id)
    if row is None or row.account_id != account_id or row.revoked_at is not None:
        return False
    row.revoked_at = now or utc_now()
    _record(session, row, "token.revoke", row.revoked_at)
    return True


def tokens_of(session: Session, account_id: str) -> list[ApiTokenRow]:
    """The tokens of an account that were not revoked, the newest first."""
    return list(
        session.scalars(
            select(ApiTokenRow)
            .where(ApiTokenRow.account_id == account_id, ApiTokenRow.revoked_at.is_(None))
            .order_by(ApiTokenRow.created_at.desc(), ApiTokenRow.id)
        )
    )


def _record(session: Session, row: ApiTokenRow, action: str, now: datetime) -> None:
    audit.record(
        session,
        account_id=row.account_id,
        action=action,
        object_kind="token",
        object_id=row.id,
        project_id=row.project_id,
        detail={"name": row.name, "scopes": row.scopes},
        now=now,
    )
