"""Which items a labeller may be given: the one place that says so.

`open_batches` looks at the labeller's place in the project, `eligible_slots` at each item;
`IS_FREE` and `HAS_EXPIRED` at whether a slot can be had. Taking one is
`heedful.store.slots`'.

The queries are built once and filled in by name: building them costs more than running them.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from heedful.store.columns import MemberStage, Purpose, UtcDateTime
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
IS_FREE = SlotRow.state == "free"
HAS_EXPIRED = and_(
    SlotRow.state == "leased", SlotRow.lease_expires_at <= bindparam("now", type_=UtcDateTime())
)


def open_batches(session: Session, account: AccountRow) -> Sequence[BatchRow]:
    """The batches an account may work in, the most urgent first.

    A labeller's stage must fit the purpose. Reviewers, researchers and admins who are
    members may label what working labellers do, whatever their stage, and adjudicate, which
    labellers may not. Held-out members get nothing but evaluations, whatever their stage.
    Paused and excluded ones get nothing.
    """
    query = _batches_open_to(is_labeller=account.role == "labeller")
    return session.scalars(query, {"me": account.id}).all()


def eligible_slots(session: Session, account: AccountRow, batch: BatchRow) -> Select[SlotRow]:
    """The slots of a batch whose items this labeller may do; whether they are free is apart.

    The query wants the parameters `me` and `batch`.
    """
    return _eligible(
        is_sqlite=session.get_bind().dialect.name == "sqlite",
        adjudicates=batch.kind == "adjudication",
        avoids_sensitive=account.avoids_sensitive,
    )


@cache
def _batches_open_to(*, is_labeller: bool) -> Select[BatchRow]:
    if is_labeller:
        by_stage = (
            and_(MemberRow.stage == stage, BatchRow.purpose.in_(purposes))
            for stage, purposes in _PURPOSES.items()
        )
        fits = and_(or_(MemberRow.held_out, *by_stage), BatchRow.kind != "adjudication")
    else:
        fits = or_(BatchRow.kind == "adjudication", BatchRow.purpose.in_(_PURPOSES["working"]))
    return (
        select(BatchRow)
        .join(MemberRow, MemberRow.project_id == BatchRow.project_id)
        .where(
            MemberRow.account_id == bindparam("me"),
            MemberRow.stage.not_in(("paused", "excluded")),
            BatchRow.state == "open",
            fits,
            or_(~MemberRow.held_out, BatchRow.purpose == "evaluation"),
        )
        .order_by(BatchRow.priority.desc(), BatchRow.created_at, BatchRow.id)
    )


@cache
def _eligible(*, is_sqlite: bool, adjudicates: bool, avoids_sensitive: bool) -> Select[SlotRow]:
    me: BindParameter[str] = bindparam("me")
    own = aliased(SlotRow)
    seen = or_(
        exists().where(SkipRow.item_id == SlotRow.item_id, SkipRow.account_id == me),
        exists().where(own.item_id == SlotRow.item_id, own.labeller_id == me),
        exists().where(SubmissionRow.item_id == SlotRow.item_id, SubmissionRow.account_id == me),
    )
    own_text = exists().where(
        CompletionRow.author_id == me,
        CompletionRow.prompt_id == ItemRow.prompt_id,
        _holds(ItemRow.completion_ids, CompletionRow.id, is_sqlite=is_sqlite),
    )
    query = (
        select(SlotRow)
        .join(ItemRow, ItemRow.id == SlotRow.item_id)
        .outerjoin(PromptRow, PromptRow.id == ItemRow.prompt_id)
        .where(
            SlotRow.batch_id == bindparam("batch"),
            ~seen,
            or_(PromptRow.author_id.is_(None), PromptRow.author_id != me),
            ~own_text,
        )
    )
    if avoids_sensitive:
        query = query.where(~ItemRow.sensitive)
    if adjudicates:
        query = query.where(
            ~exists().where(
                SubmissionRow.item_id == ItemRow.adjudicates, SubmissionRow.account_id == me
            )
        )
    return query


def _holds(ids: Any, wanted: Any, *, is_sqlite: bool) -> ColumnElement[bool]:
    """Whether a JSON list of ids has one; the databases spell this differently."""
    if is_sqlite:
        element = func.json_each(ids).table_valued("value")
        return exists(select(1).select_from(element).where(element.c.value == wanted))
    contains: ColumnElement[bool] = ids.op("?")(wanted)
    return contains
