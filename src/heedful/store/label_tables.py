"""The tables of what people made: submissions and the labels in them, grades, questions.

A submission is kept whole as it was sent; the typed rows beside it are what exports and
statistics read. A label that should not count is excluded with a reason; only somebody's
withdrawal deletes what was said (`heedful.store.withdrawals`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from heedful.core.records import Demonstration, MadeBy, Ranking, Rating
from heedful.store.columns import Base, SubmissionStatus, one_of

WITHDRAWN_ANSWER = {"withdrawn": True}


class SubmissionRow(Base):
    """One labeller's finished work on one item.

    Attributes:
        slot_id: None for a surplus one, which came when every slot had been given away, and
            for one whose prompt was withdrawn.
        status: `surplus` labels are exported only when asked for.
        answer: The whole answer as it was sent; `WITHDRAWN_ANSWER` where it had to go.
        seconds_spent: Time in view, or from opening to sending where no page told.
        made_by: person, simulated or model.
        excluded_at: Set where the label must not count; the reason is kept.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("item_id", "account_id"),
        UniqueConstraint("slot_id"),
        Index("ix_submissions_project_at", "project_id", "submitted_at"),
        Index("ix_submissions_account_at", "account_id", "submitted_at"),
        one_of("status", SubmissionStatus),
        one_of("made_by", MadeBy),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id"))
    slot_id: Mapped[str | None] = mapped_column(ForeignKey("slots.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    status: Mapped[str]
    answer: Mapped[dict[str, Any]]
    made_by: Mapped[str]
    instructions_id: Mapped[str] = mapped_column(ForeignKey("instructions.id"))
    seconds_spent: Mapped[float]
    submitted_at: Mapped[datetime]
    excluded_at: Mapped[datetime | None]
    excluded_by: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    excluded_reason: Mapped[str | None]

    @property
    def is_withdrawn(self) -> bool:
        """Whether what was said in it is gone."""
        return self.answer == WITHDRAWN_ANSWER


class DemonstrationRow(Base):
    """A demonstration; `record` is the `Demonstration`."""

    __tablename__ = "demonstrations"

    id: Mapped[str] = mapped_column(primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), index=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), index=True)
    record: Mapped[dict[str, Any]]


class RankingRow(Base):
    """A ranking; `record` is the `Ranking`, over all K completions of the item."""

    __tablename__ = "rankings"

    id: Mapped[str] = mapped_column(primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), unique=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), index=True)
    record: Mapped[dict[str, Any]]


class RatingRow(Base):
    """A rating of one completion; `record` is the `Rating`."""

    __tablename__ = "ratings"

    id: Mapped[str] = mapped_column(primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), index=True)
    completion_id: Mapped[str] = mapped_column(ForeignKey("completions.id"), index=True)
    record: Mapped[dict[str, Any]]


def label_row(
    label: Demonstration | Ranking | Rating, submission_id: str
) -> DemonstrationRow | RankingRow | RatingRow:
    """The row that keeps a label of a submission."""
    about: dict[str, Any] = {
        "id": label.id,
        "submission_id": submission_id,
        "record": label.model_dump(mode="json"),
    }
    if isinstance(label, Rating):
        return RatingRow(**about, completion_id=label.completion_id)
    table = RankingRow if isinstance(label, Ranking) else DemonstrationRow
    return table(**about, prompt_id=label.prompt_id)


class GradeRow(Base):
    """A reviewer's grade of a demonstration, 1 to 7 (third screening criterion)."""

    __tablename__ = "grades"
    __table_args__ = (
        UniqueConstraint("demonstration_id", "reviewer_id"),
        CheckConstraint("grade BETWEEN 1 AND 7", name="grade_likert"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    demonstration_id: Mapped[str] = mapped_column(ForeignKey("demonstrations.id"))
    reviewer_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    grade: Mapped[int]
    note: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime]


class QuestionRow(Base):
    """A labeller's question to the researchers about an item, and the answer."""

    __tablename__ = "questions"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    text: Mapped[str]
    asked_at: Mapped[datetime]
    answer: Mapped[str | None]
    answered_by: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    answered_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
