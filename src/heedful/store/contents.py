"""The prompts and completions of a project, as the records that came.

A record keeps its id and never changes: the same one again is known, another one under the
same id is an error. Reading files is `labelling.imports`'.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import Completion, Prompt
from heedful.store.columns import utc_now
from heedful.store.tables import CompletionRow, ProjectRow, PromptRow

SENSITIVE_TAG = "sensitive"
# SQLite builds take 999 parameters a statement at the least.
CHUNK = 500
T = TypeVar("T")
R = TypeVar("R", Prompt, Completion)


@dataclass(frozen=True)
class Added:
    """How many records were new, and how many were there already."""

    new: int
    known: int


def add_prompts(
    session: Session,
    project_id: str,
    prompts: Iterable[Prompt],
    *,
    author_id: str | None = None,
    now: datetime | None = None,
) -> Added:
    """Add prompts to a project; those tagged `sensitive` are shown behind a warning.

    Args:
        author_id: The account that wrote them here; it will not be asked to answer them.

    Raises:
        DataError: An id belongs to another record, or to another project.
    """
    _check_project(session, project_id)
    now = now or utc_now()
    new = known = 0
    for chunk in chunks(prompts, CHUNK):
        there = session.scalars(select(PromptRow).where(PromptRow.id.in_([p.id for p in chunk])))
        fresh = _fresh(chunk, {row.id: row for row in there}, project_id)
        session.add_all(
            PromptRow(
                id=prompt.id,
                project_id=project_id,
                record=prompt.model_dump(mode="json"),
                sensitive=SENSITIVE_TAG in prompt.tags,
                author_id=author_id,
                created_at=now,
            )
            for prompt in fresh
        )
        session.flush()
        new, known = new + len(fresh), known + len(chunk) - len(fresh)
    return Added(new, known)


def add_completions(
    session: Session,
    project_id: str,
    completions: Iterable[Completion],
    *,
    authors: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Added:
    """Add completions of prompts that are in the project.

    Args:
        authors: Completion id to the account that wrote it, for demonstrations: labellers
            never judge their own.

    Raises:
        DataError: A prompt is missing, or an id belongs to another record or project.
    """
    _check_project(session, project_id)
    now, authors = now or utc_now(), authors or {}
    new = known = 0
    for chunk in chunks(completions, CHUNK):
        ids = [completion.id for completion in chunk]
        there = session.scalars(select(CompletionRow).where(CompletionRow.id.in_(ids)))
        fresh = _fresh(chunk, {row.id: row for row in there}, project_id)
        _check_prompts(session, project_id, fresh)
        session.add_all(
            CompletionRow(
                id=completion.id,
                project_id=project_id,
                prompt_id=completion.prompt_id,
                record=completion.model_dump(mode="json"),
                author_id=authors.get(completion.id),
                created_at=now,
            )
            for completion in fresh
        )
        session.flush()
        new, known = new + len(fresh), known + len(chunk) - len(fresh)
    return Added(new, known)


def prompts_by_id(session: Session, ids: Iterable[str]) -> dict[str, Prompt]:
    """The prompts with these ids; ids that are not there are left out."""
    rows = (
        row
        for chunk in chunks(dict.fromkeys(ids), CHUNK)
        for row in session.execute(
            select(PromptRow.id, PromptRow.record).where(PromptRow.id.in_(chunk))
        )
    )
    return {row.id: Prompt.model_validate(row.record) for row in rows}


def completions_by_id(session: Session, ids: Iterable[str]) -> dict[str, Completion]:
    """The completions with these ids; ids that are not there are left out."""
    found = {}
    for chunk in chunks(dict.fromkeys(ids), CHUNK):
        query = select(CompletionRow.id, CompletionRow.record).where(CompletionRow.id.in_(chunk))
        for row in session.execute(query):
            found[row.id] = Completion.model_validate(row.record)
    return found


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """`values` in lists of at most `size`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def _check_project(session: Session, project_id: str) -> None:
    if session.get(ProjectRow, project_id) is None:
        raise DataError(f"There is no project `{project_id}`.")


def _fresh(
    records: list[R], there: Mapping[str, PromptRow | CompletionRow], project_id: str
) -> list[R]:
    """The records that are not there yet, each once."""
    fresh: dict[str, R] = {}
    for record in records:
        stored = there.get(record.id)
        if stored is not None and stored.project_id != project_id:
            raise DataError(
                f"`{record.id}` is in another project already.", "Give the copy an id of its own."
            )
        same: object = record
        if stored is not None:
            same = type(record).model_validate(stored.record)
        elif record.id in fresh:
            same = fresh[record.id]
        else:
            fresh[record.id] = record
        if same != record:
            raise DataError(
                f"`{record.id}` is there already, with other contents.",
                "Records never change: give the new one an id of its own.",
            )
    return list(fresh.values())


def _check_prompts(session: Session, project_id: str, completions: list[Completion]) -> None:
    wanted = {completion.prompt_id for completion in completions}
    there = session.scalars(
        select(PromptRow.id).where(PromptRow.project_id == project_id, PromptRow.id.in_(wanted))
    )
    if missing := sorted(wanted - set(there)):
        raise DataError(
            f"{len(missing)} prompts of these completions are not in the project, "
            f"such as `{missing[0]}`.",
            "Import the prompts first.",
        )
