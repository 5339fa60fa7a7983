"""Handing work in: a submission is checked, given a slot or kept as surplus, never refused.

Also what becomes of it later: a label that should not count is excluded with the reason,
and may be included again; nothing is deleted, and another label may be asked for in its
place. The records themselves are made by whoever
labels (`labelling.answers`, `annotators.team_work`); which answers fit which task is
`heedful.store.label_checks`'.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import Demonstration, MadeBy, Ranking, Rating, new_id
from heedful.store import audit
from heedful.store.columns import SubmissionStatus, utc_now
from heedful.store.contents import add_prompts
from heedful.store.label_checks import Answer, check_answer
from heedful.store.label_tables import label_row
from heedful.store.projects import set_stage
from heedful.store.secret_tokens import token_hash
from heedful.store.slots import Assignment, acting, assignment, held_slot, spare_slot
from heedful.store.tables import (
    DraftRow,
    ItemRow,
    MemberRow,
    PresentationRow,
    SlotRow,
    SubmissionRow,
)

__all__ = [
    "Answer",
    "Excluded",
    "Outcome",
    "exclude",
    "exclude_labeller",
    "include_again",
    "submit",
]

Label = Demonstration | Ranking | Rating


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a submission.

    Attributes:
        repeated: It had been received before; this is the first result.
        elsewhere: The item was open in another window of the same labeller, too.
    """

    submission_id: str
    status: SubmissionStatus
    repeated: bool = False
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many labels newly do not count, and in place of how many another was asked for."""

    labels: int
    asked_again: int


def submit(
    session: Session,
    account_id: str,
    item_id: str,
    *,
    token: str | None,
    answer: Answer,
    seconds_spent: float | None,
    made_by: MadeBy = "person",
    now: datetime | None = None,
) -> Outcome:
    """Store finished work: accepted where a slot can be had for it, otherwise surplus.

    It counts under the labeller's own lease, even an expired one, unless somebody took the
    slot; then under another free slot of the item.

    Args:
        token: Of the lease, if the sender has it. An old one is no reason to refuse.
        seconds_spent: None takes the time in view, or the time since the item was opened.

    Raises:
        NotAllowedError: The item was never given to this labeller, or the account is suspended.
        DataError: The answer does not fit the task, or another one was submitted before.
    """
    account = acting(session, account_id)
    now = now or utc_now()
    assigned = assignment(session, account_id, item_id)
    batch, shown = assigned.batch, assigned.shown
    if assigned.submission is not None:
        return _first_result(assigned.submission, answer)
    if made_by != account.made_by:
        raise DataError(
            f"account {account.login} makes labels by {account.made_by}, not by {made_by}",
            "Submit under the account of whoever made the label.",
        )
    check_answer(assigned.item, batch, shown, answer, labeller_id=account_id, made_by=made_by)
    own = held_slot(session, account_id, item_id)
    elsewhere = bool(own and token and own.lease_token_hash != token_hash(token))
    slot = own or _late_slot(session, account_id, assigned, now)
    submission = SubmissionRow(
        id=new_id("submission"),
        project_id=batch.project_id,
        batch_id=batch.id,
        item_id=item_id,
        slot_id=slot.id if slot is not None else None,
        account_id=account_id,
        status="accepted" if slot is not None else "surplus",
        answer=answer.raw,
        made_by=made_by,
        instructions_id=shown.instructions_id if shown is not None else batch.instructions_id,
        seconds_spent=_seconds(seconds_spent, shown, slot, now),
        submitted_at=now,
    )
    _store(session, submission, slot, answer)
    return Outcome(submission.id, _status(submission), elsewhere=elsewhere)


def exclude(
    session: Session,
    submission_ids: Iterable[str],
    *,
    reason: str,
    by: str | None,
    ask_again: bool = False,
    now: datetime | None = None,
) -> Excluded:
    """Let submissions not count, with the reason.

    Those that are excluded already keep their first reason.

    Args:
        ask_again: Withdraw the slot of each and make another, which the same labeller does
            not get; once for each submission, also where it counted again in between.
    """
    if not reason.strip():
        raise DataError("Labels are excluded with a reason.", "Say why.")
    now = now or utc_now()
    changed = [row for row in _submissions(session, submission_ids) if row.excluded_at is None]
    for row in changed:
        row.excluded_at, row.excluded_by, row.excluded_reason = now, by, reason.strip()
        _note(session, row, "label.exclude", reason, by, now)
    asked = _replace_slots(session, changed, reason, by, now) if ask_again else 0
    return Excluded(len(changed), asked)


def include_again(
    session: Session,
    submission_ids: Iterable[str],
    *,
    reason: str,
    by: str | None,
    now: datetime | None = None,
) -> int:
    """Let excluded submissions count again; return how many do. The audit log keeps both."""
    if not reason.strip():
        raise DataError("Labels are included again with a reason.", "Say why.")
    now = now or utc_now()
    changed = [row for row in _submissions(session, submission_ids) if row.excluded_at is not None]
    if any(row.is_withdrawn for row in changed):
        raise DataError("What was said in this label was withdrawn.", "It cannot count again.")
    for row in changed:
        row.excluded_at = row.excluded_by = row.excluded_reason = None
        _note(session, row, "label.include", reason, by, now)
    return len(changed)


def exclude_labeller(
    session: Session,
    project_id: str,
    account_id: str,
    reason: str,
    by: str | None,
    *,
    ask_again: bool = False,
    now: datetime | None = None,
) -> Excluded:
    """Give a member no more work in a project and exclude all their labels, as `exclude` does."""
    set_stage(
        session,
        project_id=project_id,
        account_id=account_id,
        stage="excluded",
        by=by,
        reason=reason,
        now=now,
    )
    theirs = session.scalars(
        select(SubmissionRow.id).where(
            SubmissionRow.project_id == project_id, SubmissionRow.account_id == account_id
        )
    ).all()
    return exclude(session, theirs, reason=reason, by=by, ask_again=ask_again, now=now)


def _first_result(first: SubmissionRow, answer: Answer) -> Outcome:
    """The first result for the same answer again."""
    if first.answer != answer.raw:
        raise DataError(
            "Your answer to this item was received before; this other one was not stored",
            "Nothing is lost: the first one counts. Ask the researchers if it is wrong.",
        )
    return Outcome(first.id, _status(first), repeated=True)


def _status(row: SubmissionRow) -> SubmissionStatus:
    return "accepted" if row.status == "accepted" else "surplus"


def _late_slot(
    session: Session, account_id: str, assigned: Assignment, now: datetime
) -> SlotRow | None:
    """A slot for work whose lease was lost; none for somebody who was excluded meanwhile."""
    member = session.get(MemberRow, (assigned.batch.project_id, account_id))
    if member is None or member.stage == "excluded":
        return None
    return spare_slot(session, assigned.item.id, now)


def _seconds(
    told: float | None, shown: PresentationRow | None, slot: SlotRow | None, now: datetime
) -> float:
    if told is not None:
        return max(0.0, told)
    if shown is not None and shown.active_seconds > 0:
        return shown.active_seconds
    began = shown.opened_at if shown is not None else slot.leased_at if slot is not None else None
    return max(0.0, (now - began).total_seconds()) if began is not None else 0.0


def _store(
    session: Session, submission: SubmissionRow, slot: SlotRow | None, answer: Answer
) -> None:
    """Write a submission with its typed rows; its slot is done and its draft goes."""
    session.add(submission)
    session.flush()
    if slot is not None:
        slot.state, slot.labeller_id = "done", submission.account_id
        slot.lease_token_hash, slot.lease_expires_at = None, None
        slot.done_at = submission.submitted_at
    _store_records(session, submission, answer)
    draft = session.get(DraftRow, (submission.item_id, submission.account_id))
    if draft is not None:
        session.delete(draft)
    session.flush()


def _store_records(session: Session, submission: SubmissionRow, answer: Answer) -> None:
    """The typed rows of an answer; what the records leave open is filled in."""

    def filled(label: Label) -> Label:
        update: dict[str, object] = {}
        if label.instructions_version is None:
            update["instructions_version"] = submission.instructions_id
        if label.seconds_spent is None and not isinstance(label, Rating):
            update["seconds_spent"] = submission.seconds_spent
        return label.model_copy(update=update)

    if answer.prompts:
        add_prompts(session, submission.project_id, answer.prompts, author_id=submission.account_id)
    labels: list[Label] = [*answer.demonstrations, *answer.ratings]
    labels += [] if answer.ranking is None else [answer.ranking]
    for label in labels:
        session.add(label_row(filled(label), submission.id))


def _replace_slots(
    session: Session,
    excluded: Sequence[SubmissionRow],
    reason: str,
    by: str | None,
    now: datetime,
) -> int:
    """Withdraw the slots of these submissions and make as many new ones; surplus had none."""
    asked = 0
    for row in sorted(excluded, key=lambda row: row.item_id):  # locked in one order by everybody
        item = session.get_one(ItemRow, row.item_id, with_for_update={"key_share": True})
        slot = session.get(SlotRow, row.slot_id, with_for_update=True) if row.slot_id else None
        if slot is None or slot.state != "done":
            continue
        slot.state = "withdrawn"
        last = session.scalar(select(func.max(SlotRow.n)).where(SlotRow.item_id == item.id)) or 0
        session.add(
            SlotRow(
                id=new_id("slot"),
                item_id=item.id,
                batch_id=item.batch_id,
                n=last + 1,
                place=item.place,
            )
        )
        session.flush()
        _note(session, row, "label.ask_again", reason, by, now)
        asked += 1
    return asked


def _submissions(session: Session, ids: Iterable[str]) -> list[SubmissionRow]:
    rows = []
    for one in ids:
        row = session.get(SubmissionRow, one, with_for_update=True)
        if row is None:
            raise DataError(f"there is no submission {one}", "Reload the list.")
        rows.append(row)
    return rows


def _note(
    session: Session,
    row: SubmissionRow,
    action: str,
    reason: str,
    by: str | None,
    now: datetime,
) -> None:
    audit.record(
        session,
        account_id=by,
        action=action,
        object_kind="submission",
        object_id=row.id,
        project_id=row.project_id,
        detail={"reason": reason.strip()},
        now=now,
    )
