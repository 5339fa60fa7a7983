"""Who works on what: claiming slots, keeping and giving back leases, skipping.

Whether a labeller may get an item is `heedful.store.eligibility`'s to say: a claim takes the
first of what that gives, and `remaining` counts it. An expired lease is as good as a free
slot to everybody but its holder, who may still finish unless somebody took it. What a
labeller hands in is `heedful.store.labels`'.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, TypeVar, get_args

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError, LeaseLostError, NotAllowedError
from heedful.store.columns import utc_now
from heedful.store.eligibility import HAS_EXPIRED, IS_FREE, eligible_slots, open_batches
from heedful.store.secret_tokens import new_token, token_hash
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    ItemRow,
    PresentationRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)

Row = TypeVar("Row", AccountRow, SlotRow)
SkipReason = Literal["unclear", "cannot_judge", "sensitive", "technical", "other"]
_MOST_NOTE = 2000


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot that was just given out; only the browser keeps the token."""

    slot_id: str
    item_id: str
    batch_id: str
    token: str
    lease_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A slot that a labeller has and has not finished; `expired`: others may take it."""

    slot_id: str
    item_id: str
    batch_id: str
    lease_expires_at: datetime
    expired: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """An item that was given to a labeller, how they saw it, and what they handed in."""

    item: ItemRow
    batch: BatchRow
    shown: PresentationRow | None
    submission: SubmissionRow | None


@dataclass(frozen=True, slots=True)
class Remaining:
    """How many items of a batch one labeller could still do."""

    project_id: str
    batch_id: str
    kind: str
    purpose: str
    items: int


def acting(session: Session, account_id: str) -> AccountRow:
    """The account that is about to write; what it does at the same time waits its turn.

    Raises:
        NotAllowedError: It is suspended.
    """
    account = session.scalar(_ACTING, {"me": account_id})
    if account is None:
        raise DataError(f"there is no account {account_id}", "Sign in again.")
    if account.state != "active":
        raise NotAllowedError("This account is suspended", "Ask an administrator.")
    return account


def claim_next(
    session: Session,
    account_id: str,
    *,
    project_id: str | None = None,
    batch_id: str | None = None,
    now: datetime | None = None,
) -> Claim | None:
    """The next slot for this labeller, of the batch of the highest priority; None: no work."""
    account = acting(session, account_id)
    now = now or utc_now()
    for batch in open_batches(session, account):
        if batch_id in (None, batch.id) and project_id in (None, batch.project_id):
            query = eligible_slots(session, account, batch)
            slot = _take(session, query, me=account_id, batch=batch.id, now=now)
            if slot is not None:
                return _lease(slot, batch, account_id, now)
    return None


def reopen(
    session: Session, account_id: str, item_id: str, *, now: datetime | None = None
) -> Claim | None:
    """A new token for an item that is mine, or that I can take (again); None: I cannot."""
    account = acting(session, account_id)
    now = now or utc_now()
    item = session.get(ItemRow, item_id)
    if item is None:
        return None
    slot = held_slot(session, account_id, item_id)
    if slot is not None:
        return _lease(slot, session.get_one(BatchRow, item.batch_id), account_id, now)
    for batch in open_batches(session, account):
        if batch.id == item.batch_id:
            query = _of_item(eligible_slots(session, account, batch))
            slot = _take(session, query, me=account_id, batch=batch.id, item=item_id, now=now)
            if slot is not None:
                return _lease(slot, batch, account_id, now)
    return None


def heartbeat(
    session: Session,
    account_id: str,
    item_id: str,
    token: str,
    *,
    active_seconds: float = 0.0,
    now: datetime | None = None,
) -> datetime:
    """Extend the lease and return its new end.

    Args:
        active_seconds: Time in view since the last heartbeat; no more of it is believed
            than has passed since the lease was last extended.

    Raises:
        LeaseLostError: Somebody else has the item, or another window of the same labeller.
        NotAllowedError: Its prompt was withdrawn.
    """
    acting(session, account_id)
    now = now or utc_now()
    slot = held_slot(session, account_id, item_id)
    if slot is None:
        _refuse_withdrawn(session.get(ItemRow, item_id))
        raise LeaseLostError(
            "This item is no longer reserved for you",
            "Go on and submit: your work is kept even where somebody else has taken it over.",
        )
    if slot.lease_token_hash != token_hash(token):
        raise LeaseLostError(
            "This item is open in another window", "Go on there, or reload this page."
        )
    batch = session.get_one(BatchRow, slot.batch_id)
    lease = timedelta(seconds=batch.lease_seconds)
    presentation = session.get(PresentationRow, (item_id, account_id))
    if presentation is not None and slot.lease_expires_at is not None:
        passed = (now - (slot.lease_expires_at - lease)).total_seconds()
        presentation.active_seconds += max(0.0, min(active_seconds, passed))
    slot.lease_expires_at = now + lease
    return slot.lease_expires_at


def skip(
    session: Session,
    account_id: str,
    item_id: str,
    reason: SkipReason,
    note: str = "",
    *,
    now: datetime | None = None,
) -> None:
    """Pass an item on, for good; the slot becomes free. Skipping twice changes nothing."""
    if reason not in get_args(SkipReason):
        known = ", ".join(get_args(SkipReason))
        raise DataError(f"{reason!r} is no reason to skip", f"Use one of {known}.")
    if len(note) > _MOST_NOTE:
        raise DataError(f"the note has {len(note)} characters", f"Use at most {_MOST_NOTE}.")
    acting(session, account_id)
    if session.get(SkipRow, (item_id, account_id)) is not None:
        return
    must_be_unsubmitted(assignment(session, account_id, item_id))
    slot = held_slot(session, account_id, item_id)
    if slot is not None:
        _free(slot)
    session.add(
        SkipRow(
            item_id=item_id, account_id=account_id, reason=reason, note=note, at=now or utc_now()
        )
    )


def current(session: Session, account_id: str, *, now: datetime | None = None) -> list[Held]:
    """The slots this labeller has begun and not finished, the oldest first."""
    now = now or utc_now()
    slots = session.scalars(
        select(SlotRow)
        .where(SlotRow.labeller_id == account_id, SlotRow.state == "leased")
        .order_by(SlotRow.leased_at, SlotRow.id)
    )
    return [
        Held(slot.id, slot.item_id, slot.batch_id, ends, ends <= now)
        for slot in slots
        if (ends := slot.lease_expires_at) is not None
    ]


def remaining(
    session: Session,
    account_id: str,
    *,
    project_id: str | None = None,
    now: datetime | None = None,
) -> list[Remaining]:
    """What this labeller could still claim, batch by batch, in the order of claiming."""
    account = session.get(AccountRow, account_id)
    if account is None or account.state != "active":
        return []
    now = now or utc_now()
    counts = []
    for batch in open_batches(session, account):
        if project_id not in (None, batch.project_id):
            continue
        query = _count_items(eligible_slots(session, account, batch))
        items = session.scalar(query, {"me": account_id, "batch": batch.id, "now": now})
        if items:
            counts.append(Remaining(batch.project_id, batch.id, batch.kind, batch.purpose, items))
    return counts


def held_slot(session: Session, account_id: str, item_id: str) -> SlotRow | None:
    """The slot of this item that is leased to this labeller, expired or not; locked."""
    return session.scalar(_HELD, {"me": account_id, "item": item_id})


def spare_slot(session: Session, item_id: str, now: datetime) -> SlotRow | None:
    """A slot of this item that nobody holds; locked."""
    return _take(session, _OF_ITEM, item=item_id, now=now)


def assignment(session: Session, account_id: str, item_id: str) -> Assignment:
    """What a labeller and an item have to do with each other.

    Raises:
        NotAllowedError: Nothing: they neither have a slot of it nor ever opened it, or its
            prompt was withdrawn before they handed it in.
    """
    found = session.execute(_ASSIGNMENT, {"me": account_id, "item": item_id}).first()
    if found is None or not (found.has_slot or found.PresentationRow or found.SubmissionRow):
        raise NotAllowedError("This item was not given to you", "Take the next one from your list.")
    if found.SubmissionRow is None:
        _refuse_withdrawn(found.ItemRow)
    return Assignment(found.ItemRow, found.BatchRow, found.PresentationRow, found.SubmissionRow)


def _refuse_withdrawn(item: ItemRow | None) -> None:
    if item is not None and item.is_withdrawn:
        raise NotAllowedError(
            "The author of this prompt withdrew it, so nobody labels it any more",
            "Take the next one from your list.",
        )


def must_be_unsubmitted(assigned: Assignment) -> None:
    """Refuse what comes too late.

    Raises:
        DataError: The labeller has handed this item in.
    """
    if assigned.submission is not None:
        raise DataError("You have already submitted this item", "Go on with the next one.")


def _take(session: Session, query: Select[SlotRow], **parameters: Any) -> SlotRow | None:
    """The first slot that nobody holds, locked: of expired leases, then of free ones."""
    for first in _first_of(query):
        slot = session.scalar(first, parameters)
        if slot is not None:
            return slot
    return None


def _lease(slot: SlotRow, batch: BatchRow, account_id: str, now: datetime) -> Claim:
    token = new_token()
    ends = now + timedelta(seconds=batch.lease_seconds)
    slot.state, slot.labeller_id, slot.lease_token_hash = "leased", account_id, token_hash(token)
    slot.leased_at, slot.lease_expires_at = now, ends
    return Claim(slot.id, slot.item_id, slot.batch_id, token, ends)


def _free(slot: SlotRow) -> None:
    slot.state, slot.labeller_id, slot.lease_token_hash = "free", None, None
    slot.leased_at = slot.lease_expires_at = None


def _locked(query: Select[Row], table: type[Row], *, skip_locked: bool = False) -> Select[Row]:
    """The rows locked until the transaction ends, and as they are now.

    PostgreSQL alone needs it: SQLite has one writer at a time and ignores it. The weaker
    lock (no key changes) leaves rows that only refer to these alone.
    """
    locked = query.with_for_update(key_share=True, of=table, skip_locked=skip_locked)
    return locked.execution_options(populate_existing=True)


@cache
def _first_of(query: Select[SlotRow]) -> tuple[Select[SlotRow], ...]:
    """Two queries, since each reads one range of the index; an OR would sort the batch."""
    return tuple(
        _locked(
            query.where(condition).order_by(SlotRow.place, SlotRow.n).limit(1),
            SlotRow,
            skip_locked=True,
        )
        for condition in (HAS_EXPIRED, IS_FREE)
    )


@cache
def _of_item(query: Select[SlotRow]) -> Select[SlotRow]:
    return query.where(SlotRow.item_id == bindparam("item"))


@cache
def _count_items(query: Select[SlotRow]) -> Select[int]:
    can_be_had = query.where(or_(IS_FREE, HAS_EXPIRED))
    return can_be_had.with_only_columns(func.count(SlotRow.item_id.distinct()))


_ACTING = _locked(select(AccountRow).where(AccountRow.id == bindparam("me")), AccountRow)
_OF_ITEM = _of_item(select(SlotRow))
_HELD = _locked(
    _OF_ITEM.where(SlotRow.labeller_id == bindparam("me"), SlotRow.state == "leased"), SlotRow
)


def _mine(table: type[PresentationRow] | type[SubmissionRow]) -> ColumnElement[bool]:
    return and_(table.item_id == ItemRow.id, table.account_id == bindparam("me"))


_ASSIGNMENT = (
    select(
        ItemRow,
        BatchRow,
        PresentationRow,
        SubmissionRow,
        exists()
        .where(SlotRow.item_id == ItemRow.id, SlotRow.labeller_id == bindparam("me"))
        .label("has_slot"),
    )
    .join(BatchRow, BatchRow.id == ItemRow.batch_id)
    .outerjoin(PresentationRow, _mine(PresentationRow))
    .outerjoin(SubmissionRow, _mine(SubmissionRow))
    .where(ItemRow.id == bindparam("item"))
    .execution_options(populate_existing=True)
)
