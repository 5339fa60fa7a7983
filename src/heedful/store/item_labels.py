"""The items of a batch with what became of them, and all labels of one item side by side.

For researchers: shows who labelled and which checkpoint wrote what, so nothing of this may
reach a labeller's page.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from heedful.core.records import Demonstration, Ranking, Rating
from heedful.store.tables import (
    AccountRow,
    DemonstrationRow,
    ItemRow,
    PromptRow,
    RankingRow,
    RatingRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)

Show = Literal["all", "unfinished", "labelled", "skipped", "gold", "sensitive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemNumbers:
    """One item in a list.

    Attributes:
        prompt: None where a prompt is to be written.
        labels: Submissions that count; `other` are surplus or excluded.
        wanted: Slots that are not withdrawn.
    """

    item: ItemRow
    prompt: PromptRow | None
    labels: int
    other: int
    wanted: int
    skips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLabel:
    """One submission and the records in it.

    Attributes:
        ratings: By completion id.
    """

    submission: SubmissionRow
    account: AccountRow
    demonstrations: list[Demonstration] = field(default_factory=list)
    ranking: Ranking | None = None
    ratings: dict[str, Rating] = field(default_factory=dict)

    @property
    def ranks(self) -> dict[str, int]:
        """Rank by completion id; empty where nothing was ranked."""
        if self.ranking is None:
            return {}
        return dict(zip(self.ranking.completion_ids, self.ranking.ranks, strict=True))


def find_items(
    session: Session, batch_id: str, show: Show, *, limit: int, offset: int = 0
) -> list[ItemNumbers]:
    """The items of a batch that `show` asks for, in order."""
    query = _shown(select(ItemRow, PromptRow), batch_id, show)
    query = query.outerjoin(PromptRow, PromptRow.id == ItemRow.prompt_id)
    rows = session.execute(query.order_by(ItemRow.place).limit(limit).offset(offset)).all()
    ids = [item.id for item, _ in rows]
    sent = _count(session, SubmissionRow, ids)
    labels = _count(session, SubmissionRow, ids, _COUNTS)
    wanted = _count(session, SlotRow, ids, SlotRow.state != "withdrawn")
    skips = _count(session, SkipRow, ids)
    return [
        ItemNumbers(
            item=item,
            prompt=prompt,
            labels=labels.get(item.id, 0),
            other=sent.get(item.id, 0) - labels.get(item.id, 0),
            wanted=wanted.get(item.id, 0),
            skips=skips.get(item.id, 0),
        )
        for item, prompt in rows
    ]


def count_items(session: Session, batch_id: str, show: Show) -> int:
    """How many items `show` asks for."""
    query = _shown(select(func.count()).select_from(ItemRow), batch_id, show)
    return session.scalar(query) or 0


def labels_of(session: Session, item_id: str) -> list[SentLabel]:
    """Every submission on an item, the first one first."""
    return _with_records(session, SubmissionRow.item_id == item_id)


def label_of(session: Session, submission_id: str) -> SentLabel:
    """One submission, which must be there."""
    (found,) = _with_records(session, SubmissionRow.id == submission_id)
    return found


_COUNTS = (SubmissionRow.status == "accepted") & SubmissionRow.excluded_at.is_(None)


def _shown(query: Any, batch_id: str, show: Show) -> Any:
    free = select(SlotRow.item_id).where(
        SlotRow.batch_id == batch_id, SlotRow.state.in_(("free", "leased"))
    )
    sent = select(SubmissionRow.item_id).where(SubmissionRow.batch_id == batch_id)
    skipped = select(SkipRow.item_id).join(ItemRow, ItemRow.id == SkipRow.item_id)
    skipped = skipped.where(ItemRow.batch_id == batch_id)
    conditions: dict[Show, ColumnElement[bool]] = {
        "unfinished": ItemRow.id.in_(free),
        "labelled": ItemRow.id.in_(sent),
        "skipped": ItemRow.id.in_(skipped),
        "gold": ItemRow.gold.is_not(None),
        "sensitive": ItemRow.sensitive.is_(True),
    }
    query = query.where(ItemRow.batch_id == batch_id)
    return query if show == "all" else query.where(conditions[show])


def _count(
    session: Session,
    table: type[SubmissionRow] | type[SlotRow] | type[SkipRow],
    ids: Sequence[str],
    condition: ColumnElement[bool] | None = None,
) -> dict[str, int]:
    query = select(table.item_id, func.count()).where(table.item_id.in_(ids))
    if condition is not None:
        query = query.where(condition)
    return {row[0]: row[1] for row in session.execute(query.group_by(table.item_id))}


def _with_records(session: Session, which: ColumnElement[bool]) -> list[SentLabel]:
    rows = session.execute(
        select(SubmissionRow, AccountRow)
        .join(AccountRow, AccountRow.id == SubmissionRow.account_id)
        .where(which)
        .order_by(SubmissionRow.submitted_at, SubmissionRow.id)
    ).all()
    ids = [submission.id for submission, _ in rows]
    demonstrations: dict[str, list[Demonstration]] = defaultdict(list)
    for row in session.scalars(
        select(DemonstrationRow).where(DemonstrationRow.submission_id.in_(ids))
    ):
        demonstrations[row.submission_id].append(Demonstration.model_validate(row.record))
    rankings = {
        ranking.submission_id: Ranking.model_validate(ranking.record)
        for ranking in session.scalars(select(RankingRow).where(RankingRow.submission_id.in_(ids)))
    }
    ratings: dict[str, dict[str, Rating]] = defaultdict(dict)
    for rating in session.scalars(select(RatingRow).where(RatingRow.submission_id.in_(ids))):
        ratings[rating.submission_id][rating.completion_id] = Rating.model_validate(rating.record)
    return [
        SentLabel(
            submission=submission,
            account=account,
            demonstrations=demonstrations[submission.id],
            ranking=rankings.get(submission.id),
            ratings=ratings[submission.id],
        )
        for submission, account in rows
    ]
