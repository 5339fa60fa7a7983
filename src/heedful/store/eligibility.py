"""Which items a labeller may be given: the one place that says so.

`open_batches` looks at the labeller's place in the project, `eligible_slots` at each item;
`is_free` and `has_expired` at whether a slot can be had. Taking one is
`heedful.store.slots`'.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, true
from sqlalchemy.orm import Session, aliased

from heedful.store.columns import MemberStage, Purpose
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    CompletionRow,
    ItemRow,
    MemberRow,
    PromptRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)

_PURPOSES: dict[MemberStage, tuple[Purpose, ...]] = {
    "screening": ("screening",),
    "practice": ("practice",),
    "working": ("training", "evaluation"),
}


def open_batches(
    session: Session,
    account: AccountRow,
    *,
    project_id: str | None = None,
    batch_id: str | None = None,
) -> Sequence[BatchRow]:
    """The batches an account may work in, the most urgent first.

    A labeller's stage must fit the purpose. Reviewers, researchers and admins who are
    members may label what working labellers do, whatever their stage, and adjudicate, which
    labellers may not. Held-out members get nothing but evaluations, whatever their stage.
    Paused and excluded ones get nothing.
    """
    by_stage: ColumnElement[bool] = or_(
        *(
            and_(MemberRow.stage == stage, BatchRow.purpose.in_(purposes))
            for stage, purposes in _PURPOSES.items()
        )
    )
    if account.role == "labeller":
        fits = and_(or_(MemberRow.held_out, by_stage), BatchRow.kind != "adjudication")
    else:
        fits = or_(BatchRow.kind == "adjudication", BatchRow.purpose.in_(_PURPOSES["working"]))
    query = (
        select(BatchRow)
        .join(MemberRow, MemberRow.project_id == BatchRow.project_id)
        .where(
            MemberRow.account_id == account.id,
            MemberRow.stage.not_in(("paused", "excluded")),
            BatchRow.state == "open",
            fits,
            or_(~MemberRow.held_out, BatchRow.purpose == "evaluation"),
            BatchRow.project_id == project_id if project_id is not None else true(),
            BatchRow.id == batch_id if batch_id is not None else true(),
        )
        .order_by(BatchRow.priority.desc(), BatchRow.created_at, BatchRow.id)
    )
    return session.scalars(query).all()


def eligible_slots(session: Session, account: AccountRow, batch: BatchRow) -> Select[SlotRow]:
    """The slots of a batch whose items this labeller may do; whether they are free is apart."""
    me = account.id
    own = aliased(SlotRow)
    seen = or_(
        exists().where(SkipRow.item_id == SlotRow.item_id, SkipRow.account_id == me),
        exists().where(own.item_id == SlotRow.item_id, own.labeller_id == me),
        exists().where(SubmissionRow.item_id == SlotRow.item_id, SubmissionRow.account_id == me),
    )
    own_text = exists().where(
        CompletionRow.author_id == me,
        CompletionRow.prompt_id == ItemRow.prompt_id,
        _holds(session, ItemRow.completion_ids, CompletionRow.id),
    )
    query = (
        select(SlotRow)
        .join(ItemRow, ItemRow.id == SlotRow.item_id)
        .outerjoin(PromptRow, PromptRow.id == ItemRow.prompt_id)
        .where(
            SlotRow.batch_id == batch.id,
            ~seen,
            or_(PromptRow.author_id.is_(None), PromptRow.author_id != me),
            ~own_text,
        )
    )
    if account.avoids_sensitive:
        query = query.where(~ItemRow.sensitive)
    if batch.kind == "adjudication":
        query = query.where(
            ~exists().where(
                SubmissionRow.item_id == ItemRow.adjudicates, SubmissionRow.account_id == me
            )
        )
    return query


def _holds(session: Session, ids: Any, wanted: Any) -> ColumnElement[bool]:
    """Whether a JSON list of ids has one; the databases spell this differently."""
    if session.get_bind().dialect.name == "sqlite":
        element = func.json_each(ids).table_valued("value")
        return exists(select(1).select_from(element).where(element.c.value == wanted))
    contains: ColumnElement[bool] = ids.op("?")(wanted)
    return contains


def is_free() -> ColumnElement[bool]:
    """Nobody holds the slot."""
    return SlotRow.state == "free"


def has_expired(now: datetime) -> ColumnElement[bool]:
    """Somebody holds the slot, but no longer has a right to it."""
    return and_(SlotRow.state == "leased", SlotRow.lease_expires_at <= now)
