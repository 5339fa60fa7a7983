"""What agreement, biases and screening are computed from, read in bulk.

Rows come out as plain dataclasses and core records; nothing is computed here. What was
excluded, and what came as surplus, is left out, as it is from exports.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from heedful.core.records import Ranking
from heedful.store.columns import Purpose
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    CompletionRow,
    DemonstrationRow,
    GradeRow,
    ItemRow,
    MemberRow,
    PresentationRow,
    RankingRow,
    RatingRow,
    SubmissionRow,
)

GOLD = "gold"  # the labeller of gold rankings; account ids have a prefix, so none is called so


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody whose labels are compared."""

    account_id: str
    name: str
    role: str
    stage: str
    held_out: bool
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One ranking and where it comes from.

    Attributes:
        ranking: One completion per card: of identical texts, the first stands for all, since
            a tie of a text with itself is nobody's judgement.
        shown: The same completions in the order shown; empty where that was not kept.
        gold: The ranking that researchers gave to the item, as by the labeller `GOLD`.
    """

    submission_id: str
    item_id: str
    batch_id: str
    kind: str
    purpose: str
    labeller_id: str
    made_by: str
    ranking: Ranking
    shown: tuple[str, ...]
    gold: Ranking | None
    seconds_spent: float
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagCheck:
    """The flags that a labeller gave to a completion, beside the gold ones."""

    labeller_id: str
    prompt_id: str
    completion_id: str
    gold: dict[str, Any]
    given: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedDemonstration:
    """A demonstration of the screening, and what reviewers gave it."""

    demonstration_id: str
    submission_id: str
    labeller_id: str
    prompt_id: str
    grades: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpent:
    """The time that one label took."""

    submission_id: str
    labeller_id: str
    kind: str
    seconds: float


def members(session: Session, project_id: str) -> dict[str, Member]:
    """Everybody who is a member or handed something in, by account id, in order of names."""
    handed_in = select(SubmissionRow.account_id).where(SubmissionRow.project_id == project_id)
    query = (
        select(
            AccountRow.id,
            AccountRow.name,
            AccountRow.role,
            AccountRow.made_by,
            MemberRow.stage,
            MemberRow.held_out,
        )
        .outerjoin(
            MemberRow,
            and_(MemberRow.account_id == AccountRow.id, MemberRow.project_id == project_id),
        )
        .where(MemberRow.project_id.is_not(None) | AccountRow.id.in_(handed_in))
        .order_by(AccountRow.name, AccountRow.id)
    )
    return {
        row.id: Member(
            account_id=row.id,
            name=row.name,
            role=row.role,
            stage=row.stage or "",
            held_out=bool(row.held_out),
            made_by=row.made_by,
        )
        for row in session.execute(query)
    }


def judgements(
    session: Session,
    project_id: str,
    *,
    purposes: Collection[Purpose] | None = None,
    batch_id: str | None = None,
    account_id: str | None = None,
) -> list[Judgement]:
    """The rankings of a project, adjudications included, in the order in which they were sent.

    Args:
        purposes: Of the batches; None for all.
        batch_id: Of one batch alone.
        account_id: Of one labeller alone.
    """
    query = (
        select(
            SubmissionRow.id,
            SubmissionRow.item_id,
            SubmissionRow.batch_id,
            SubmissionRow.account_id,
            SubmissionRow.made_by,
            SubmissionRow.seconds_spent,
            SubmissionRow.submitted_at,
            BatchRow.kind,
            BatchRow.purpose,
            ItemRow.gold,
            PresentationRow.cards,
            RankingRow.record,
        )
        .join(RankingRow, RankingRow.submission_id == SubmissionRow.id)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
        .join(ItemRow, ItemRow.id == SubmissionRow.item_id)
        .outerjoin(
            PresentationRow,
            and_(
                PresentationRow.item_id == SubmissionRow.item_id,
                PresentationRow.account_id == SubmissionRow.account_id,
            ),
        )
        .where(*counting(project_id, purposes, account_id))
        .order_by(SubmissionRow.submitted_at, SubmissionRow.id)
    )
    if batch_id is not None:
        query = query.where(SubmissionRow.batch_id == batch_id)
    rows = session.execute(query).all()
    repeats: dict[str, set[str]] = {}
    for row in rows:
        repeated = {one for card in row.cards or () for one in card[1:]}
        repeats.setdefault(row.item_id, set()).update(repeated)
    return [_judgement(row, repeats[row.item_id]) for row in rows]


def open_to_adjudication(session: Session, project_id: str) -> dict[str, tuple[ItemRow, Purpose]]:
    """The ranking items of a project without an adjudication, and what they are for, by id."""
    of_project = (BatchRow.id == ItemRow.batch_id) & (BatchRow.project_id == project_id)
    adjudicated = select(ItemRow.adjudicates).where(ItemRow.adjudicates.is_not(None))
    query = select(ItemRow, BatchRow.purpose).join(BatchRow, of_project)
    query = query.where(BatchRow.kind == "ranking", ItemRow.id.not_in(adjudicated))
    return {row[0].id: (row[0], cast(Purpose, row[1])) for row in session.execute(query)}


def completion_lengths(session: Session, project_id: str) -> dict[str, int]:
    """Characters of each completion of a project; the texts stay in the database."""
    length = func.length(CompletionRow.record["text"].as_string())
    query = select(CompletionRow.id, length).where(CompletionRow.project_id == project_id)
    return {row[0]: int(row[1]) for row in session.execute(query)}


def times_spent(session: Session, project_id: str) -> list[TimeSpent]:
    """How long each label took, by persons and programs alike; imported ones may not say."""
    query = (
        select(
            SubmissionRow.id, SubmissionRow.account_id, BatchRow.kind, SubmissionRow.seconds_spent
        )
        .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
        .where(*counting(project_id), SubmissionRow.seconds_spent > 0)
        .order_by(SubmissionRow.id)
    )
    return [
        TimeSpent(submission_id=row[0], labeller_id=row[1], kind=row[2], seconds=row[3])
        for row in session.execute(query)
    ]


def flag_checks(
    session: Session,
    project_id: str,
    *,
    purposes: Collection[Purpose],
    account_id: str | None = None,
) -> list[FlagCheck]:
    """The flags given to completions that have gold ones."""
    query = (
        select(
            SubmissionRow.account_id,
            RatingRow.completion_id,
            RatingRow.record,
            ItemRow.prompt_id,
            ItemRow.gold,
        )
        .join(RatingRow, RatingRow.submission_id == SubmissionRow.id)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
        .join(ItemRow, ItemRow.id == SubmissionRow.item_id)
        .where(*counting(project_id, purposes, account_id))
        .order_by(SubmissionRow.id, RatingRow.completion_id)
    )
    checks = []
    for row in session.execute(query):
        gold = (row.gold or {}).get("flags", {}).get(row.completion_id)
        if gold:
            checks.append(
                FlagCheck(
                    labeller_id=row.account_id,
                    prompt_id=row.prompt_id,
                    completion_id=row.completion_id,
                    gold=gold,
                    given=row.record["flags"],
                )
            )
    return checks


def graded_demonstrations(
    session: Session,
    project_id: str,
    *,
    purposes: Collection[Purpose],
    account_id: str | None = None,
) -> list[GradedDemonstration]:
    """The demonstrations of batches with these purposes, graded or not."""
    query = (
        select(
            DemonstrationRow.id,
            SubmissionRow.id,
            SubmissionRow.account_id,
            DemonstrationRow.prompt_id,
        )
        .join(SubmissionRow, SubmissionRow.id == DemonstrationRow.submission_id)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
        .where(*counting(project_id, purposes, account_id))
        .order_by(DemonstrationRow.id)
    )
    found = session.execute(query).all()
    grades: dict[str, list[int]] = {row[0]: [] for row in found}
    given = (
        select(GradeRow.demonstration_id, GradeRow.grade)
        .where(
            GradeRow.demonstration_id.in_(
                query.order_by(None).with_only_columns(DemonstrationRow.id)
            )
        )
        .order_by(GradeRow.id)
    )
    for demonstration_id, grade in session.execute(given):
        grades[demonstration_id].append(grade)
    return [
        GradedDemonstration(
            demonstration_id=row[0],
            submission_id=row[1],
            labeller_id=row[2],
            prompt_id=row[3],
            grades=tuple(grades[row[0]]),
        )
        for row in found
    ]


def counting(
    project_id: str,
    purposes: Collection[Purpose] | None = None,
    account_id: str | None = None,
) -> Iterable[ColumnElement[bool]]:
    """Conditions that a submission counts; those on `purposes` need its batch."""
    yield SubmissionRow.project_id == project_id
    yield SubmissionRow.status == "accepted"
    yield SubmissionRow.excluded_at.is_(None)
    if purposes is not None:
        yield BatchRow.purpose.in_(sorted(purposes))
    if account_id is not None:
        yield SubmissionRow.account_id == account_id


def _judgement(row: Any, repeated: set[str]) -> Judgement:
    # A label from elsewhere names its labeller as they were called there.
    record = row.record | {"labeller_id": row.account_id}
    ranking = _without(Ranking.model_validate(record), repeated)
    kept = set(ranking.completion_ids)
    ranks = (row.gold or {}).get("ranks", {})
    gold = None
    if kept <= set(ranks):
        gold = Ranking(
            id=f"{GOLD}-{row.item_id}",
            prompt_id=ranking.prompt_id,
            completion_ids=ranking.completion_ids,
            ranks=tuple(ranks[one] for one in ranking.completion_ids),
            labeller_id=GOLD,
            made_by="person",
            batch_id=row.batch_id,
        )
    return Judgement(
        submission_id=row.id,
        item_id=row.item_id,
        batch_id=row.batch_id,
        kind=row.kind,
        purpose=row.purpose,
        labeller_id=row.account_id,
        made_by=row.made_by,
        ranking=ranking,
        shown=tuple(card[0] for card in row.cards or () if card[0] in kept),
        gold=gold,
        seconds_spent=row.seconds_spent,
        submitted_at=row.submitted_at,
    )


def _without(ranking: Ranking, repeated: set[str]) -> Ranking:
    """The ranking of the completions that are not `repeated`."""
    if not repeated:
        return ranking
    kept = [
        (one, rank)
        for one, rank in zip(ranking.completion_ids, ranking.ranks, strict=True)
        if one not in repeated
    ]
    ids, ranks = zip(*kept, strict=True)
    return ranking.model_copy(update={"completion_ids": ids, "ranks": ranks})
