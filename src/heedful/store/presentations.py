"""How an item is shown to a labeller: shuffled once, identical texts on one card, stored.

The order is kept so that position bias can be measured. Nothing here says which model
wrote what.
"""

import random
import secrets
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.store.columns import utc_now
from heedful.store.slots import acting, assignment
from heedful.store.tables import CompletionRow, PresentationRow


def present(
    session: Session,
    account_id: str,
    item_id: str,
    *,
    shuffle: random.Random | None = None,
    now: datetime | None = None,
) -> PresentationRow:
    """How this labeller sees this item; made at the first call and the same ever after.

    Args:
        shuffle: For a rehearsal that can be repeated; otherwise the order is secret.

    Raises:
        NotAllowedError: The item was not given to this labeller.
    """
    known = session.get(PresentationRow, (item_id, account_id))
    if known is not None:
        return known
    acting(session, account_id)
    assigned = assignment(session, account_id, item_id)
    if assigned.shown is not None:
        return assigned.shown
    item = assigned.item
    found = session.execute(
        select(CompletionRow.id, CompletionRow.record["text"].as_string()).where(
            CompletionRow.id.in_(item.completion_ids)
        )
    )
    texts = {row[0]: str(row[1]) for row in found}
    missing = set(item.completion_ids) - set(texts)
    if missing:
        raise DataError(
            f"item {item_id} names completions that are not there: {', '.join(sorted(missing))}",
            "Close its batch and make a new one.",
        )
    cards = same_texts((one, texts[one]) for one in item.completion_ids)
    (shuffle or secrets.SystemRandom()).shuffle(cards)
    presentation = PresentationRow(
        item_id=item_id,
        account_id=account_id,
        cards=cards,
        instructions_id=assigned.batch.instructions_id,
        opened_at=now or utc_now(),
        active_seconds=0.0,
    )
    session.add(presentation)
    session.flush()
    return presentation


def same_texts(texts: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Ids of (id, text), grouped where the texts are the same."""
    groups: dict[str, list[str]] = {}
    for name, text in texts:
        groups.setdefault(text, []).append(name)
    return list(groups.values())
