"""Withdrawal of consent: a person leaves the database, and stays out of it.

Their prompts go, with the completions, labels, drafts and questions about them, and so do
labels that they made themselves. Work of others that was done stays as an empty, excluded
submission: it was worked, and hours and history count it. How quotes are found in free texts
is the caller's (`heedful.labelling.withdrawal`). Backups are not reached.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, delete, inspect, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from heedful.core.errors import StoreUnavailableError
from heedful.core.records import derived_id
from heedful.store import audit
from heedful.store.columns import Base
from heedful.store.contents import CHUNK, chunks
from heedful.store.database import Database
from heedful.store.faults import told_plainly
from heedful.store.label_tables import WITHDRAWN_ANSWER
from heedful.store.labels import exclude
from heedful.store.tables import (
    AccountRow,
    AuditRow,
    BatchRow,
    CompletionRow,
    DemonstrationRow,
    DraftRow,
    GradeRow,
    InstructionsRow,
    InviteRow,
    ItemRow,
    MemberRow,
    PresentationRow,
    PromptRow,
    QuestionRow,
    RankingRow,
    RatingRow,
    ScreeningDecisionRow,
    SkipRow,
    SlotRow,
    SubmissionRow,
)

Row = TypeVar(
    "Row",
    AccountRow,
    CompletionRow,
    DemonstrationRow,
    ItemRow,
    PromptRow,
    RankingRow,
    RatingRow,
    SubmissionRow,
)
_PROMPT_GONE = "The author of the prompt withdrew their consent."
_LABELLER_GONE = "The labeller withdrew their consent."
_REGISTER = "person"
# The session's objects are not brought up to date: they are dropped at the end.
_UNSEEN = {"synchronize_session": False}
_LABELS = (DemonstrationRow, RankingRow, RatingRow)
# What people write about their work, and may quote a prompt in.
_FREE_TEXTS: tuple[InstrumentedAttribute[Any], ...] = (
    AuditRow.detail,
    BatchRow.closed_reason,
    GradeRow.note,
    InstructionsRow.text,
    InviteRow.note,
    MemberRow.note,
    QuestionRow.answer,
    QuestionRow.text,
    ScreeningDecisionRow.reason,
    SkipRow.note,
    SubmissionRow.excluded_reason,
)


@dataclass(slots=True)
class Theirs:
    """What is a person's, or derives from it; rows by id.

    Attributes:
        items: Tasks about their prompts and texts.
        submissions: On those items, or by them.
        labels: The typed rows of the submissions.
        accounts: Theirs, and those that stand for them as a labeller of elsewhere.
    """

    prompts: dict[str, PromptRow] = field(default_factory=dict)
    completions: dict[str, CompletionRow] = field(default_factory=dict)
    items: dict[str, ItemRow] = field(default_factory=dict)
    submissions: dict[str, SubmissionRow] = field(default_factory=dict)
    labels: list[DemonstrationRow | RankingRow | RatingRow] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)

    def records(self) -> list[dict[str, Any]]:
        """Their records and answers, to find quotes of them elsewhere."""
        rows = (*self.prompts.values(), *self.completions.values(), *self.labels)
        return [*(row.record for row in rows), *(row.answer for row in self.submissions.values())]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Who withdrew, as salted hashes of their ids."""

    salt: str
    people: frozenset[str] = frozenset()

    def holds(self, person_id: str) -> bool:
        """Whether the user or labeller with this id withdrew."""
        return bool(self.people) and self.hash_of(person_id) in self.people

    def hash_of(self, person_id: str) -> str:
        """What is kept of an id."""
        return derived_id("withdrawn", self.salt, person_id)


def withdrawn_people(session: Session) -> Withdrawn:
    """Who withdrew; imports leave them out."""
    query = select(AuditRow.detail).where(AuditRow.object_kind == _REGISTER).order_by(AuditRow.id)
    found = session.scalars(query).all()
    salt = found[0]["salt"] if found else secrets.token_hex(16)
    return Withdrawn(salt, frozenset(one for detail in found for one in detail["people"]))


def find_theirs(session: Session, names: Collection[str], *, lock: bool = False) -> Theirs:
    """Everything of the person who has these ids in records.

    Args:
        session: To read with; to write with where it is to be locked.
        names: Every id that the person may have.
        lock: Let nobody send work on the items until the transaction ends.
    """
    theirs, who = Theirs(), sorted(names)
    user = PromptRow.record["user_id"].as_string()
    theirs.prompts = _rows(session, PromptRow, [or_(user.in_(who), PromptRow.author_id.in_(who))])
    theirs.completions = _rows(
        session,
        CompletionRow,
        [CompletionRow.author_id.in_(who), *_among(CompletionRow.prompt_id, theirs.prompts)],
    )
    about = {*theirs.prompts, *(row.prompt_id for row in theirs.completions.values())}
    theirs.items = {
        item.id: item
        for item in _rows(session, ItemRow, _among(ItemRow.prompt_id, about)).values()
        if item.prompt_id in theirs.prompts or theirs.completions.keys() & set(item.completion_ids)
    }
    if lock:
        for condition in _among(ItemRow.id, theirs.items):
            session.execute(select(ItemRow.id).where(condition).with_for_update())
    made = _add_submissions(session, theirs, who)
    labellers = {theirs.submissions[one].account_id for one in made}
    stand_ins = _rows(session, AccountRow, _among(AccountRow.id, labellers - set(who))).values()
    theirs.accounts = [
        *_rows(session, AccountRow, [AccountRow.id.in_(who)]).values(),
        *filter(is_imported, stand_ins),
    ]
    return theirs


def _add_submissions(session: Session, theirs: Theirs, who: list[str]) -> set[str]:
    """Fill in the submissions and their labels; return which the person made, by the labels."""
    made = {
        one
        for table in _LABELS
        for one in session.scalars(
            select(table.submission_id).where(table.record["labeller_id"].as_string().in_(who))
        )
    }
    # Who wrote a prompt here may have answered it in the same submission.
    answers = _rows(
        session, DemonstrationRow, _among(DemonstrationRow.prompt_id, theirs.prompts)
    ).values()
    theirs.submissions = _rows(
        session,
        SubmissionRow,
        [
            SubmissionRow.account_id.in_(who),
            *_among(SubmissionRow.item_id, theirs.items),
            *_among(SubmissionRow.id, made | {row.submission_id for row in answers}),
        ],
    )
    ids = theirs.submissions
    theirs.labels = [
        *_rows(session, DemonstrationRow, _among(DemonstrationRow.submission_id, ids)).values(),
        *_rows(session, RankingRow, _among(RankingRow.submission_id, ids)).values(),
        *_rows(session, RatingRow, _among(RatingRow.submission_id, ids)).values(),
    ]
    return made


def remove_theirs(session: Session, theirs: Theirs, *, now: datetime) -> dict[str, dict[str, int]]:
    """Remove it all; return how many of what, by project."""
    counts = _counts(theirs)
    _empty_submissions(session, theirs, now)
    imported = [account.id for account in theirs.accounts if is_imported(account)]
    accounts = [account.id for account in theirs.accounts]
    _delete(session, DraftRow.item_id, theirs.items)
    _delete(session, DraftRow.account_id, accounts)
    _delete(session, QuestionRow.item_id, theirs.items)
    _delete(session, SlotRow.item_id, theirs.items)
    _set(session, SkipRow.item_id, theirs.items, note="")
    _set(session, PresentationRow.item_id, theirs.items, cards=[])
    # An item without a prompt stays where somebody's time or skip hangs on it.
    nothing: dict[str, Any] = {"prompt_id": None, "gold": None, "brief": None, "adjudicates": None}
    _set(session, ItemRow.id, theirs.items, completion_ids=[], **nothing)
    used: set[str] = set()
    for table in (SubmissionRow, SkipRow, PresentationRow):
        for ids in chunks(theirs.items, CHUNK):
            used |= set(session.scalars(select(table.item_id).where(table.item_id.in_(ids))))
    _delete(session, ItemRow.id, theirs.items.keys() - used)
    _delete(session, CompletionRow.id, theirs.completions)
    _delete(session, PromptRow.id, theirs.prompts)
    _set(session, AccountRow.id, imported, name="Withdrawn (imported)")
    session.expire_all()
    for project_id, removed in counts.items():
        audit.record_project(
            session, project_id, "project.withdraw", by=None, detail=dict(removed), now=now
        )
    return counts


def register_withdrawal(session: Session, names: Iterable[str], *, now: datetime) -> None:
    """Note that the person with these ids withdrew, without naming them."""
    known = withdrawn_people(session)
    people = sorted(map(known.hash_of, names))
    audit.record(
        session,
        account_id=None,
        action="person.withdraw",
        object_kind=_REGISTER,
        object_id=people[0],
        detail={"salt": known.salt, "people": people},
        now=now,
    )


def clean_free_texts(session: Session, clean: Callable[[Any], Any]) -> int:
    """Put `clean(value)` in the place of notes, reasons and the like; return how many changed."""
    changed = 0
    for column in _FREE_TEXTS:
        table = column.class_
        key = inspect(table).primary_key
        for *place, value in session.execute(select(*key, column).where(column.is_not(None))).all():
            cleaned = clean(value)
            if cleaned != value:
                where = [one == part for one, part in zip(key, place, strict=True)]
                session.execute(update(table).where(*where).values({column.key: cleaned}))
                changed += 1
    return changed


def scrub(database: Database) -> bool:
    """Rewrite the database's files without what was deleted; False where others are in the way."""
    try:
        with told_plainly(database.name), database.engine.connect() as connection:
            if not database.is_sqlite:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                for table in Base.metadata.sorted_tables:
                    connection.exec_driver_sql(f'VACUUM FULL "{table.name}"')
                return True
            # Straight to the driver: neither may stand in a transaction.
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA query_only=0")
            driver.execute("VACUUM")
            busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
    except StoreUnavailableError:
        return False


def is_imported(account: AccountRow) -> bool:
    """Whether it stands for a labeller of elsewhere, see `heedful.store.label_imports`."""
    return account.login.startswith("imported-")


def _empty_submissions(session: Session, theirs: Theirs, now: datetime) -> None:
    """Take what was said out of the submissions; those about removed items lose their slots."""
    on_items = [row.id for row in theirs.submissions.values() if row.item_id in theirs.items]
    others = theirs.submissions.keys() - set(on_items)
    exclude(session, on_items, reason=_PROMPT_GONE, by=None, now=now)
    exclude(session, others, reason=_LABELLER_GONE, by=None, now=now)
    session.flush()
    demonstrations = [row.id for row in theirs.labels if isinstance(row, DemonstrationRow)]
    _delete(session, GradeRow.demonstration_id, demonstrations)
    for table in _LABELS:
        _delete(session, table.submission_id, theirs.submissions)
    _set(session, SubmissionRow.id, theirs.submissions, answer=WITHDRAWN_ANSWER)
    _set(session, SubmissionRow.id, on_items, slot_id=None)


def _counts(theirs: Theirs) -> dict[str, dict[str, int]]:
    """Prompts, completions and labels by project."""
    counts: dict[str, dict[str, int]] = {}
    rows: dict[str, Iterable[PromptRow | CompletionRow | SubmissionRow]] = {
        "prompts": theirs.prompts.values(),
        "completions": theirs.completions.values(),
        "labels": theirs.submissions.values(),
    }
    for kind, found in rows.items():
        for row in found:
            there = counts.setdefault(row.project_id, dict.fromkeys(rows, 0))
            there[kind] += 1
    return counts


def _rows(
    session: Session, table: type[Row], conditions: Iterable[ColumnElement[bool]]
) -> dict[str, Row]:
    """The rows that meet one of the conditions, by id."""
    found: dict[str, Row] = {}
    for condition in conditions:
        for row in session.scalars(select(table).where(condition)):
            found[row.id] = row
    return found


def _among(
    column: InstrumentedAttribute[Any], ids: Collection[str]
) -> Iterator[ColumnElement[bool]]:
    """Conditions that the column holds one of the ids, few enough each for a statement."""
    return (column.in_(some) for some in chunks(sorted(ids), CHUNK))


def _delete(session: Session, column: InstrumentedAttribute[Any], ids: Collection[str]) -> None:
    for condition in _among(column, ids):
        session.execute(delete(column.class_).where(condition), execution_options=_UNSEEN)


def _set(
    session: Session, column: InstrumentedAttribute[Any], ids: Collection[str], **values: Any
) -> None:
    for condition in _among(column, ids):
        query = update(column.class_).where(condition).values(**values)
        session.execute(query, execution_options=_UNSEEN)
