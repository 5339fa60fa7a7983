"""Batches: making one with its items and slots, opening and closing it, counting its work.

Whose turn a slot is, is `slots`'. What a labeller sees of an item is `presentations`'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import new_id
from heedful.store import audit
from heedful.store.batch_checks import Checked, ItemSpec, check_items
from heedful.store.columns import BatchState, Purpose, TaskKind, utc_now
from heedful.store.projects import PURPOSES, current_instructions
from heedful.store.tables import (
    BatchRow,
    InstructionsRow,
    ItemRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)

__all__ = ["ItemSpec", "Progress", "create_batch", "progress", "set_state", "use_instructions"]
_NEXT: dict[str, set[str]] = {
    "draft": {"open", "closed"},
    "open": {"paused", "closed"},
    "paused": {"open", "closed"},
    "closed": {"open"},
}


@dataclass(frozen=True)
class Progress:
    """How far a batch is.

    Attributes:
        slots: items x overlap; a withdrawn one does not count, the one in its place does.
        leased: Being worked on now; a lease that ran out counts as free.
        surplus: Labels that came when every slot of their item had been given away.
        excluded: Labels that do not count, for a reason.
    """

    items: int
    slots: int
    done: int
    leased: int
    free: int
    surplus: int
    excluded: int
    skips: int


def create_batch(
    session: Session,
    *,
    project_id: str,
    name: str,
    kind: TaskKind,
    purpose: Purpose,
    items: Sequence[ItemSpec],
    overlap: int = 1,
    priority: int = 0,
    lease_seconds: int = 1800,
    baseline: str | None = None,
    created_by: str | None = None,
    state: BatchState = "draft",
    now: datetime | None = None,
) -> BatchRow:
    """A batch with its items in the order given, and `overlap` slots for each.

    Raises:
        DataError: A setting or some items cannot be; the message says which and why.
    """
    now = now or utc_now()
    _check_settings(session, project_id, name, kind, purpose, overlap, lease_seconds, state)
    checked = check_items(session, project_id, kind, items)
    batch = BatchRow(
        id=new_id("batch"),
        project_id=project_id,
        name=name.strip(),
        kind=kind,
        purpose=purpose,
        instructions_id=current_instructions(session, project_id, purpose).id,
        state=state,
        overlap=overlap,
        priority=priority,
        lease_seconds=lease_seconds,
        baseline=baseline,
        created_by=created_by,
        created_at=now,
    )
    session.add(batch)
    session.flush()
    _add_items(session, batch, checked)
    audit.record(
        session,
        account_id=created_by,
        action="batch.create",
        object_kind="batch",
        object_id=batch.id,
        project_id=project_id,
        detail={
            "name": batch.name,
            "kind": kind,
            "purpose": purpose,
            "items": len(items),
            "overlap": overlap,
            "state": state,
        },
        now=now,
    )
    return batch


def set_state(
    session: Session,
    batch_id: str,
    state: BatchState,
    *,
    by: str | None,
    reason: str = "",
    now: datetime | None = None,
) -> BatchRow:
    """Open, pause or close a batch; a closed one can be opened again.

    Work in hand may still be sent after a pause or a close; nothing new is given out.

    Raises:
        DataError: That state cannot follow, or a close with work left has no reason.
    """
    batch = _batch(session, batch_id)
    if state not in _NEXT[batch.state]:
        known = ", ".join(sorted(_NEXT[batch.state]))
        raise DataError(
            f"A batch that is {batch.state} cannot become {state}.", f"It can become {known}."
        )
    left = 0
    if state == "closed":
        counts = progress(session, batch_id, now=now)
        left = counts.slots - counts.done
        if left and not reason.strip():
            raise DataError(
                f"{left} of {counts.slots} labels are still missing.",
                "Say why the batch is closed all the same.",
            )
    before, batch.state = batch.state, state
    now = now or utc_now()
    batch.closed_reason = reason.strip() if state == "closed" else ""
    batch.closed_at = now if state == "closed" else None
    audit.record(
        session,
        account_id=by,
        action=f"batch.{state}",
        object_kind="batch",
        object_id=batch_id,
        project_id=batch.project_id,
        detail={"from": before, "reason": reason, "left": left},
        now=now,
    )
    session.flush()
    return batch


def use_instructions(
    session: Session,
    batch_id: str,
    instructions_id: str,
    by: str | None,
    *,
    now: datetime | None = None,
) -> BatchRow:
    """Let a batch go by another version; items opened already keep theirs.

    Raises:
        DataError: The version is of another project or purpose.
    """
    batch = _batch(session, batch_id)
    version = session.get(InstructionsRow, instructions_id)
    wanted = (batch.project_id, batch.purpose)
    if version is None or (version.project_id, version.purpose) != wanted:
        raise DataError(
            f"These are no instructions for {batch.purpose} work of this project.",
            "Choose a version of the batch's own project and purpose.",
        )
    before, batch.instructions_id = batch.instructions_id, instructions_id
    audit.record(
        session,
        account_id=by,
        action="batch.instructions",
        object_kind="batch",
        object_id=batch_id,
        project_id=batch.project_id,
        detail={"from": before, "to": instructions_id, "version": version.version},
        now=now,
    )
    session.flush()
    return batch


def progress(session: Session, batch_id: str, *, now: datetime | None = None) -> Progress:
    """The counts of a batch.

    Raises:
        DataError: There is no such batch.
    """
    _batch(session, batch_id)
    now = now or utc_now()
    in_slots, in_labels = SlotRow.batch_id == batch_id, SubmissionRow.batch_id == batch_id
    live = (SlotRow.state == "leased") & (SlotRow.lease_expires_at > now)
    free = or_(
        SlotRow.state == "free", (SlotRow.state == "leased") & (SlotRow.lease_expires_at <= now)
    )
    slots = session.execute(
        select(
            func.count().filter(SlotRow.state != "withdrawn"),
            func.count().filter(SlotRow.state == "done"),
            func.count().filter(live),
            func.count().filter(free),
        ).where(in_slots)
    ).one()
    labels = session.execute(
        select(
            func.count().filter(SubmissionRow.status == "surplus"),
            func.count().filter(SubmissionRow.excluded_at.is_not(None)),
        ).where(in_labels)
    ).one()
    own_items = select(ItemRow.id).where(ItemRow.batch_id == batch_id)
    items = session.scalar(select(func.count()).select_from(own_items.subquery()))
    skips = session.scalar(select(func.count()).where(SkipRow.item_id.in_(own_items)))
    return Progress(
        items=items or 0,
        slots=slots[0],
        done=slots[1],
        leased=slots[2],
        free=slots[3],
        surplus=labels[0],
        excluded=labels[1],
        skips=skips or 0,
    )


def _batch(session: Session, batch_id: str) -> BatchRow:
    batch = session.get(BatchRow, batch_id)
    if batch is None:
        raise DataError(f"There is no batch `{batch_id}`.")
    return batch


def _check_settings(
    session: Session,
    project_id: str,
    name: str,
    kind: str,
    purpose: str,
    overlap: int,
    lease_seconds: int,
    state: str,
) -> None:
    choices = (("kind", kind, TaskKind), ("state", state, BatchState))
    for what, value, known in choices:
        if value not in get_args(known):
            raise DataError(f"`{value}` is no {what}.", f"Use one of {', '.join(get_args(known))}.")
    if purpose not in PURPOSES:
        raise DataError(f"`{purpose}` is no purpose.", f"Use one of {', '.join(PURPOSES)}.")
    if not name.strip():
        raise DataError("A batch needs a name.", "Give it one.")
    same_name = (BatchRow.project_id == project_id, BatchRow.name == name.strip())
    if session.scalar(select(BatchRow.id).where(*same_name)):
        raise DataError(
            f"The project has a batch called “{name.strip()}” already.", "Choose another name."
        )
    if overlap < 1:
        raise DataError("The overlap is below 1.", "Ask for at least one label of each item.")
    if lease_seconds < 1:
        raise DataError("The lease is below one second.", "Give labellers time to work.")


def _add_items(session: Session, batch: BatchRow, checked: Sequence[Checked]) -> None:
    rows = [
        ItemRow(
            id=new_id("item"),
            batch_id=batch.id,
            place=place,
            prompt_id=item.spec.prompt_id,
            completion_ids=list(item.spec.completion_ids),
            brief=item.spec.brief,
            gold=item.spec.gold,
            adjudicates=item.spec.adjudicates,
            sensitive=item.sensitive,
        )
        for place, item in enumerate(checked)
    ]
    session.add_all(rows)
    session.flush()
    session.add_all(
        SlotRow(id=new_id("slot"), item_id=row.id, batch_id=batch.id, n=n, place=row.place)
        for row in rows
        for n in range(1, batch.overlap + 1)
    )
    session.flush()
