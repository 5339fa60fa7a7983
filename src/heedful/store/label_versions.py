"""Tells in milliseconds whether what agreement is computed from is still the same.

A label never changes once it is sent, nor do items and outputs; it comes to count or ceases
to. So which labels count, who made them, what was adjudicated and what the survey says are
all that can change. Nobody has to remember to raise a number.
"""

import hashlib
import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.store.quality_queries import counting, members
from heedful.store.survey_records import survey_answers
from heedful.store.tables import BatchRow, ItemRow, SubmissionRow


def label_version(session: Session, project_id: str) -> str:
    """A hash that is another one as soon as agreement in the project could be."""
    labels = select(SubmissionRow.id).where(*counting(project_id)).order_by(SubmissionRow.id)
    adjudicated = (
        select(ItemRow.adjudicates)
        .join(BatchRow, BatchRow.id == ItemRow.batch_id)
        .where(BatchRow.project_id == project_id, ItemRow.adjudicates.is_not(None))
        .order_by(ItemRow.adjudicates)
    )
    parts: list[Any] = [
        session.scalars(labels).all(),
        session.scalars(adjudicated).all(),
        [_plain(one) for one in members(session, project_id).values()],
        [_plain(one) for one in survey_answers(session, project_id)],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _plain(row: Any) -> list[Any]:
    return [getattr(row, name) for name in row.__dataclass_fields__]
