"""Who works on what: claiming slots, keeping and giving back leases, skipping.

Whether a labeller may get an item is `heedful.store.eligibility`'s to say: a claim takes the
first of what that gives, and `remaining` counts it. An expired lease is as good as a free
slot to everybody but its holder, who may still finish unless somebody took it. What a
labeller hands in is `heedful.store.labels`'.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar, get_args

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError, LeaseLostError, NotAllowedError
from heedful.store.columns import utc_now
from heedful.store.eligibility import eligible_slots, has_expired, is_free, open_batches
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
    query = select(AccountRow).where(AccountRow.id == account_id)
    account = session.scalar(_locked(query, AccountRow))
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
    for batch in open_batches(session, account, project_id=project_id, batch_id=batch_id):
        slot = _take(session, eligible_slots(session, account, batch), now)
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
    for batch in open_batches(session, account, batch_id=item.batch_id):
        slot = _take(
            session, eligible_slots(session, account, batch).where(SlotRow.item_id == item_id), now
        )
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
    """
    acting(session, account_id)
    now = now or utc_now()
    slot = held_slot(session, account_id, item_id)
    if slot is None:
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
    must_have_seen(session, account_id, item_id)
    if session.get(SkipRow, (item_id, account_id)) is not None:
        return
    if submission_of(session, account_id, item_id) is not None:
        raise DataError("You have already submitted this item", "Go on with the next one.")
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
    for batch in open_batches(session, account, project_id=project_id):
        query = eligible_slots(session, account, batch).where(or_(is_free(), has_expired(now)))
        items = session.scalar(query.with_only_columns(func.count(SlotRow.item_id.distinct())))
        if items:
            counts.append(Remaining(batch.project_id, batch.id, batch.kind, batch.purpose, items))
    return counts


def held_slot(session: Session, account_id: str, item_id: str) -> SlotRow | None:
    """The slot of this item that is leased to this labeller, expired or not; locked."""
    query = select(SlotRow).where(
        SlotRow.item_id == item_id, SlotRow.labeller_id == account_id, SlotRow.state == "leased"
    )
    return session.scalar(_locked(query, SlotRow))


def spare_slot(session: Session, item_id: str, now: datetime) -> SlotRow | None:
    """A slot of this item that nobody holds; locked."""
    query = select(SlotRow).where(SlotRow.item_id == item_id)
    return _take(session, query, now)


def submission_of(session: Session, account_id: str, item_id: str) -> SubmissionRow | None:
    """What this labeller handed in for this item, or None."""
    return session.scalar(
        select(SubmissionRow).where(
            SubmissionRow.item_id == item_id, SubmissionRow.account_id == account_id
        )
    )


def must_have_seen(session: Session, account_id: str, item_id: str) -> None:
    """Refuse what concerns an item that this labeller was never given.

    Raises:
        NotAllowedError: They neither have a slot of it nor ever opened it.
    """
    if session.get(PresentationRow, (item_id, account_id)) is not None:
        return
    has_slot = exists().where(SlotRow.item_id == item_id, SlotRow.labeller_id == account_id)
    if not session.scalar(select(has_slot)):
        raise NotAllowedError("This item was not given to you", "Take the next one from your list.")


def _take(session: Session, query: Select[SlotRow], now: datetime) -> SlotRow | None:
    """The first slot nobody holds, locked: of expired leases, which are few, then of free ones.

    Two queries, since each reads one range of the index; an OR would sort the batch.
    """
    for condition in (has_expired(now), is_free()):
        first = query.where(condition).order_by(SlotRow.place, SlotRow.n).limit(1)
        slot = session.scalar(_locked(first, SlotRow, skip_locked=True))
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
