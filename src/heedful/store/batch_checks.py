"""Whether items can be what a batch of a kind asks for, before any of it is stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.store.columns import TaskKind
from heedful.store.contents import CHUNK, chunks
from heedful.store.tables import BatchRow, CompletionRow, ItemRow, PromptRow

MIN_TEXTS, MAX_TEXTS = 2, 9
BRIEF_KINDS = ("plain", "few_shot", "user_based")
_MAX_TOLD = 5
_RANKED = ("ranking", "adjudication")


@dataclass(frozen=True)
class ItemSpec:
    """An item to be; see `ItemRow` for what the fields mean."""

    prompt_id: str | None
    completion_ids: Sequence[str] = ()
    brief: dict[str, Any] | None = None
    gold: dict[str, Any] | None = None
    adjudicates: str | None = None


@dataclass(frozen=True)
class Checked:
    """A specification that can be, and whether its prompt is sensitive."""

    spec: ItemSpec
    sensitive: bool


@dataclass(frozen=True)
class _Known:
    """What of the project the items speak of."""

    sensitive: Mapping[str, bool]  # by prompt id
    completions: Mapping[str, tuple[str, str]]  # id -> (prompt id, text)
    adjudicated: Mapping[str, str | None]  # item id -> prompt id


def check_items(
    session: Session, project_id: str, kind: TaskKind, items: Sequence[ItemSpec]
) -> list[Checked]:
    """The items, each with what its prompt says of it.

    Raises:
        DataError: There are none, or some cannot be; names the first few and counts the rest.
    """
    if not items:
        raise DataError("The batch has no items.", "Choose some prompts.")
    known = _known(session, project_id, items)
    wrong = [
        f"item {number}: {fault}"
        for number, item in enumerate(items, start=1)
        for fault in _faults(kind, item, known)
    ]
    if wrong:
        more = [f"and {len(wrong) - _MAX_TOLD} more"] if len(wrong) > _MAX_TOLD else []
        raise DataError(
            "\n".join([f"Some items cannot be {kind} tasks:", *wrong[:_MAX_TOLD], *more]),
            "Leave those out, or correct them.",
        )
    return [Checked(item, known.sensitive.get(item.prompt_id or "", False)) for item in items]


def _known(session: Session, project_id: str, items: Sequence[ItemSpec]) -> _Known:
    sensitive: dict[str, bool] = {}
    for ids in chunks({item.prompt_id for item in items if item.prompt_id}, CHUNK):
        prompts = select(PromptRow.id, PromptRow.sensitive).where(
            PromptRow.id.in_(ids), PromptRow.project_id == project_id
        )
        sensitive |= {row.id: row.sensitive for row in session.execute(prompts)}
    completions: dict[str, tuple[str, str]] = {}
    for ids in chunks({one for item in items for one in item.completion_ids}, CHUNK):
        found = select(CompletionRow.id, CompletionRow.prompt_id, CompletionRow.record).where(
            CompletionRow.id.in_(ids), CompletionRow.project_id == project_id
        )
        completions |= {
            row.id: (row.prompt_id, row.record["text"]) for row in session.execute(found)
        }
    adjudicated: dict[str, str | None] = {}
    for ids in chunks({item.adjudicates for item in items if item.adjudicates}, CHUNK):
        others = select(ItemRow.id, ItemRow.prompt_id).where(
            ItemRow.id.in_(ids),
            ItemRow.batch_id == BatchRow.id,
            BatchRow.project_id == project_id,
        )
        adjudicated |= {row.id: row.prompt_id for row in session.execute(others)}
    return _Known(sensitive, completions, adjudicated)


def _faults(kind: str, item: ItemSpec, known: _Known) -> Iterator[str]:
    if kind == "prompt":
        if item.prompt_id is not None:
            yield "has a prompt, though a prompt is to be written"
        if item.brief is None or item.brief.get("kind") not in BRIEF_KINDS:
            yield f"has no brief of a kind in {', '.join(BRIEF_KINDS)}"
    elif item.prompt_id is None:
        yield "has no prompt"
    elif item.prompt_id not in known.sensitive:
        yield f"its prompt `{item.prompt_id}` is not in the project"
    if kind in _RANKED:
        yield from _completion_faults(item, known)
        yield from _gold_faults(item)
    else:
        if item.completion_ids:
            yield "has completions, though nothing is to be ranked"
        if item.gold is not None:
            yield "has a gold answer, though nothing is to be ranked"
    if kind == "adjudication":
        if item.adjudicates is None or item.adjudicates not in known.adjudicated:
            yield "names no item of the project that it adjudicates"
        elif known.adjudicated[item.adjudicates] != item.prompt_id:
            yield "adjudicates an item of another prompt"
    elif item.adjudicates is not None:
        yield "adjudicates another item, though the batch is of another kind"


def _completion_faults(item: ItemSpec, known: _Known) -> Iterator[str]:
    ids = list(item.completion_ids)
    if len(set(ids)) < len(ids):
        yield "names a completion twice"
    if missing := [one for one in ids if one not in known.completions]:
        yield f"its completion `{missing[0]}` is not in the project"
        return
    if strangers := [one for one in ids if known.completions[one][0] != item.prompt_id]:
        yield f"its completion `{strangers[0]}` belongs to another prompt"
    texts = {known.completions[one][1] for one in ids}
    if not MIN_TEXTS <= len(texts) <= MAX_TEXTS:
        yield f"has {len(texts)} different completions, not {MIN_TEXTS} to {MAX_TEXTS}"


def _gold_faults(item: ItemSpec) -> Iterator[str]:
    if item.gold is None:
        return
    ranks = item.gold.get("ranks", {})
    if unknown := set(item.gold) - {"ranks", "flags"}:
        yield f"its gold answer has the unknown part `{min(unknown)}`"
    for part in ("ranks", "flags"):
        if strangers := set(item.gold.get(part, {})) - set(item.completion_ids):
            yield f"its gold {part} name `{min(strangers)}`, which is not one of its completions"
    if ranks and set(item.completion_ids) - set(ranks):
        yield "its gold ranks leave some of its completions out"
    if any(not isinstance(rank, int) or rank < 1 for rank in ranks.values()):
        yield "its gold ranks are not whole numbers from 1"
