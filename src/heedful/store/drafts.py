"""Work in progress, saved as the labeller goes; no older window overwrites a newer one's.

A draft outlives a lost lease: it goes only when the work is submitted.
"""

import json
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from heedful.core.errors import DataError, DraftConflictError
from heedful.store.columns import utc_now
from heedful.store.slots import acting, assignment, must_be_unsubmitted
from heedful.store.tables import DraftRow

MOST_BYTES = 1_000_000


def save_draft(
    session: Session,
    account_id: str,
    item_id: str,
    body: dict[str, Any],
    base_revision: int,
    *,
    now: datetime | None = None,
) -> int:
    """Store `body` over the revision it was made from (0: none) and return the new revision.

    Saving the same body again returns the revision that has it.

    Raises:
        DraftConflictError: Another window saved since; carries what it saved.
    """
    size = len(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
    if size > MOST_BYTES:
        raise DataError(f"the draft has {size} bytes", f"Shorten it to at most {MOST_BYTES} bytes.")
    acting(session, account_id)
    must_be_unsubmitted(assignment(session, account_id, item_id))
    draft = session.get(DraftRow, (item_id, account_id), populate_existing=True)
    if draft is None:
        draft = DraftRow(item_id=item_id, account_id=account_id, revision=0, body={})
        if base_revision != 0:
            raise DraftConflictError(0, {})
        session.add(draft)
    elif draft.body == body:
        return draft.revision
    elif draft.revision != base_revision:
        raise DraftConflictError(draft.revision, draft.body)
    draft.revision, draft.body, draft.saved_at = base_revision + 1, body, now or utc_now()
    session.flush()
    return draft.revision


def load_draft(session: Session, account_id: str, item_id: str) -> DraftRow | None:
    """What was saved last, or None."""
    return session.get(DraftRow, (item_id, account_id))
