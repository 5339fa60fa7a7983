"""Accounts: making them, what role they have, suspending them.

How people prove who they are is in `sign_in`, `sessions`, `invites` and `tokens`; which
role may do what is `heedful.labelling.guards`'.
"""

import re
import unicodedata
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from heedful.core.errors import DataError, NotAllowedError
from heedful.core.records import MadeBy, new_id
from heedful.store import audit
from heedful.store.columns import Role, utc_now
from heedful.store.passwords import HashedPassword, hashed
from heedful.store.people_tables import AccountRow, ApiTokenRow, InviteRow, SessionRow
from heedful.store.projects import free_leases

# What a role may do, every role below it may not do more of.
RANK: dict[str, int] = {"labeller": 0, "reviewer": 1, "researcher": 2, "admin": 3}
MAX_NAME_LENGTH = 100
_SIGNING_IN_ADMINS = select(AccountRow).where(
    AccountRow.role == "admin",
    AccountRow.state == "active",
    AccountRow.password_hash.is_not(None),
)
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")


def clean_login(login: str) -> str:
    """A login as it is stored: lower case, no spaces around it.

    Raises:
        DataError: It has other characters than a login may have.
    """
    plain = normal_login(login)
    if not _LOGIN.fullmatch(plain):
        raise DataError(
            "that login cannot be used",
            "Use 2 to 64 letters a-z, digits and . _ @ + -, beginning with a letter or digit.",
        )
    return plain


def normal_login(login: str) -> str:
    """What somebody typed as a login, in the form that logins are compared in."""
    return unicodedata.normalize("NFKC", login).strip().lower()


def clean_name(name: str) -> str:
    """A name to show, without control characters and surplus spaces.

    Raises:
        DataError: Nothing is left, or it is too long.
    """
    plain = " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in name).split())
    if not 1 <= len(plain) <= MAX_NAME_LENGTH:
        raise DataError("the name cannot be used", f"Give 1 to {MAX_NAME_LENGTH} characters.")
    return plain


def create_account(
    session: Session,
    *,
    login: str,
    name: str,
    role: Role,
    password: str | HashedPassword | None = None,
    made_by: MadeBy = "person",
    by: str | None = None,
    now: datetime | None = None,
) -> AccountRow:
    """A new account; without a password nobody can sign in to it.

    Args:
        by: The account that makes it; None for a command on the server's machine.

    Raises:
        DataError: The login is taken or cannot be used, or the password is too weak.
    """
    login, name = clean_login(login), clean_name(name)
    if role not in RANK:
        raise DataError(f"there is no role {role!r}", f"Use one of {', '.join(RANK)}.")
    if session.scalar(select(AccountRow.id).where(AccountRow.login == login)) is not None:
        raise DataError("that login is taken", "Choose another one.")
    if isinstance(password, str):
        password = hashed(password, login=login)
    account = AccountRow(
        id=new_id("account"),
        login=login,
        name=name,
        role=role,
        state="active",
        password_hash=password.argon2id if password is not None else None,
        made_by=made_by,
        preferences={},
        avoids_sensitive=False,
        created_at=now or utc_now(),
    )
    session.add(account)
    session.flush()
    _record(session, by, "account.create", account.id, {"login": login, "role": role}, now)
    return account


def set_password(
    session: Session,
    *,
    account_id: str,
    password: str | HashedPassword,
    by: str | None,
    keep_session: str | None = None,
    now: datetime | None = None,
) -> None:
    """Replace a password and end every session of the account but `keep_session`."""
    account = account_by_id(session, account_id)
    if isinstance(password, str):
        password = hashed(password, login=account.login)
    account.password_hash = password.argon2id
    end_sessions(session, account_id, but=keep_session, now=now)
    _record(session, by, "account.password", account_id, {}, now)


def set_name(session: Session, *, account_id: str, name: str, by: str | None) -> None:
    """Change the name that researchers and admins see."""
    account = account_by_id(session, account_id)
    account.name = clean_name(name)
    _record(session, by, "account.name", account_id, {}, None)


def set_avoids_sensitive(session: Session, *, account_id: str, avoids: bool) -> None:
    """Opt out of sensitive items, or in again."""
    account_by_id(session, account_id).avoids_sensitive = avoids
    _record(session, account_id, "account.sensitive", account_id, {"avoids": avoids}, None)


def set_role(
    session: Session, *, account_id: str, role: Role, by: str | None, now: datetime | None = None
) -> None:
    """Change a role; sessions, tokens and open invites of the account end with the old one.

    Raises:
        NotAllowedError: It is the last active admin, or `by` has no right to.
    """
    if role not in RANK:
        raise DataError(f"there is no role {role!r}", f"Use one of {', '.join(RANK)}.")
    _must_be_admin(session, by)
    account = account_by_id(session, account_id)
    if account.role == role:
        return
    if account.role == "admin":
        _keep_an_admin(session, account)
    detail = {"from": account.role, "to": role}
    account.role = role
    end_sessions(session, account_id, now=now)
    _revoke_given_rights(session, account_id, now or utc_now())
    _record(session, by, "account.role", account_id, detail, now)


def suspend(
    session: Session,
    *,
    account_id: str,
    by: str | None,
    reason: str = "",
    now: datetime | None = None,
) -> None:
    """Shut an account out at once: sessions, tokens, open invites and leases end.

    Labels stay; excluding them is another decision.

    Raises:
        NotAllowedError: It is the last active admin, or `by` has no right to.
    """
    _must_be_admin(session, by)
    account = account_by_id(session, account_id)
    if account.state == "suspended":
        return
    if account.role == "admin":
        _keep_an_admin(session, account)
    account.state = "suspended"
    end_sessions(session, account_id, now=now)
    _revoke_given_rights(session, account_id, now or utc_now())
    free_leases(session, account_id=account_id)
    _record(session, by, "account.suspend", account_id, {"reason": reason}, now)


def reinstate(
    session: Session, *, account_id: str, by: str | None, now: datetime | None = None
) -> None:
    """Let a suspended account sign in again; what was revoked stays so."""
    _must_be_admin(session, by)
    account = account_by_id(session, account_id)
    if account.state == "active":
        return
    account.state = "active"
    _record(session, by, "account.reinstate", account_id, {}, now)


def account_by_id(session: Session, account_id: str) -> AccountRow:
    """The account; DataError where there is none."""
    account = session.get(AccountRow, account_id)
    if account is None:
        raise DataError("there is no such account", "Reload the list of accounts.")
    return account


def account_by_login(session: Session, login: str) -> AccountRow | None:
    """The account with that login, however it was typed; None where there is none."""
    plain = normal_login(login)
    if not _LOGIN.fullmatch(plain):
        return None
    return session.scalar(select(AccountRow).where(AccountRow.login == plain))


def accounts(session: Session) -> list[AccountRow]:
    """Every account, by login."""
    return list(session.scalars(select(AccountRow).order_by(AccountRow.login)))


def has_admin(session: Session) -> bool:
    """Whether somebody can already administer this installation."""
    return session.scalar(_SIGNING_IN_ADMINS.limit(1)) is not None


def end_sessions(
    session: Session, account_id: str, *, but: str | None = None, now: datetime | None = None
) -> int:
    """Revoke the sessions of an account; return how many there were."""
    done = session.execute(
        update(SessionRow)
        .where(
            SessionRow.account_id == account_id,
            SessionRow.revoked_at.is_(None),
            SessionRow.id != (but or ""),
        )
        .values(revoked_at=now or utc_now())
        .returning(SessionRow.id)
    )
    return len(done.all())


def _revoke_given_rights(session: Session, account_id: str, now: datetime) -> None:
    """Revoke the tokens of an account and the invites of it that nobody used yet."""
    session.execute(
        update(ApiTokenRow)
        .where(ApiTokenRow.account_id == account_id, ApiTokenRow.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    session.execute(
        update(InviteRow)
        .where(
            InviteRow.created_by == account_id,
            InviteRow.used_at.is_(None),
            InviteRow.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


def _must_be_admin(session: Session, by: str | None) -> None:
    if by is None:
        return
    actor = account_by_id(session, by)
    if actor.role != "admin" or actor.state != "active":
        raise NotAllowedError("only an admin can do that", "Ask an admin.")


def _keep_an_admin(session: Session, leaving: AccountRow) -> None:
    # Locked, so that two admins who demote each other at once do not both succeed.
    admins = session.scalars(
        _SIGNING_IN_ADMINS.with_for_update().execution_options(populate_existing=True)
    )
    if all(admin.id == leaving.id for admin in admins):
        raise NotAllowedError("this is the last active admin", "Make somebody else an admin first.")


def _record(
    session: Session,
    by: str | None,
    action: str,
    account_id: str,
    detail: dict[str, Any],
    now: datetime | None,
) -> None:
    audit.record(
        session,
        account_id=by,
        action=action,
        object_kind="account",
        object_id=account_id,
        detail=detail,
        now=now,
    )
