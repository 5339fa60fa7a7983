"""The labels of a project as records with where they come from, page by page.

What is left out by default (surplus, excluded, replaced by an adjudication) can be asked for
and is always counted. Formats and files are `heedful.labelling.exports`'.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select, true, tuple_
from sqlalchemy.orm import Session, aliased

from heedful.core.records import Demonstration, MadeBy, Ranking, Rating, Split
from heedful.store.columns import Purpose
from heedful.store.tables import (
    BatchRow,
    DemonstrationRow,
    ItemRow,
    PromptRow,
    RankingRow,
    RatingRow,
    SubmissionRow,
)

PAGE = 500
R = TypeVar("R", Demonstration, Ranking, Rating)
LabelRow = TypeVar("LabelRow", DemonstrationRow, RankingRow, RatingRow)

Adjudicated = Literal["replace", "keep", "leave_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFilter:
    """Which labels are wanted.

    Attributes:
        batches: Batch ids; adjudications of their items come with them. None for all.
        purposes: None for all.
        made_by: None for all.
        split: Only of prompts of this split; None for all.
        surplus: Also those that came when every slot had been given away.
        excluded: Also those that somebody excluded.
        adjudicated: `replace` takes the adjudication in place of the labels that disagreed,
            `keep` takes both, `leave_out` takes no adjudications.
    """

    batches: tuple[str, ...] | None = None
    purposes: tuple[Purpose, ...] | None = None
    made_by: tuple[MadeBy, ...] | None = None
    split: Split | None = None
    surplus: bool = False
    excluded: bool = False
    adjudicated: Adjudicated = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One submission and the records in it."""

    submission_id: str
    batch_id: str
    batch: str
    kind: str
    purpose: str
    item_id: str
    prompt_id: str | None
    labeller_id: str
    made_by: str
    status: str
    excluded_reason: str | None
    submitted_at: datetime
    seconds_spent: float
    demonstrations: tuple[Demonstration, ...]
    ranking: Ranking | None
    ratings: tuple[Rating, ...]

    @property
    def cursor(self) -> "Cursor":
        """Where to go on after this label."""
        return Cursor(self.submitted_at, self.submission_id)


class Cursor(NamedTuple):
    """A place in the order of submission."""

    submitted_at: datetime
    submission_id: str


def iter_labels(
    session: Session,
    project_id: str,
    wanted: LabelFilter,
    *,
    after: Cursor | None = None,
    limit: int | None = None,
) -> Iterator[Label]:
    """The labels of a project in the order in which they were sent, at most `limit`."""
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = _page(session, project_id, wanted, after, size)
        yield from page
        if len(page) < size:
            return
        after = page[-1].cursor
        left = None if left is None else left - len(page)


def count_left_out(session: Session, project_id: str, wanted: LabelFilter) -> dict[str, int]:
    """Why how many submissions of the chosen batches are left out; reasons with none are not there.

    Each is counted once, under the first reason that applies.
    """
    remaining: ColumnElement[bool] = _of_batches(wanted)
    counts = {}
    for reason, kept in _conditions(wanted).items():
        query = _joined(select(func.count(SubmissionRow.id))).where(
            SubmissionRow.project_id == project_id, remaining, not_(kept)
        )
        if count := session.scalar(query):
            counts[reason] = count
        remaining = and_(remaining, kept)
    return counts


def _conditions(wanted: LabelFilter) -> dict[str, ColumnElement[bool]]:
    """Reason for leaving out -> what the others fulfil."""
    conditions: dict[str, ColumnElement[bool]] = {}
    if wanted.purposes is not None:
        conditions["for another purpose"] = BatchRow.purpose.in_(wanted.purposes)
    if wanted.made_by is not None:
        conditions["made by others"] = SubmissionRow.made_by.in_(wanted.made_by)
    if wanted.split is not None:
        in_split = select(PromptRow.id).where(PromptRow.record["split"].as_string() == wanted.split)
        conditions["of another split"] = func.coalesce(ItemRow.prompt_id, "").in_(in_split)
    if not wanted.excluded:
        conditions["excluded"] = SubmissionRow.excluded_at.is_(None)
    if not wanted.surplus:
        conditions["surplus"] = SubmissionRow.status == "accepted"
    if wanted.adjudicated == "replace":
        conditions["replaced by an adjudication"] = not_(_is_adjudicated())
    elif wanted.adjudicated == "leave_out":
        conditions["adjudications"] = BatchRow.kind != "adjudication"
    return conditions


def _is_adjudicated() -> ColumnElement[bool]:
    """Whether there is a label that counts of an item that adjudicates this one's."""
    adjudication, item = aliased(SubmissionRow), aliased(ItemRow)
    return exists().where(
        item.adjudicates == SubmissionRow.item_id,
        adjudication.item_id == item.id,
        adjudication.status == "accepted",
        adjudication.excluded_at.is_(None),
    )


def _of_batches(wanted: LabelFilter) -> ColumnElement[bool]:
    if wanted.batches is None:
        return true()
    item = aliased(ItemRow)
    theirs = select(item.id).where(item.batch_id.in_(wanted.batches))
    return or_(SubmissionRow.batch_id.in_(wanted.batches), ItemRow.adjudicates.in_(theirs))


def _joined(query: Any) -> Any:
    return query.join(BatchRow, BatchRow.id == SubmissionRow.batch_id).join(
        ItemRow, ItemRow.id == SubmissionRow.item_id
    )


def _page(
    session: Session, project_id: str, wanted: LabelFilter, after: Cursor | None, size: int
) -> list[Label]:
    query = _joined(select(SubmissionRow, BatchRow, ItemRow.prompt_id)).where(
        SubmissionRow.project_id == project_id,
        _of_batches(wanted),
        *_conditions(wanted).values(),
    )
    place = (SubmissionRow.submitted_at, SubmissionRow.id)
    if after is not None:
        query = query.where(
            tuple_(*place) > tuple_(*after, types=[column.type for column in place])
        )
    found = session.execute(query.order_by(*place).limit(size)).all()
    ids = [submission.id for submission, _, _ in found]
    demonstrations = _records(session, DemonstrationRow, Demonstration, ids)
    rankings = _records(session, RankingRow, Ranking, ids)
    ratings = _records(session, RatingRow, Rating, ids)
    return [
        Label(
            submission_id=row.id,
            batch_id=batch.id,
            batch=batch.name,
            kind=batch.kind,
            purpose=batch.purpose,
            item_id=row.item_id,
            prompt_id=prompt_id,
            labeller_id=row.account_id,
            made_by=row.made_by,
            status=row.status,
            excluded_reason=row.excluded_reason,
            submitted_at=row.submitted_at,
            seconds_spent=row.seconds_spent,
            demonstrations=tuple(demonstrations[row.id]),
            ranking=next(iter(rankings[row.id]), None),
            ratings=tuple(ratings[row.id]),
        )
        for row, batch, prompt_id in found
    ]


def _records(
    session: Session, table: type[LabelRow], kind: type[R], submission_ids: list[str]
) -> dict[str, list[R]]:
    """The records of some submissions, by submission, in a fixed order."""
    query = select(table.submission_id, table.record)
    rows = session.execute(query.where(table.submission_id.in_(submission_ids)).order_by(table.id))
    found: dict[str, list[R]] = defaultdict(list)
    for submission_id, record in rows:
        found[submission_id].append(kind.model_validate(record))
    return found
