"""What every table is built of: the base class, times in UTC, JSON, and the choices.

The choices are plain strings with a CHECK constraint, so that the same migrations serve
SQLite and PostgreSQL. What may follow what is decided by the modules that write.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, get_args

from sqlalchemy import JSON, DateTime, Dialect, MetaData, String, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.schema import CheckConstraint

Role = Literal["admin", "researcher", "reviewer", "labeller"]
AccountState = Literal["active", "suspended"]
MemberStage = Literal["screening", "practice", "working", "paused", "excluded"]
TaskKind = Literal["prompt", "demonstration", "ranking", "adjudication"]
Purpose = Literal["training", "evaluation", "screening", "practice"]
BatchState = Literal["draft", "open", "paused", "closed"]
SlotState = Literal["free", "leased", "done", "withdrawn"]
SubmissionStatus = Literal["accepted", "surplus"]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always aware and in UTC; SQLite, which knows no zones, is given UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone rather than guess one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """SQLite hands back a naive time, which is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Nothing is NULL, as in every other column, and not the JSON word for it.
_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Base(DeclarativeBase):
    """Every table; constraint names are fixed so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(),
        dict[str, Any]: _JSON,
        list[Any]: _JSON,
        str: String(),
    }


def one_of(column: str, choices: object) -> CheckConstraint:
    """A CHECK that `column` holds one of the strings of a `Literal`."""
    quoted = ", ".join(f"'{choice}'" for choice in get_args(choices))
    return CheckConstraint(f"{column} IN ({quoted})", name=f"{column}_known")


def utc_now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
