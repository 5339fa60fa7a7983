"""Invites: a link makes one account, once, until it expires or is taken back.

The setup link of the first admin is one that no account made; it works only while there is
no admin. Nobody can invite to a higher role than their own.
"""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from heedful.core.errors import DataError, NotAllowedError
from heedful.core.records import new_id
from heedful.store import audit
from heedful.store.access import RANK, account_by_id, create_account, has_admin
from heedful.store.columns import MemberStage, Role, utc_now
from heedful.store.passwords import HashedPassword
from heedful.store.people_tables import AccountRow, InviteRow, MemberRow
from heedful.store.projects import add_member
from heedful.store.secret_tokens import MAX_TOKEN_LENGTH, new_token, token_hash
from heedful.store.work_tables import ProjectRow

DEFAULT_EXPIRY = timedelta(days=7)
SETUP_EXPIRY = timedelta(hours=24)
MAX_EXPIRY = timedelta(days=90)


def create_invite(
    session: Session,
    *,
    role: Role,
    created_by: str | None,
    project_id: str | None = None,
    stage: MemberStage = "screening",
    held_out: bool = False,
    note: str = "",
    expires_in: timedelta = DEFAULT_EXPIRY,
    now: datetime | None = None,
) -> tuple[InviteRow, str]:
    """An invite and the token for its link `/invite/{token}`, which is not kept.

    Args:
        created_by: Who invites; None for a command on the server's machine.
        note: For whom it is; only those who may invite see it.

    Raises:
        NotAllowedError: The role is above the inviter's, or the project not theirs.
        DataError: The role, project or expiry is none.
    """
    now = now or utc_now()
    if role not in RANK:
        raise DataError(f"there is no role {role!r}", f"Use one of {', '.join(RANK)}.")
    if not timedelta() < expires_in <= MAX_EXPIRY:
        raise DataError(
            "an invite cannot be valid that long", f"Choose at most {MAX_EXPIRY.days} days."
        )
    if project_id is not None and session.get(ProjectRow, project_id) is None:
        raise DataError("there is no such project", "Choose one from the list.")
    if created_by is not None:
        _may_invite(session, created_by, role, project_id)
    token = new_token()
    row = InviteRow(
        id=new_id("invite"),
        token_hash=token_hash(token),
        role=role,
        project_id=project_id,
        stage=stage if role == "labeller" else "working",
        held_out=held_out,
        note=note.strip()[:200],
        created_by=created_by,
        created_at=now,
        expires_at=now + expires_in,
        used_at=None,
        used_by=None,
        revoked_at=None,
    )
    session.add(row)
    session.flush()
    _record(session, row, "invite.create", created_by, now)
    return row, token


def create_setup_link(
    session: Session, *, expires_in: timedelta = SETUP_EXPIRY, now: datetime | None = None
) -> tuple[InviteRow, str]:
    """The link that makes the first admin; an earlier one no longer works.

    Raises:
        NotAllowedError: There is an admin already.
    """
    if has_admin(session):
        raise NotAllowedError(
            "there is an admin already", "Ask them for an invite, or use `heedful label admin`."
        )
    session.execute(
        update(InviteRow)
        .where(
            InviteRow.role == "admin",
            InviteRow.created_by.is_(None),
            InviteRow.used_at.is_(None),
            InviteRow.revoked_at.is_(None),
        )
        .values(revoked_at=now or utc_now())
    )
    return create_invite(session, role="admin", created_by=None, expires_in=expires_in, now=now)


def open_invite(session: Session, token: str, *, now: datetime | None = None) -> InviteRow | None:
    """The invite that a token opens; None where it opens nothing (any more)."""
    if not token or len(token) > MAX_TOKEN_LENGTH:
        return None
    return session.scalar(
        select(InviteRow).where(
            InviteRow.token_hash == token_hash(token),
            InviteRow.used_at.is_(None),
            InviteRow.revoked_at.is_(None),
            InviteRow.expires_at > (now or utc_now()),
        )
    )


def accept_invite(
    session: Session,
    token: str,
    *,
    login: str,
    name: str,
    password: str | HashedPassword,
    now: datetime | None = None,
) -> AccountRow:
    """Make the account that an invite is for; of two at the same moment one wins.

    Raises:
        NotAllowedError: The link is used, revoked, expired or never was.
        DataError: The login is taken or cannot be used, or the password is too weak; the
            invite stays usable.
    """
    now = now or utc_now()
    invite = _take(session, token, now)
    if invite.created_by is None and invite.role == "admin" and has_admin(session):
        raise _void()
    account = create_account(
        session,
        login=login,
        name=name,
        role=invite.role,  # type: ignore[arg-type] # a CHECK holds it to the roles
        password=password,
        by=invite.created_by,
        now=now,
    )
    _settle(session, invite, account, now)
    return account


def join_by_invite(
    session: Session, token: str, *, account_id: str, now: datetime | None = None
) -> AccountRow:
    """Add an existing account to the project of an invite; its role does not change.

    Raises:
        NotAllowedError: The link is used up, or for a higher role or for no project.
        DataError: The account is a member already.
    """
    now = now or utc_now()
    invite = _take(session, token, now)
    account = account_by_id(session, account_id)
    if invite.project_id is None or RANK[invite.role] > RANK[account.role]:
        raise NotAllowedError(
            "this invite is for a new account", "Sign out first, then open the link again."
        )
    if session.get(MemberRow, (invite.project_id, account.id)) is not None:
        raise DataError("you are a member of that project already", "Nothing is left to do.")
    _settle(session, invite, account, now)
    return account


def revoke_invite(
    session: Session, invite_id: str, *, by: str | None, now: datetime | None = None
) -> None:
    """Take an unused invite back.

    Raises:
        DataError: It is used, revoked already, or none.
    """
    row = session.get(InviteRow, invite_id)
    if row is None or row.used_at is not None or row.revoked_at is not None:
        raise DataError("that invite is not open any more", "Reload the list.")
    row.revoked_at = now or utc_now()
    _record(session, row, "invite.revoke", by, now)


def invites(session: Session, *, project_id: str | None = None) -> list[InviteRow]:
    """The invites of a project, or all, the newest first."""
    query = select(InviteRow).order_by(InviteRow.created_at.desc(), InviteRow.id)
    if project_id is not None:
        query = query.where(InviteRow.project_id == project_id)
    return list(session.scalars(query))


def _take(session: Session, token: str, now: datetime) -> InviteRow:
    """Mark an invite used, in one statement, so that only one can."""
    invite = open_invite(session, token, now=now)
    if invite is None:
        raise _void()
    taken = session.execute(
        update(InviteRow)
        .where(
            InviteRow.id == invite.id,
            InviteRow.used_at.is_(None),
            InviteRow.revoked_at.is_(None),
        )
        .values(used_at=now)
        .returning(InviteRow.id)
    )
    if not taken.all():
        raise _void()
    return invite


def _settle(session: Session, invite: InviteRow, account: AccountRow, now: datetime) -> None:
    """Write down who used an invite, and make them a member."""
    invite.used_by = account.id
    if invite.project_id is not None:
        add_member(
            session,
            project_id=invite.project_id,
            account_id=account.id,
            stage=invite.stage,  # type: ignore[arg-type] # a CHECK holds it to the stages
            held_out=invite.held_out,
            by=invite.created_by,
            now=now,
        )
    _record(session, invite, "invite.use", account.id, now)


def _may_invite(session: Session, by: str, role: Role, project_id: str | None) -> None:
    inviter = account_by_id(session, by)
    if inviter.state != "active" or RANK[inviter.role] < RANK["researcher"]:
        raise NotAllowedError("only researchers and admins invite people", "Ask one of them.")
    if RANK[role] > RANK[inviter.role]:
        raise NotAllowedError(
            f"a {inviter.role} cannot invite a {role}", "Invite to a role up to your own."
        )
    if inviter.role == "admin":
        return
    if project_id is None or session.get(MemberRow, (project_id, by)) is None:
        raise NotAllowedError(
            "you are not a member of that project", "Invite to a project of yours."
        )


def _void() -> NotAllowedError:
    return NotAllowedError(
        "this invite cannot be used: it was used, taken back, or has expired",
        "Ask whoever sent it for a new one.",
    )


def _record(
    session: Session, invite: InviteRow, action: str, by: str | None, now: datetime | None
) -> None:
    audit.record(
        session,
        account_id=by,
        action=action,
        object_kind="invite",
        object_id=invite.id,
        project_id=invite.project_id,
        detail={"role": invite.role, "held_out": invite.held_out},
        now=now,
    )
