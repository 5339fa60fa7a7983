"""The numbers of the dashboards: progress, throughput and hours.

Counts are made by the database in a handful of grouped queries, whatever the size of the
project; agreement is not counted here (`heedful.store.quality_queries`), and the numbers
of each labeller are in `heedful.store.labeller_overview`. Hours count all work that was
sent, also what is surplus or excluded: it was worked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Date, Select, case, cast, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from heedful.store.columns import utc_now
from heedful.store.tables import (
    BatchRow,
    ItemRow,
    QuestionRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What was sent in, of a project, a batch or a labeller.

    Attributes:
        labels: Accepted and not excluded.
        simulated: Of `labels`, those that no person made.
        surplus: Came when nothing was left to give, not excluded.
        seconds: Time on everything that was sent.
        seconds_of_people: Of `seconds`, that of persons.
        sent: Everything, whatever became of it.
    """

    labels: int = 0
    simulated: int = 0
    surplus: int = 0
    excluded: int = 0
    seconds: float = 0.0
    seconds_of_people: float = 0.0
    sent: int = 0
    sent_by_people: int = 0
    last_at: datetime | None = None

    def __add__(self, other: "Work") -> "Work":
        """Both together."""
        return Work(
            labels=self.labels + other.labels,
            simulated=self.simulated + other.simulated,
            surplus=self.surplus + other.surplus,
            excluded=self.excluded + other.excluded,
            seconds=self.seconds + other.seconds,
            seconds_of_people=self.seconds_of_people + other.seconds_of_people,
            sent=self.sent + other.sent,
            sent_by_people=self.sent_by_people + other.sent_by_people,
            last_at=max(filter(None, (self.last_at, other.last_at)), default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCounts:
    """Slots by state; one whose lease ran out counts as free."""

    free: int = 0
    leased: int = 0
    done: int = 0
    withdrawn: int = 0

    @property
    def wanted(self) -> int:
        """All that are or were to be filled."""
        return self.free + self.leased + self.done

    @property
    def remaining(self) -> int:
        """Still to be filled."""
        return self.free + self.leased

    def __add__(self, other: "SlotCounts") -> "SlotCounts":
        """Both together."""
        return SlotCounts(
            free=self.free + other.free,
            leased=self.leased + other.leased,
            done=self.done + other.done,
            withdrawn=self.withdrawn + other.withdrawn,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNumbers:
    """One batch, its progress and its work."""

    batch: BatchRow
    items: int = 0
    slots: SlotCounts = field(default_factory=SlotCounts)
    work: Work = field(default_factory=Work)
    skips: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectNumbers:
    """A project at a glance.

    Attributes:
        open_slots: Of batches that are open now; `slots` are of all but drafts.
        recent_labels: Accepted within the days that the pace is taken from.
        active_labellers: Who sent something within those days.
    """

    work: Work
    slots: SlotCounts
    open_slots: SlotCounts
    skips: int
    open_questions: int
    recent_labels: int
    active_labellers: int
    pace_days: int

    @property
    def labels_per_day(self) -> float:
        """The present pace."""
        return self.recent_labels / self.pace_days

    @property
    def days_left(self) -> float | None:
        """Until the open batches are done at the present pace; None where nobody works."""
        if self.open_slots.remaining == 0:
            return 0.0
        return self.open_slots.remaining / self.labels_per_day if self.recent_labels else None


@dataclass(frozen=True, slots=True)
class DayCount:
    """Labels accepted on one day (UTC) and the time of all that was sent on it."""

    day: date
    labels: int
    seconds: float


def batch_numbers(
    session: Session, *, project_id: str, batch_id: str | None = None, now: datetime | None = None
) -> list[BatchNumbers]:
    """The batches of a project, newest first, or the one of them with `batch_id`."""
    mine = BatchRow.project_id == project_id
    if batch_id is not None:
        mine &= BatchRow.id == batch_id
    batches = session.scalars(
        select(BatchRow).where(mine).order_by(BatchRow.created_at.desc(), BatchRow.name)
    ).all()
    items = counts_of(
        session,
        select(ItemRow.batch_id, func.count())
        .join(BatchRow)
        .where(mine)
        .group_by(ItemRow.batch_id),
    )
    skips = counts_of(
        session,
        select(ItemRow.batch_id, func.count())
        .join(SkipRow, SkipRow.item_id == ItemRow.id)
        .join(BatchRow, BatchRow.id == ItemRow.batch_id)
        .where(mine)
        .group_by(ItemRow.batch_id),
    )
    slots = _slots_by_batch(session, mine, now or utc_now())
    condition = SubmissionRow.project_id == project_id
    if batch_id is not None:
        condition &= SubmissionRow.batch_id == batch_id
    work = work_by(session, SubmissionRow.batch_id, condition)
    return [
        BatchNumbers(
            batch=batch,
            items=items.get(batch.id, 0),
            slots=slots.get(batch.id, SlotCounts()),
            work=work.get(batch.id, Work()),
            skips=skips.get(batch.id, 0),
        )
        for batch in batches
    ]


def project_numbers(
    session: Session,
    *,
    project_id: str,
    batches: list[BatchNumbers],
    pace_days: int = 7,
    now: datetime | None = None,
) -> ProjectNumbers:
    """The sum of `batches` (from `batch_numbers`), the pace and what waits for an answer."""
    since = (now or utc_now()) - timedelta(days=pace_days)
    recent, active = session.execute(
        select(
            func.coalesce(func.sum(COUNTED), 0), func.count(SubmissionRow.account_id.distinct())
        ).where(SubmissionRow.project_id == project_id, SubmissionRow.submitted_at >= since)
    ).one()
    waiting = session.scalar(
        select(func.count())
        .select_from(QuestionRow)
        .where(QuestionRow.project_id == project_id, QuestionRow.answered_at.is_(None))
    )
    started = [one for one in batches if one.batch.state != "draft"]
    return ProjectNumbers(
        work=sum((one.work for one in batches), Work()),
        slots=sum((one.slots for one in started), SlotCounts()),
        open_slots=sum((one.slots for one in started if one.batch.state == "open"), SlotCounts()),
        skips=sum(one.skips for one in batches),
        open_questions=int(waiting or 0),
        recent_labels=int(recent),
        active_labellers=int(active),
        pace_days=pace_days,
    )


def daily_labels(
    session: Session,
    *,
    project_id: str,
    days: int = 28,
    account_id: str | None = None,
    batch_id: str | None = None,
    now: datetime | None = None,
) -> list[DayCount]:
    """The last `days` days, today included, days without work too."""
    today = (now or utc_now()).astimezone(UTC).date()
    first = today - timedelta(days=days - 1)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    condition = (SubmissionRow.project_id == project_id) & (SubmissionRow.submitted_at >= start)
    if account_id is not None:
        condition &= SubmissionRow.account_id == account_id
    if batch_id is not None:
        condition &= SubmissionRow.batch_id == batch_id
    day = _day_of(session)
    rows = session.execute(
        select(day, func.sum(COUNTED), func.sum(SubmissionRow.seconds_spent))
        .where(condition)
        .group_by(day)
    )
    by_day = {
        date.fromisoformat(str(when)): (int(labels), float(seconds))
        for when, labels, seconds in rows
    }
    every_day = (first + timedelta(days=step) for step in range(days))
    return [DayCount(one, *by_day.get(one, (0, 0.0))) for one in every_day]


COUNTED: ColumnElement[int] = case(
    ((SubmissionRow.status == "accepted") & SubmissionRow.excluded_at.is_(None), 1), else_=0
)


def _day_of(session: Session) -> ColumnElement[Any]:
    """The UTC day of a submission, which the two databases cut out differently."""
    if session.get_bind().dialect.name == "sqlite":
        return func.date(SubmissionRow.submitted_at)
    return cast(func.timezone("UTC", SubmissionRow.submitted_at), Date)


def counts_of(session: Session, query: Select[Any, int]) -> dict[str, int]:
    """The rows of a two-column query (key, count)."""
    return {row[0]: int(row[1]) for row in session.execute(query).all()}


def _slots_by_batch(
    session: Session, mine: ColumnElement[bool], now: datetime
) -> Mapping[str, SlotCounts]:
    by_state: dict[str, dict[str, int]] = {}
    for batch_id, state, count in session.execute(
        select(SlotRow.batch_id, SlotRow.state, func.count())
        .join(BatchRow, BatchRow.id == SlotRow.batch_id)
        .where(mine)
        .group_by(SlotRow.batch_id, SlotRow.state)
    ):
        by_state.setdefault(batch_id, {})[state] = int(count)
    expired = counts_of(
        session,
        select(SlotRow.batch_id, func.count())
        .join(BatchRow, BatchRow.id == SlotRow.batch_id)
        .where(mine, SlotRow.state == "leased", SlotRow.lease_expires_at <= now)
        .group_by(SlotRow.batch_id),
    )
    for batch_id, count in expired.items():
        states = by_state[batch_id]
        states["leased"] -= count
        states["free"] = states.get("free", 0) + count
    return {batch_id: SlotCounts(**states) for batch_id, states in by_state.items()}


def work_by(session: Session, key: Any, condition: ColumnElement[bool]) -> dict[str, Work]:
    """The work of every value of the column `key` among the submissions of `condition`."""
    excluded = SubmissionRow.excluded_at.is_not(None)
    rows = session.execute(
        select(
            key,
            SubmissionRow.status,
            SubmissionRow.made_by,
            excluded.label("excluded"),
            func.count(),
            func.sum(SubmissionRow.seconds_spent),
            func.max(SubmissionRow.submitted_at),
        )
        .where(condition)
        .group_by(key, SubmissionRow.status, SubmissionRow.made_by, excluded)
    )
    found: dict[str, Work] = {}
    for row in rows:
        found[row[0]] = found.get(row[0], Work()) + _work_of(*row[1:])
    return found


def _work_of(
    status: str, made_by: str, excluded: bool, count: int, seconds: float, last_at: datetime
) -> Work:
    by_people = made_by == "person"
    counts = status == "accepted" and not excluded
    return Work(
        labels=count if counts else 0,
        simulated=count if counts and not by_people else 0,
        surplus=count if status == "surplus" and not excluded else 0,
        excluded=count if excluded else 0,
        seconds=float(seconds),
        seconds_of_people=float(seconds) if by_people else 0.0,
        sent=count,
        sent_by_people=count if by_people else 0,
        last_at=last_at,
    )
