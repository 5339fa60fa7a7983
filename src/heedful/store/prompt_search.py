"""Finding prompts of a project by an allow-list of properties, page by page.

A filter is a frozen dataclass with one field for each thing that may be asked; nothing that
a browser sends names a column. Adding prompts is `heedful.store.contents`'.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from heedful.store.columns import Purpose
from heedful.store.contents import CHUNK, chunks
from heedful.store.tables import BatchRow, CompletionRow, ItemRow, PromptRow

Order = Literal["newest", "oldest", "random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFilter:
    """What a prompt must have; None asks nothing.

    Attributes:
        text: Stands somewhere in the instruction, whatever its case.
        written_here: By a labeller of the project, or imported.
        unused_for: In no batch yet whose purpose is this.
        min_completions: At least so many, of `checkpoints` where those are given.
    """

    text: str | None = None
    source: str | None = None
    split: str | None = None
    use_case: str | None = None
    tag: str | None = None
    sensitive: bool | None = None
    written_here: bool | None = None
    unused_for: Purpose | None = None
    min_completions: int = 0
    checkpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownValues:
    """What stands in the prompts and completions of a project, to choose from."""

    sources: list[str]
    splits: list[str]
    use_cases: list[str]
    tags: list[str]
    checkpoints: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class FoundPrompt:
    """A prompt and how many completions it has."""

    row: PromptRow
    num_completions: int


def find_prompts(
    session: Session,
    project_id: str,
    wanted: PromptFilter,
    *,
    limit: int,
    offset: int = 0,
    order: Order = "newest",
) -> list[FoundPrompt]:
    """The prompts that `wanted` describes."""
    orders: dict[Order, ColumnElement[Any]] = {
        "newest": PromptRow.created_at.desc(),
        "oldest": PromptRow.created_at.asc(),
        "random": func.random(),
    }
    rows = session.scalars(
        _matching(session, select(PromptRow), project_id, wanted)
        .order_by(orders[order], PromptRow.id)
        .limit(limit)
        .offset(offset)
    ).all()
    completions: dict[str, int] = {}
    for ids in chunks([row.id for row in rows], CHUNK):
        counted = select(CompletionRow.prompt_id, func.count())
        counted = counted.where(CompletionRow.prompt_id.in_(ids)).group_by(CompletionRow.prompt_id)
        completions |= {row[0]: row[1] for row in session.execute(counted)}
    return [FoundPrompt(row, completions.get(row.id, 0)) for row in rows]


def count_prompts(session: Session, project_id: str, wanted: PromptFilter) -> int:
    """How many prompts `wanted` describes."""
    query = _matching(session, select(func.count()).select_from(PromptRow), project_id, wanted)
    return session.scalar(query) or 0


def known_values(session: Session, project_id: str) -> KnownValues:
    """The sources, splits, use cases, tags and checkpoints that there are, sorted."""

    def distinct(name: str) -> list[str]:
        value = PromptRow.record[name].as_string()
        found = session.scalars(
            select(value).distinct().where(PromptRow.project_id == project_id)
        ).all()
        return sorted(one for one in found if one)

    checkpoint = CompletionRow.record["checkpoint_id"].as_string()
    counts = session.execute(
        select(checkpoint, func.count())
        .where(CompletionRow.project_id == project_id)
        .group_by(checkpoint)
        .order_by(checkpoint)
    )
    return KnownValues(
        sources=distinct("source"),
        splits=distinct("split"),
        use_cases=distinct("use_case"),
        tags=_known_tags(session, project_id),
        checkpoints=[(str(name), count) for name, count in counts],
    )


def _matching(
    session: Session, query: Select[Any], project_id: str, wanted: PromptFilter
) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [PromptRow.project_id == project_id]
    if wanted.text:
        instruction = PromptRow.record["instruction"].as_string()
        conditions.append(instruction.icontains(wanted.text, autoescape=True))
    for name in ("source", "split", "use_case"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(PromptRow.record[name].as_string() == value)
    if wanted.tag is not None:
        conditions.append(_has_tag(session, wanted.tag))
    if wanted.sensitive is not None:
        conditions.append(PromptRow.sensitive.is_(wanted.sensitive))
    if wanted.written_here is not None:
        author = PromptRow.author_id
        conditions.append(author.is_not(None) if wanted.written_here else author.is_(None))
    if wanted.unused_for is not None:
        used = select(ItemRow.prompt_id).join(BatchRow, BatchRow.id == ItemRow.batch_id)
        used = used.where(
            BatchRow.project_id == project_id,
            BatchRow.purpose == wanted.unused_for,
            ItemRow.prompt_id.is_not(None),
        )
        conditions.append(PromptRow.id.not_in(used))
    if wanted.min_completions:
        enough = select(CompletionRow.prompt_id).where(CompletionRow.project_id == project_id)
        if wanted.checkpoints:
            checkpoint = CompletionRow.record["checkpoint_id"].as_string()
            enough = enough.where(checkpoint.in_(wanted.checkpoints))
        enough = enough.group_by(CompletionRow.prompt_id)
        conditions.append(PromptRow.id.in_(enough.having(func.count() >= wanted.min_completions)))
    return query.where(*conditions)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _has_tag(session: Session, tag: str) -> ColumnElement[bool]:
    if _is_sqlite(session):
        each = func.json_each(PromptRow.record, "$.tags").table_valued(
            "value", joins_implicitly=True
        )
        return select(each.c.value).where(each.c.value == tag).exists()
    return cast(PromptRow.record["tags"], JSONB).contains([tag])


def _known_tags(session: Session, project_id: str) -> list[str]:
    if _is_sqlite(session):
        each: Any = (
            func.json_each(PromptRow.record, "$.tags")
            .table_valued("value", joins_implicitly=True)
            .c.value
        )
    else:
        each = func.jsonb_array_elements_text(PromptRow.record["tags"]).column_valued(
            joins_implicitly=True
        )
    query = select(each).distinct().select_from(PromptRow)
    return sorted(session.scalars(query.where(PromptRow.project_id == project_id)).all())
