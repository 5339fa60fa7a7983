"""The numbers of each labeller of a project: what they sent, passed on and hold now.

Counts only; how well they agree is `heedful.store.quality_queries`'.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from heedful.store.columns import utc_now
from heedful.store.overview import COUNTED, Work, counts_of, work_by
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    ItemRow,
    MemberRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellerNumbers:
    """One member of a project and what they did in it."""

    account: AccountRow
    member: MemberRow
    work: Work = field(default_factory=Work)
    recent_labels: int = 0
    skips: int = 0
    holding: int = 0


def labeller_numbers(
    session: Session,
    *,
    project_id: str,
    account_id: str | None = None,
    pace_days: int = 7,
    now: datetime | None = None,
) -> list[LabellerNumbers]:
    """The members of a project by name, or the one with `account_id`, and their work."""
    now = now or utc_now()
    who = MemberRow.project_id == project_id
    mine = SubmissionRow.project_id == project_id
    if account_id is not None:
        who &= MemberRow.account_id == account_id
        mine &= SubmissionRow.account_id == account_id
    people = session.execute(
        select(AccountRow, MemberRow)
        .join(MemberRow, MemberRow.account_id == AccountRow.id)
        .where(who)
        .order_by(AccountRow.name, AccountRow.id)
    ).all()
    found = {
        member.account_id: LabellerNumbers(account=account, member=member)
        for account, member in people
    }
    for labeller, work in work_by(session, SubmissionRow.account_id, mine).items():
        if labeller in found:
            found[labeller] = replace(found[labeller], work=work)
    since = now - timedelta(days=pace_days)
    recent = counts_of(
        session,
        select(SubmissionRow.account_id, func.sum(COUNTED))
        .where(mine, SubmissionRow.submitted_at >= since)
        .group_by(SubmissionRow.account_id),
    )
    for labeller, count in recent.items():
        if labeller in found:
            found[labeller] = replace(found[labeller], recent_labels=count)
    _add_skips_and_leases(session, project_id, found, now)
    return list(found.values())


def sent_by(
    session: Session, *, project_id: str, account_id: str, limit: int, offset: int = 0
) -> list[tuple[SubmissionRow, ItemRow, BatchRow]]:
    """What a labeller sent in a project, the newest first, with its item and batch."""
    rows = session.execute(
        select(SubmissionRow, ItemRow, BatchRow)
        .join(ItemRow, ItemRow.id == SubmissionRow.item_id)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
        .where(SubmissionRow.account_id == account_id, SubmissionRow.project_id == project_id)
        .order_by(SubmissionRow.submitted_at.desc(), SubmissionRow.id)
        .limit(limit)
        .offset(offset)
    )
    return [(submission, item, batch) for submission, item, batch in rows]


def _add_skips_and_leases(
    session: Session, project_id: str, found: dict[str, LabellerNumbers], now: datetime
) -> None:
    """What the members in `found` passed on, and what they hold now."""
    skips = counts_of(
        session,
        select(SkipRow.account_id, func.count())
        .join(ItemRow, ItemRow.id == SkipRow.item_id)
        .join(BatchRow, BatchRow.id == ItemRow.batch_id)
        .where(BatchRow.project_id == project_id)
        .group_by(SkipRow.account_id),
    )
    holding = counts_of(
        session,
        select(SlotRow.labeller_id, func.count())
        .join(BatchRow, BatchRow.id == SlotRow.batch_id)
        .where(
            BatchRow.project_id == project_id,
            SlotRow.labeller_id.is_not(None),
            SlotRow.state == "leased",
            SlotRow.lease_expires_at > now,
        )
        .group_by(SlotRow.labeller_id),
    )
    for labeller, numbers in found.items():
        found[labeller] = replace(
            numbers, skips=skips.get(labeller, 0), holding=holding.get(labeller, 0)
        )
