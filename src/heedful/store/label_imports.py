"""Labels that were made elsewhere: kept in a closed batch, under accounts nobody signs in to.

They count like those made here, in agreement and in exports, and the batch says where they
come from. A label keeps its id and its record, so that an export gives it back as it came;
one that is here already is known. Reading files is `heedful.labelling.imports`'.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import Demonstration, Ranking, Rating, derived_id, new_id
from heedful.store import audit
from heedful.store.access import clean_name
from heedful.store.columns import Purpose, TaskKind, utc_now
from heedful.store.contents import CHUNK, Added, chunks
from heedful.store.label_tables import label_row
from heedful.store.projects import current_instructions
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    CompletionRow,
    DemonstrationRow,
    ItemRow,
    MemberRow,
    PromptRow,
    RankingRow,
    RatingRow,
    SlotRow,
    SubmissionRow,
)

MainLabel = Demonstration | Ranking
L = TypeVar("L", Demonstration, Ranking, Rating, MainLabel)
LabelTable = type[DemonstrationRow] | type[RankingRow] | type[RatingRow]
_TABLES: dict[type[Demonstration | Ranking | Rating], LabelTable] = {
    Demonstration: DemonstrationRow,
    Ranking: RankingRow,
    Rating: RatingRow,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedLabels:
    """Labels to add, all of whose prompts and completions are in the project.

    Attributes:
        name: Of the batch, such as the file's name.
        one_labeller: Where the source names no labellers: the name of the account that
            stands for them all.
    """

    name: str
    purpose: Purpose = "training"
    demonstrations: Sequence[Demonstration] = ()
    rankings: Sequence[Ranking] = ()
    ratings: Sequence[Rating] = ()
    one_labeller: str | None = None


def add_labels(
    session: Session,
    project_id: str,
    labels: ImportedLabels,
    *,
    by: str | None,
    now: datetime | None = None,
) -> dict[str, Added]:
    """Add labels, those that are not here yet; return how many by kind.

    Raises:
        DataError: A label refers to what is not in the project, is here with other contents,
            or is a rating without a ranking by the same labeller.
    """
    work = _Import(session, project_id, labels, by, now or utc_now())
    counts = {
        "demonstrations": work.add("demonstration", labels.demonstrations),
        "rankings": work.add("ranking", labels.rankings),
    }
    return counts | {"ratings": work.add_ratings(labels.ratings)}


@dataclass(slots=True)
class _Import:
    session: Session
    project_id: str
    labels: ImportedLabels
    by: str | None
    now: datetime
    accounts: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, kind: TaskKind, records: Sequence[MainLabel]) -> Added:
        """Demonstrations or rankings, one submission each, grouped into items."""
        fresh = self._fresh(records)
        if fresh:
            self._check_contents(fresh)
            groups = self._groups(fresh)
            batch = self._batch(kind, max(map(len, groups)), len(groups))
            for some in chunks(enumerate(groups), CHUNK):
                self._items(batch, some)
        return Added(len(fresh), len(records) - len(fresh))

    def add_ratings(self, ratings: Sequence[Rating]) -> Added:
        """Ratings, each beside the ranking of the same completion by the same labeller."""
        fresh = self._fresh(ratings)
        for some in chunks(fresh, CHUNK):
            beside = self._rankings_of({rating.prompt_id for rating in some})
            for rating in some:
                submission = beside.get((rating.completion_id, rating.labeller_id))
                if submission is None:
                    raise DataError(
                        f"rating {rating.id}: {rating.labeller_id} did not rank the completion "
                        f"{rating.completion_id}",
                        "A rating comes with a ranking by the same labeller; leave it out.",
                    )
                self.session.add(label_row(rating, submission))
            self.session.flush()
        return Added(len(fresh), len(ratings) - len(fresh))

    def _fresh(self, records: Sequence[L]) -> list[L]:
        """The records that are not here yet, each once."""
        fresh: dict[str, L] = {}
        for some in chunks(records, CHUNK):
            table = _TABLES[type(some[0])]
            query = select(table.id, table.record, SubmissionRow.project_id).join(
                SubmissionRow, SubmissionRow.id == table.submission_id
            )
            there = {
                row.id: (row.record, row.project_id)
                for row in self.session.execute(
                    query.where(table.id.in_([record.id for record in some]))
                )
            }
            for record in some:
                stored, owner = there.get(record.id, (None, self.project_id))
                known = type(record).model_validate(stored) if stored else fresh.get(record.id)
                if owner != self.project_id or known not in (None, record):
                    raise DataError(
                        f"the label `{record.id}` is there already, with other contents or in "
                        "another project",
                        "Labels never change: give the new one an id of its own.",
                    )
                if known is None:
                    fresh[record.id] = record
        return list(fresh.values())

    def _check_contents(self, records: Sequence[MainLabel]) -> None:
        """Refuse a label of a prompt or a completion that is not in the project."""
        rankings = [record for record in records if isinstance(record, Ranking)]
        prompts = self._there(PromptRow, [record.prompt_id for record in records])
        wanted = [one for ranking in rankings for one in ranking.completion_ids]
        completions = self._there(CompletionRow, wanted)
        for record in records:
            ids = record.completion_ids if isinstance(record, Ranking) else ()
            missing = [one for one in ids if completions.get(one) != record.prompt_id]
            if record.prompt_id not in prompts:
                missing = [record.prompt_id]
            if missing:
                raise DataError(
                    f"the label `{record.id}` is of `{missing[0]}`, which is not in the project",
                    "Import prompts and completions together with their labels.",
                )

    def _there(self, table: type[PromptRow | CompletionRow], ids: Iterable[str]) -> dict[str, str]:
        """Of these ids, those in the project, with the prompt that each belongs to."""
        prompt_id = CompletionRow.prompt_id if table is CompletionRow else PromptRow.id
        found: dict[str, str] = {}
        for some in chunks(dict.fromkeys(ids), CHUNK):
            query = select(table.id, prompt_id).where(
                table.id.in_(some), table.project_id == self.project_id
            )
            found |= {row.id: row[1] for row in self.session.execute(query)}
        return found

    def _groups(self, records: Sequence[MainLabel]) -> list[list[MainLabel]]:
        """Labels of the same thing make one item; who labelled it twice did two items."""
        groups: dict[tuple[object, int], list[MainLabel]] = defaultdict(list)
        times: Counter[tuple[object, str]] = Counter()
        for record in records:
            ids = record.completion_ids if isinstance(record, Ranking) else ()
            what = (record.prompt_id, frozenset(ids))
            who = self._account(record)
            groups[what, times[what, who]].append(record)
            times[what, who] += 1
        return list(groups.values())

    def _batch(self, kind: TaskKind, overlap: int, num_items: int) -> BatchRow:
        taken = set(
            self.session.scalars(
                select(BatchRow.name).where(BatchRow.project_id == self.project_id)
            )
        )
        base = f"{self.labels.name}: {kind}s"
        names = (base if n == 1 else f"{base} ({n})" for n in range(1, len(taken) + 2))
        batch = BatchRow(
            id=new_id("batch"),
            project_id=self.project_id,
            name=next(name for name in names if name not in taken),
            kind=kind,
            purpose=self.labels.purpose,
            instructions_id=current_instructions(
                self.session, self.project_id, self.labels.purpose
            ).id,
            state="closed",
            overlap=overlap,
            closed_reason=f"imported from {self.labels.name}",
            closed_at=self.now,
            created_by=self.by,
            created_at=self.now,
        )
        self.session.add(batch)
        self.session.flush()
        audit.record(
            self.session,
            account_id=self.by,
            action="labels.import",
            object_kind="batch",
            object_id=batch.id,
            project_id=self.project_id,
            detail={"name": batch.name, "kind": kind, "items": num_items},
            now=self.now,
        )
        return batch

    def _items(self, batch: BatchRow, groups: Sequence[tuple[int, list[MainLabel]]]) -> None:
        """The groups, each with its place, as finished items."""
        slots, submissions = [], []
        for place, records in groups:
            first = records[0]
            item = ItemRow(
                id=new_id("item"),
                batch_id=batch.id,
                place=place,
                prompt_id=first.prompt_id,
                completion_ids=list(first.completion_ids) if isinstance(first, Ranking) else [],
            )
            self.session.add(item)
            for n, record in enumerate(records, start=1):
                slots.append(self._slot(item, n, record))
                submissions.append(self._submission(batch, slots[-1], record))
        # A row is stored before those that refer to it.
        for rows in ((), slots, submissions):
            self.session.add_all(rows)
            self.session.flush()
        records_of = [record for _, records in groups for record in records]
        for submission, record in zip(submissions, records_of, strict=True):
            self.session.add(label_row(record, submission.id))
        self.session.flush()

    def _slot(self, item: ItemRow, n: int, record: MainLabel) -> SlotRow:
        return SlotRow(
            id=new_id("slot"),
            item_id=item.id,
            batch_id=item.batch_id,
            n=n,
            place=item.place,
            state="done",
            labeller_id=self._account(record),
            done_at=self.now,
        )

    def _submission(self, batch: BatchRow, slot: SlotRow, record: MainLabel) -> SubmissionRow:
        return SubmissionRow(
            id=new_id("submission"),
            project_id=self.project_id,
            batch_id=batch.id,
            item_id=slot.item_id,
            slot_id=slot.id,
            account_id=slot.labeller_id or "",
            status="accepted",
            answer={"imported_from": self.labels.name},
            made_by=record.made_by,
            instructions_id=batch.instructions_id,
            seconds_spent=record.seconds_spent or 0.0,
            submitted_at=self.now,
        )

    def _rankings_of(self, prompt_ids: Iterable[str]) -> dict[tuple[str, str], str]:
        """(completion, labeller) -> submission of the rankings of some prompts."""
        query = (
            select(RankingRow.submission_id, RankingRow.record)
            .join(SubmissionRow, SubmissionRow.id == RankingRow.submission_id)
            .where(
                RankingRow.prompt_id.in_(list(prompt_ids)),
                SubmissionRow.project_id == self.project_id,
            )
        )
        return {
            (completion_id, record["labeller_id"]): submission_id
            for submission_id, record in self.session.execute(query)
            for completion_id in record["completion_ids"]
        }

    def _account(self, record: MainLabel) -> str:
        """The account that stands for a labeller of elsewhere, made at first sight."""
        name = self.labels.one_labeller or record.labeller_id
        who = (name, record.made_by)
        if who not in self.accounts:
            # Never an account of this installation, whatever the file says.
            account_id = derived_id("account", "import", self.project_id, *who)
            if self.session.get(AccountRow, account_id) is None:
                self.session.add(
                    AccountRow(
                        id=account_id,
                        login=account_id.replace("account", "imported"),
                        name=clean_name(f"{name} (imported)"[-100:]),
                        role="labeller",
                        made_by=record.made_by,
                        created_at=self.now,
                    )
                )
                self.session.flush()
                self.session.add(
                    MemberRow(
                        project_id=self.project_id,
                        account_id=account_id,
                        stage="paused",
                        note=f"labels imported from {self.labels.name}",
                        joined_at=self.now,
                    )
                )
            self.accounts[who] = account_id
        return self.accounts[who]
