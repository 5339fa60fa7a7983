"""The tables of people: accounts and how they prove themselves, memberships, the audit log.

Secrets are stored as hashes only (argon2id for passwords; SHA-256 for sessions, invites
and tokens, which are random). Who may do what is decided in `heedful.labelling.guards`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from heedful.core.records import MadeBy
from heedful.store.columns import AccountState, Base, MemberStage, Role, one_of


class AccountRow(Base):
    """Somebody who can sign in, or a simulated labeller, who cannot.

    Attributes:
        login: Lower case; what one types to sign in.
        name: Shown to researchers and admins, never to other labellers.
        password_hash: argon2id; None for accounts that nobody signs in to.
        made_by: What the labels of this account are marked with.
        preferences: Shortcuts, theme; see `heedful.labelling.preferences`.
        avoids_sensitive: Opted out of sensitive items.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        one_of("role", Role),
        one_of("state", AccountState),
        one_of("made_by", MadeBy),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    state: Mapped[str] = mapped_column(default="active")
    password_hash: Mapped[str | None]
    made_by: Mapped[str] = mapped_column(default="person")
    preferences: Mapped[dict[str, Any]] = mapped_column(default=dict)
    avoids_sensitive: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class MemberRow(Base):
    """An account's place in a project.

    Attributes:
        stage: Which batches are open to a labeller: screening, then practice (the training
            gate), then working; paused and excluded ones get nothing.
        held_out: Never sees a batch whose purpose is training.
    """

    __tablename__ = "members"
    __table_args__ = (one_of("stage", MemberStage),)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    stage: Mapped[str]
    held_out: Mapped[bool] = mapped_column(default=False)
    joined_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(default="")


class InviteRow(Base):
    """A link that makes one account; the first admin's setup link is one without project."""

    __tablename__ = "invites"
    __table_args__ = (one_of("role", Role), one_of("stage", MemberStage))

    id: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"), index=True)
    stage: Mapped[str] = mapped_column(default="screening")
    held_out: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(default="")
    created_by: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    used_by: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    revoked_at: Mapped[datetime | None]


class SessionRow(Base):
    """A signed-in browser; the cookie holds the token, this its hash."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    browser: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class ApiTokenRow(Base):
    """A token for programs, with no more rights than its account has.

    Attributes:
        prefix: The first characters, to tell tokens apart in a list.
        scopes: What it may do, see `heedful.labelling.api_scopes`.
        project_id: The one project it reaches; None for all that its account reaches.
    """

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    prefix: Mapped[str]
    name: Mapped[str]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LoginAttemptRow(Base):
    """One failed sign-in, counted by login and by address; `key` is a hash of either."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("ix_login_attempts_key_at", "key", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[str]
    at: Mapped[datetime]


class AuditRow(Base):
    """Who did what to what, and when; only ever added to.

    Attributes:
        account_id: None for what a command on the server's machine did.
        action: Such as `batch.open`, `member.stage`, `label.exclude`.
        detail: What changed; never a secret, never a label's text.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_object", "object_kind", "object_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    account_id: Mapped[str | None] = mapped_column(index=True)
    project_id: Mapped[str | None] = mapped_column(index=True)
    action: Mapped[str]
    object_kind: Mapped[str]
    object_id: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


class SelfAssessmentRow(Base):
    """A labeller's answer to the fourth screening criterion (paper, appendix B.1)."""

    __tablename__ = "self_assessments"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    answers: Mapped[dict[str, Any]]
    submitted_at: Mapped[datetime]


class SurveyRow(Base):
    """An answer to the optional labeller survey (paper, appendix B.3).

    Attributes:
        respondent: None for an anonymous answer; otherwise the account, of one who agreed
            that agreement be shown by group. Answers are only ever shown in groups.
        day: The day alone, so that the time does not tell who it was.
    """

    __tablename__ = "survey_answers"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    respondent: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    answers: Mapped[dict[str, Any]]
    day: Mapped[datetime]


class SurveyDoneRow(Base):
    """That somebody answered or declined the survey, so that it is offered once."""

    __tablename__ = "survey_done"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)


class ScreeningDecisionRow(Base):
    """What a researcher decided on a labeller's screening, with the numbers they saw."""

    __tablename__ = "screening_decisions"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    passed: Mapped[bool]
    criteria: Mapped[dict[str, Any]]
    reason: Mapped[str]
    decided_by: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    decided_at: Mapped[datetime]
