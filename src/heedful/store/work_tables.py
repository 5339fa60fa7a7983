"""The tables of the work to do: projects, what is labelled, batches, items and their slots.

An item is one task; each of its slots is one labeller's turn at it. Slots are made when a
batch is made, so that UNIQUE(item, n) and UNIQUE(item, labeller) rule double assignment
out. Claiming them is `heedful.store.slots`'.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from heedful.store.columns import Base, BatchState, Purpose, SlotState, TaskKind, one_of


class ProjectRow(Base):
    """A labelling effort: its members, prompts, batches.

    Attributes:
        pay_rate: Per hour, for the cost of a label; None where nobody said.
        settings: Cut-offs and habits, see `heedful.labelling.project_settings`.
        simulated: A rehearsal; every page of it says so.
    """

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    pay_rate: Mapped[float | None]
    currency: Mapped[str] = mapped_column(default="EUR")
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    simulated: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime]


class InstructionsRow(Base):
    """One published version of what labellers go by; never changed, only followed by another.

    Attributes:
        purpose: `training` puts helpfulness first, `evaluation` truthful and harmless first.
        version: 1, 2, ... within a project and purpose.
        text: Markdown; rendered inert.
    """

    __tablename__ = "instructions"
    __table_args__ = (
        UniqueConstraint("project_id", "purpose", "version"),
        one_of("purpose", Purpose),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    purpose: Mapped[str]
    version: Mapped[int]
    text: Mapped[str]
    published_by: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    published_at: Mapped[datetime]


class PromptRow(Base):
    """A prompt; `record` is the `Prompt` as it came, the columns are what queries need.

    Attributes:
        author_id: The account that wrote it here; None for imported ones.
    """

    __tablename__ = "prompts"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    record: Mapped[dict[str, Any]]
    sensitive: Mapped[bool] = mapped_column(default=False)
    author_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    created_at: Mapped[datetime]


class CompletionRow(Base):
    """A completion; `record` is the `Completion` as it came.

    Attributes:
        author_id: The labeller whose demonstration it is; None for a model's.
    """

    __tablename__ = "completions"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    prompt_id: Mapped[str] = mapped_column(ForeignKey("prompts.id"), index=True)
    record: Mapped[dict[str, Any]]
    author_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    created_at: Mapped[datetime]


class BatchRow(Base):
    """Items of one kind and purpose that are opened, paused and closed together.

    Attributes:
        kind: What labellers do. The final evaluation is `ranking` with the purpose
            `evaluation`.
        overlap: Labels wanted of each item.
        priority: Higher goes first.
        baseline: checkpoint_id that an evaluation compares with.
        closed_reason: Why it was closed with work left.
        closed_at: When it was closed last; None while it is not closed.
    """

    __tablename__ = "batches"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        CheckConstraint("overlap >= 1", name="overlap_positive"),
        CheckConstraint("lease_seconds >= 1", name="lease_positive"),
        one_of("kind", TaskKind),
        one_of("purpose", Purpose),
        one_of("state", BatchState),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    kind: Mapped[str]
    purpose: Mapped[str]
    instructions_id: Mapped[str] = mapped_column(ForeignKey("instructions.id"))
    state: Mapped[str] = mapped_column(default="draft")
    overlap: Mapped[int] = mapped_column(default=1)
    priority: Mapped[int] = mapped_column(default=0)
    lease_seconds: Mapped[int] = mapped_column(default=1800)
    baseline: Mapped[str | None]
    closed_reason: Mapped[str] = mapped_column(default="")
    closed_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime]


class ItemRow(Base):
    """One task.

    Attributes:
        place: Order within the batch.
        prompt_id: None for `prompt` tasks, which have a `brief` instead, and for tasks whose
            prompt was withdrawn, which have neither.
        completion_ids: Of `ranking` and `adjudication`; all K, identical texts too.
        brief: Of `prompt`: `{"kind": "plain" | "few_shot" | "user_based", "use_case",
            "application"}`.
        gold: `{"ranks": {completion_id: rank}, "flags": {completion_id: {flag: bool}}}`;
            never sent to a labeller's browser.
        adjudicates: The item whose labels disagreed.
        sensitive: Shown behind a content warning.
    """

    __tablename__ = "items"
    __table_args__ = (Index("ix_items_batch_place", "batch_id", "place"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"))
    place: Mapped[int]
    prompt_id: Mapped[str | None] = mapped_column(ForeignKey("prompts.id"), index=True)
    completion_ids: Mapped[list[Any]] = mapped_column(default=list)
    brief: Mapped[dict[str, Any] | None]
    gold: Mapped[dict[str, Any] | None]
    adjudicates: Mapped[str | None] = mapped_column(ForeignKey("items.id"))
    sensitive: Mapped[bool] = mapped_column(default=False)

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was about a prompt whose author withdrew; nothing is left to be done."""
        return self.prompt_id is None and self.brief is None


class SlotRow(Base):
    """One labeller's turn at an item.

    Attributes:
        n: 1 to the batch's overlap; more where another label was asked for.
        place: The item's, copied so that one index serves a claim.
        state: `withdrawn` is done, too, but its label is excluded and another slot stands
            in its place.
        lease_token_hash: Of the token that the browser holds.
    """

    __tablename__ = "slots"
    __table_args__ = (
        UniqueConstraint("item_id", "n"),
        UniqueConstraint("item_id", "labeller_id"),
        Index("ix_slots_claim", "batch_id", "state", "place", "n"),
        Index("ix_slots_labeller", "labeller_id", "state"),
        one_of("state", SlotState),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id"))
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"))
    n: Mapped[int]
    place: Mapped[int]
    state: Mapped[str] = mapped_column(default="free")
    labeller_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    lease_token_hash: Mapped[str | None]
    leased_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


class SkipRow(Base):
    """That a labeller passed an item on; they do not get it again."""

    __tablename__ = "skips"

    item_id: Mapped[str] = mapped_column(ForeignKey("items.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    reason: Mapped[str]
    note: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime]


class PresentationRow(Base):
    """How an item was shown to a labeller, kept for position bias.

    Attributes:
        cards: Completion ids in the order shown; identical texts share one card:
            `[["c1"], ["c2", "c5"], ...]`.
        instructions_id: The version that applied when it was opened.
        active_seconds: Time with the page in view, as its heartbeats say.
    """

    __tablename__ = "presentations"

    item_id: Mapped[str] = mapped_column(ForeignKey("items.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    cards: Mapped[list[Any]] = mapped_column(default=list)
    instructions_id: Mapped[str] = mapped_column(ForeignKey("instructions.id"))
    opened_at: Mapped[datetime]
    active_seconds: Mapped[float] = mapped_column(default=0.0)


class DraftRow(Base):
    """Work in progress, saved as the labeller goes.

    Attributes:
        revision: Counts saves; an older browser tab cannot overwrite a newer one's.
    """

    __tablename__ = "drafts"

    item_id: Mapped[str] = mapped_column(ForeignKey("items.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    revision: Mapped[int] = mapped_column(default=0)
    body: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]
