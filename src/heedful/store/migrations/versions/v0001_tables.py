"""The tables of the first release.

Written out, not taken from `heedful.store.tables`: those go on changing, this does not.
"""

from alembic import op
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

MOMENT = DateTime(timezone=True)
JSON_TEXT = JSON().with_variant(JSONB(), "postgresql")
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True),
    Column("login", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("state", String, nullable=False),
    Column("password_hash", String),
    Column("made_by", String, nullable=False),
    Column("preferences", JSON_TEXT, nullable=False),
    Column("avoids_sensitive", Boolean, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    CheckConstraint("role IN ('admin', 'researcher', 'reviewer', 'labeller')", name="role_known"),
    CheckConstraint("state IN ('active', 'suspended')", name="state_known"),
)
Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", MOMENT, nullable=False, index=True),
    Column("account_id", String, index=True),
    Column("project_id", String, index=True),
    Column("action", String, nullable=False),
    Column("object_kind", String, nullable=False),
    Column("object_id", String, nullable=False),
    Column("detail", JSON_TEXT, nullable=False),
    Index("ix_audit_object", "object_kind", "object_id"),
)
Table(
    "login_attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False),
    Column("at", MOMENT, nullable=False),
    Index("ix_login_attempts_key_at", "key", "at"),
)
Table(
    "projects",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("pay_rate", Double),
    Column("currency", String, nullable=False),
    Column("settings", JSON_TEXT, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("created_by", String, ForeignKey("accounts.id")),
    Column("created_at", MOMENT, nullable=False),
)
Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("token_hash", String, nullable=False, unique=True),
    Column("account_id", String, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("browser", String, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("last_seen_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
)
Table(
    "api_tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("token_hash", String, nullable=False, unique=True),
    Column("prefix", String, nullable=False),
    Column("name", String, nullable=False),
    Column("account_id", String, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("project_id", String, ForeignKey("projects.id")),
    Column("scopes", JSON_TEXT, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT),
    Column("last_used_at", MOMENT),
    Column("revoked_at", MOMENT),
)
Table(
    "instructions",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False),
    Column("purpose", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", String, nullable=False),
    Column("published_by", String, ForeignKey("accounts.id")),
    Column("published_at", MOMENT, nullable=False),
    CheckConstraint(
        "purpose IN ('training', 'evaluation', 'screening', 'practice')", name="purpose_known"
    ),
    UniqueConstraint("project_id", "purpose", "version"),
)
Table(
    "invites",
    metadata,
    Column("id", String, primary_key=True),
    Column("token_hash", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("project_id", String, ForeignKey("projects.id"), index=True),
    Column("stage", String, nullable=False),
    Column("held_out", Boolean, nullable=False),
    Column("note", String, nullable=False),
    Column("created_by", String, ForeignKey("accounts.id")),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("used_at", MOMENT),
    Column("used_by", String, ForeignKey("accounts.id")),
    Column("revoked_at", MOMENT),
    CheckConstraint("role IN ('admin', 'researcher', 'reviewer', 'labeller')", name="role_known"),
    CheckConstraint(
        "stage IN ('screening', 'practice', 'working', 'paused', 'excluded')", name="stage_known"
    ),
)
Table(
    "members",
    metadata,
    Column("project_id", String, ForeignKey("projects.id"), primary_key=True),
    Column("account_id", String, ForeignKey("accounts.id"), primary_key=True, index=True),
    Column("stage", String, nullable=False),
    Column("held_out", Boolean, nullable=False),
    Column("joined_at", MOMENT, nullable=False),
    Column("note", String, nullable=False),
    CheckConstraint(
        "stage IN ('screening', 'practice', 'working', 'paused', 'excluded')", name="stage_known"
    ),
)
Table(
    "prompts",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False, index=True),
    Column("record", JSON_TEXT, nullable=False),
    Column("sensitive", Boolean, nullable=False),
    Column("author_id", String, ForeignKey("accounts.id"), index=True),
    Column("created_at", MOMENT, nullable=False),
)
Table(
    "screening_decisions",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False, index=True),
    Column("account_id", String, ForeignKey("accounts.id"), nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("criteria", JSON_TEXT, nullable=False),
    Column("reason", String, nullable=False),
    Column("decided_by", String, ForeignKey("accounts.id"), nullable=False),
    Column("decided_at", MOMENT, nullable=False),
)
Table(
    "self_assessments",
    metadata,
    Column("project_id", String, ForeignKey("projects.id"), primary_key=True),
    Column("account_id", String, ForeignKey("accounts.id"), primary_key=True),
    Column("answers", JSON_TEXT, nullable=False),
    Column("submitted_at", MOMENT, nullable=False),
)
Table(
    "survey_answers",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False, index=True),
    Column("respondent", String, ForeignKey("accounts.id")),
    Column("answers", JSON_TEXT, nullable=False),
    Column("day", MOMENT, nullable=False),
)
Table(
    "survey_done",
    metadata,
    Column("project_id", String, ForeignKey("projects.id"), primary_key=True),
    Column("account_id", String, ForeignKey("accounts.id"), primary_key=True),
)
Table(
    "batches",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("instructions_id", String, ForeignKey("instructions.id"), nullable=False),
    Column("state", String, nullable=False),
    Column("overlap", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("lease_seconds", Integer, nullable=False),
    Column("baseline", String),
    Column("closed_reason", String, nullable=False),
    Column("created_by", String, ForeignKey("accounts.id")),
    Column("created_at", MOMENT, nullable=False),
    CheckConstraint(
        "kind IN ('prompt', 'demonstration', 'ranking', 'adjudication')", name="kind_known"
    ),
    CheckConstraint("lease_seconds >= 1", name="lease_positive"),
    CheckConstraint("overlap >= 1", name="overlap_positive"),
    CheckConstraint(
        "purpose IN ('training', 'evaluation', 'screening', 'practice')", name="purpose_known"
    ),
    CheckConstraint("state IN ('draft', 'open', 'paused', 'closed')", name="state_known"),
    UniqueConstraint("project_id", "name"),
)
Table(
    "completions",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False, index=True),
    Column("prompt_id", String, ForeignKey("prompts.id"), nullable=False, index=True),
    Column("record", JSON_TEXT, nullable=False),
    Column("author_id", String, ForeignKey("accounts.id"), index=True),
    Column("created_at", MOMENT, nullable=False),
)
Table(
    "items",
    metadata,
    Column("id", String, primary_key=True),
    Column("batch_id", String, ForeignKey("batches.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("prompt_id", String, ForeignKey("prompts.id"), index=True),
    Column("completion_ids", JSON_TEXT, nullable=False),
    Column("brief", JSON_TEXT),
    Column("gold", JSON_TEXT),
    Column("adjudicates", String, ForeignKey("items.id")),
    Column("sensitive", Boolean, nullable=False),
    Index("ix_items_batch_place", "batch_id", "place"),
)
Table(
    "drafts",
    metadata,
    Column("item_id", String, ForeignKey("items.id"), primary_key=True),
    Column("account_id", String, ForeignKey("accounts.id"), primary_key=True, index=True),
    Column("revision", Integer, nullable=False),
    Column("body", JSON_TEXT, nullable=False),
    Column("saved_at", MOMENT, nullable=False),
)
Table(
    "presentations",
    metadata,
    Column("item_id", String, ForeignKey("items.id"), primary_key=True),
    Column("account_id", String, ForeignKey("accounts.id"), primary_key=True, index=True),
    Column("cards", JSON_TEXT, nullable=False),
    Column("instructions_id", String, ForeignKey("instructions.id"), nullable=False),
    Column("opened_at", MOMENT, nullable=False),
    Column("active_seconds", Double, nullable=False),
)
Table(
    "questions",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False, index=True),
    Column("item_id", String, ForeignKey("items.id"), nullable=False),
    Column("account_id", String, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("text", String, nullable=False),
    Column("asked_at", MOMENT, nullable=False),
    Column("answer", String),
    Column("answered_by", String, ForeignKey("accounts.id")),
    Column("answered_at", MOMENT),
    Column("seen_at", MOMENT),
)
Table(
    "skips",
    metadata,
    Column("item_id", String, ForeignKey("items.id"), primary_key=True),
    Column("account_id", String, ForeignKey("accounts.id"), primary_key=True, index=True),
    Column("reason", String, nullable=False),
    Column("note", String, nullable=False),
    Column("at", MOMENT, nullable=False),
)
Table(
    "slots",
    metadata,
    Column("id", String, primary_key=True),
    Column("item_id", String, ForeignKey("items.id"), nullable=False),
    Column("batch_id", String, ForeignKey("batches.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("labeller_id", String, ForeignKey("accounts.id")),
    Column("lease_token_hash", String),
    Column("leased_at", MOMENT),
    Column("lease_expires_at", MOMENT),
    Column("done_at", MOMENT),
    CheckConstraint("state IN ('free', 'leased', 'done', 'withdrawn')", name="state_known"),
    UniqueConstraint("item_id", "labeller_id"),
    UniqueConstraint("item_id", "n"),
    Index("ix_slots_claim", "batch_id", "state", "place", "n"),
    Index("ix_slots_labeller", "labeller_id", "state"),
)
Table(
    "submissions",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, ForeignKey("projects.id"), nullable=False),
    Column("batch_id", String, ForeignKey("batches.id"), nullable=False, index=True),
    Column("item_id", String, ForeignKey("items.id"), nullable=False),
    Column("slot_id", String, ForeignKey("slots.id")),
    Column("account_id", String, ForeignKey("accounts.id"), nullable=False),
    Column("status", String, nullable=False),
    Column("answer", JSON_TEXT, nullable=False),
    Column("made_by", String, nullable=False),
    Column("instructions_id", String, ForeignKey("instructions.id"), nullable=False),
    Column("seconds_spent", Double, nullable=False),
    Column("submitted_at", MOMENT, nullable=False),
    Column("excluded_at", MOMENT),
    Column("excluded_by", String, ForeignKey("accounts.id")),
    Column("excluded_reason", String),
    CheckConstraint("status IN ('accepted', 'surplus')", name="status_known"),
    UniqueConstraint("item_id", "account_id"),
    UniqueConstraint("slot_id"),
    Index("ix_submissions_account_at", "account_id", "submitted_at"),
    Index("ix_submissions_project_at", "project_id", "submitted_at"),
)
Table(
    "demonstrations",
    metadata,
    Column("id", String, primary_key=True),
    Column("submission_id", String, ForeignKey("submissions.id"), nullable=False, index=True),
    Column("prompt_id", String, ForeignKey("prompts.id"), nullable=False, index=True),
    Column("record", JSON_TEXT, nullable=False),
)
Table(
    "rankings",
    metadata,
    Column("id", String, primary_key=True),
    Column("submission_id", String, ForeignKey("submissions.id"), nullable=False, unique=True),
    Column("prompt_id", String, ForeignKey("prompts.id"), nullable=False, index=True),
    Column("record", JSON_TEXT, nullable=False),
)
Table(
    "ratings",
    metadata,
    Column("id", String, primary_key=True),
    Column("submission_id", String, ForeignKey("submissions.id"), nullable=False, index=True),
    Column("completion_id", String, ForeignKey("completions.id"), nullable=False, index=True),
    Column("record", JSON_TEXT, nullable=False),
)
Table(
    "grades",
    metadata,
    Column("id", String, primary_key=True),
    Column("demonstration_id", String, ForeignKey("demonstrations.id"), nullable=False),
    Column("reviewer_id", String, ForeignKey("accounts.id"), nullable=False),
    Column("grade", Integer, nullable=False),
    Column("note", String, nullable=False),
    Column("at", MOMENT, nullable=False),
    CheckConstraint("grade BETWEEN 1 AND 7", name="grade_likert"),
    UniqueConstraint("demonstration_id", "reviewer_id"),
)


def upgrade() -> None:
    """Make every table."""
    metadata.create_all(op.get_bind(), checkfirst=False)


def downgrade() -> None:
    """Remove every table."""
    metadata.drop_all(op.get_bind(), checkfirst=False)
