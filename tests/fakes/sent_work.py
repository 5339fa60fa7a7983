"""Work that was sent in, written straight into the store: any labeller, any time, any state."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.records import Ranking, Rating, RatingFlags, new_id
from heedful.store.columns import utc_now
from heedful.store.label_tables import SubmissionRow, label_row
from heedful.store.work_tables import BatchRow, ItemRow, SlotRow


def items_of(session: Session, batch: BatchRow) -> list[ItemRow]:
    """The items of a batch in order."""
    query = select(ItemRow).where(ItemRow.batch_id == batch.id).order_by(ItemRow.place)
    return list(session.scalars(query))


def sent(
    session: Session,
    batch: BatchRow,
    item: ItemRow,
    account_id: str,
    *,
    at: datetime | None = None,
    seconds: float = 60.0,
    ranks: tuple[int, ...] = (),
    **columns: Any,
) -> SubmissionRow:
    """A submission in the item's first free slot, or a surplus one; with `ranks`, its ranking."""
    at = at or utc_now()
    slot = session.scalars(
        select(SlotRow)
        .where(SlotRow.item_id == item.id, SlotRow.state == "free")
        .order_by(SlotRow.n)
        .limit(1)
    ).first()
    if slot is not None:
        slot.state, slot.labeller_id, slot.done_at = "done", account_id, at
    row = SubmissionRow(
        id=new_id("submission"),
        project_id=batch.project_id,
        batch_id=batch.id,
        item_id=item.id,
        slot_id=slot.id if slot else None,
        account_id=account_id,
        status="accepted" if slot else "surplus",
        answer={},
        made_by=columns.pop("made_by", "person"),
        instructions_id=batch.instructions_id,
        seconds_spent=seconds,
        submitted_at=at,
        **columns,
    )
    session.add(row)
    session.flush()
    if ranks:
        _add_labels(session, row, item, ranks)
    return row


def _add_labels(
    session: Session, row: SubmissionRow, item: ItemRow, ranks: tuple[int, ...]
) -> None:
    ranking = Ranking(
        id=new_id("ranking"),
        prompt_id=str(item.prompt_id),
        completion_ids=tuple(item.completion_ids),
        ranks=ranks,
        labeller_id=row.account_id,
        made_by="person",
        batch_id=row.batch_id,
    )
    session.add(label_row(ranking, row.id))
    for completion_id, rank in zip(item.completion_ids, ranks, strict=True):
        rating = Rating(
            id=new_id("rating"),
            prompt_id=ranking.prompt_id,
            completion_id=completion_id,
            quality=max(1, 8 - rank),
            flags=RatingFlags(hallucination=rank > 1),
            labeller_id=row.account_id,
            made_by="person",
        )
        session.add(label_row(rating, row.id))
    session.flush()
