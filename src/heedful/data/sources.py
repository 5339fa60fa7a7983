"""Public data files, as they are, to our records; the format is told by the columns.

Prompts, demonstrations and rankings come from our own folders of records and from the
formats in `FORMATS`. Ids are derived from the file's content and the row, so a rerun
gives the same records. What is published is taken as consented, under the licence that
the caller states. Cleaning, splitting and deduplication are other modules'.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack

from heedful.core.errors import DataError, nearest
from heedful.core.jsonl import RowError, read_rows, sha256_file
from heedful.core.records import (
    Completion,
    Demonstration,
    MadeBy,
    Prompt,
    Ranking,
    Record,
    derived_id,
    text_hash,
)
from heedful.data import instruction_formats, oasst, own_records, preference_formats
from heedful.data.hub import HUB_PREFIX, read_hub_rows
from heedful.data.items import Answer, FieldError, Item, ReadRow, Row, UnusableError
from heedful.data.texts import cut_passages, load_texts

__all__ = [
    "FORMATS",
    "DemonstrationSet",
    "RankingSet",
    "ReadOptions",
    "Reject",
    "Rejects",
    "cut_passages",
    "load_demonstrations",
    "load_prompts",
    "load_rankings",
    "load_texts",
]

# Format -> the columns that tell it, and its reader. The first that fits is taken, so
# the more telling ones come first.
FORMATS: dict[str, tuple[frozenset[str], ReadRow]] = {
    "oasst": (frozenset({"message_tree_id", "prompt"}), oasst.read_tree),
    "self_instruct": (
        frozenset({"instruction", "instances"}),
        instruction_formats.self_instruct,
    ),
    "preference": (frozenset({"prompt", "chosen", "rejected"}), preference_formats.preference),
    "hh": (frozenset({"chosen", "rejected"}), preference_formats.hh),
    "messages": (frozenset({"messages"}), instruction_formats.messages),
    "alpaca": (frozenset({"instruction", "output"}), instruction_formats.alpaca),
    "dolly": (frozenset({"instruction", "response"}), instruction_formats.dolly),
    "question_answer": (frozenset({"question", "answer"}), instruction_formats.question_answer),
    "prompt_completion": (frozenset({"prompt"}), instruction_formats.prompt_completion),
    "instruction_only": (frozenset({"instruction"}), instruction_formats.instruction_only),
}
_FLAT_OASST = frozenset({"message_id", "parent_id", "message_tree_id", "text", "role"})


class Reject(Record):
    """A row that was left out.

    Attributes:
        kind: `unreadable` rows are faults of the file and count towards `max_rejects`;
            `unusable` ones are well formed but hold nothing to learn from, and do not.
    """

    path: str
    line: int
    field: str | None
    reason: str
    kind: Literal["unreadable", "unusable"]


class Rejects(list[Reject]):
    """The rows that were left out; `heedful.core.jsonl.write_records` writes them."""

    def summary(self) -> str:
        """One sentence for a log."""
        unreadable = sum(reject.kind == "unreadable" for reject in self)
        return f"{unreadable} rows were unreadable and {len(self) - unreadable} unusable."


class DemonstrationSet(NamedTuple):
    """Demonstrations, and all prompts of the source.

    The unanswered ones too: then a split of the prompts is the same for every use of
    the source, and what one stage holds out no other trains on.
    """

    prompts: list[Prompt]
    demonstrations: list[Demonstration]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingSet:
    """Rankings, the completions that they rank, and all prompts of the source.

    The unranked prompts too, for the reason given at `DemonstrationSet`.
    """

    prompts: list[Prompt]
    completions: list[Completion]
    rankings: list[Ranking]


@dataclass(frozen=True, kw_only=True)
class _Source:
    """One file or hub data set, and how the caller wants it read."""

    path: Path
    format: str | None = None
    licence: str | None = None
    max_rejects: int = 0
    rejects: Rejects = field(default_factory=Rejects)
    languages: Collection[str] | None = None

    def __post_init__(self) -> None:
        known = [*FORMATS, own_records.FORMAT]
        if self.format is not None and self.format not in known:
            likely = nearest(self.format, known)
            hint = f"Did you mean {likely}? " if likely else ""
            raise DataError(
                f"unknown format {self.format!r}", f"{hint}Use one of {', '.join(known)}."
            )

    @property
    def name(self) -> str:
        return str(self.path) if self.is_hub else self.path.name

    @property
    def is_hub(self) -> bool:
        return str(self.path).startswith(HUB_PREFIX)

    def hint(self) -> str:
        return f"{self.rejects.summary()} Check that this is the file you meant."

    def reject(self, error: RowError) -> None:
        """Set an unreadable row aside, or raise where the caller's patience ends."""
        unreadable = sum(reject.kind == "unreadable" for reject in self.rejects)
        if unreadable >= self.max_rejects:
            raise error
        self._add(error.line, error.field, error.reason, "unreadable")

    def reject_field(self, line: int, error: FieldError) -> None:
        """Set a row aside for one of its fields, or raise."""
        self.reject(RowError(self.path, line, error.field, error.reason))

    def set_aside(self, line: int, reason: str) -> None:
        """Note a row that says nothing."""
        self._add(line, None, reason, "unusable")

    def _add(
        self, line: int, name: str | None, reason: str, kind: Literal["unreadable", "unusable"]
    ) -> None:
        self.rejects.append(
            Reject(path=str(self.path), line=line, field=name, reason=reason, kind=kind)
        )


class ReadOptions(TypedDict, total=False):
    """How to read a source; every `load_` function takes these.

    Attributes:
        format: A key of `FORMATS`, or `heedful`; found out by the columns where left out.
        licence: Kept with each record.
        max_rejects: Unreadable rows to set aside before the file is refused; 0 by default.
        rejects: A list to fill with the rows that were left out.
        languages: Only messages of these languages, where the format names them.
    """

    format: str | None
    licence: str | None
    max_rejects: int
    rejects: Rejects
    languages: Collection[str] | None


def load_prompts(path: Path | str, **options: Unpack[ReadOptions]) -> list[Prompt]:
    """Every prompt of a file, a folder of our records, or `hub:owner/dataset[:split]`.

    Raises:
        RowError: A row is unreadable, more than `max_rejects` times.
        DataError: The path or the format is not known.
    """
    source = _Source(path=Path(path), **options)
    if own_records.is_own(source.path, source.format):
        return own_records.read_prompts(source.path, source.reject)
    return [_prompt(loaded) for loaded in _load(source)]


def load_demonstrations(
    path: Path | str,
    *,
    answers: Literal["best", "all"] = "best",
    made_by: MadeBy = "person",
    **options: Unpack[ReadOptions],
) -> DemonstrationSet:
    """The demonstrations of a source, and its prompts; errors as in `load_prompts`.

    Args:
        path: See `load_prompts`.
        answers: `best` takes the answer ranked first, or the only one; `all` takes all.
        made_by: Who wrote the answers, where the format does not say.
        options: See `ReadOptions`.
    """
    source = _Source(path=Path(path), **options)
    if own_records.is_own(source.path, source.format):
        return DemonstrationSet(*own_records.read_demonstrations(source.path, source.reject))
    found = DemonstrationSet([], [])
    for loaded in _load(source):
        written = []
        for place, answer in enumerate(loaded.item.answers):
            if answers == "best" and not _is_best(answer, loaded.item):
                continue
            if answer.text:
                written.append(_demonstration(loaded, place, answer, made_by))
            else:
                source.set_aside(loaded.line, "the answer is empty")
        found.prompts.append(_prompt(loaded))
        found.demonstrations.extend(written)
    if not found.demonstrations:
        raise DataError(f"{source.path}: holds no demonstrations", source.hint())
    return found


def load_rankings(
    path: Path | str, *, made_by: MadeBy = "person", **options: Unpack[ReadOptions]
) -> RankingSet:
    """The rankings of a source, of two or more answers each; errors as in `load_prompts`.

    Of a partly ranked group the ranked members are taken.

    Args:
        path: See `load_prompts`.
        made_by: Who ranked; no public format says.
        options: See `ReadOptions`.
    """
    source = _Source(path=Path(path), **options)
    if own_records.is_own(source.path, source.format):
        prompts, completions, rankings = own_records.read_rankings(source.path, source.reject)
        return RankingSet(prompts=prompts, completions=completions, rankings=rankings)
    found = RankingSet(prompts=[], completions=[], rankings=[])
    for loaded in _load(source):
        places = enumerate(loaded.item.answers)
        ranked = {place: answer for place, answer in places if answer.rank is not None}
        found.prompts.append(_prompt(loaded))
        if len(ranked) < 2:
            continue
        completions = [_completion(loaded, place, answer) for place, answer in ranked.items()]
        found.completions.extend(completions)
        found.rankings.append(
            Ranking(
                id=loaded.id("ranking"),
                prompt_id=loaded.id("prompt"),
                completion_ids=tuple(completion.id for completion in completions),
                ranks=tuple(answer.rank for answer in ranked.values() if answer.rank),
                labeller_id=loaded.id("labeller"),
                made_by=made_by,
            )
        )
    if not found.rankings:
        raise DataError(f"{source.path}: holds no rankings", source.hint())
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """An item and where it came from."""

    source: _Source
    format: str
    digest: str
    line: int
    item: Item

    def id(self, prefix: str, *more: str | int) -> str:
        return derived_id(prefix, self.digest, self.line, self.item.key, *more)


def _load(source: _Source) -> Iterator[_Loaded]:
    """The items of a source, rejects taken out."""
    if source.is_hub:
        digest = str(source.path)
        rows = read_hub_rows(digest)
    else:
        rows = read_rows(source.path, on_bad_row=source.reject)
        digest = sha256_file(source.path) if source.path.is_file() else ""
    name, rows = _with_format(source, rows)
    read_row = FORMATS[name][1]
    if name == "oasst":
        read_row = partial(oasst.read_tree, languages=source.languages)
    for line, row in rows:
        try:
            items = list(read_row(row))
        except FieldError as error:
            source.reject_field(line, error)
        except UnusableError as error:
            source.set_aside(line, str(error))
        else:
            for item in items:
                yield _Loaded(source=source, format=name, digest=digest, line=line, item=item)


def _with_format(
    source: _Source, rows: Iterator[tuple[int, Row]]
) -> tuple[str, Iterator[tuple[int, Row]]]:
    """The format's name, and the rows, flat OpenAssistant messages made into trees."""
    first = next(rows, None)
    if first is None:
        raise DataError(f"{source.path}: holds no rows", "Check the file.")
    rows = chain([first], rows)
    columns = first[1].keys()
    if source.format in (None, "oasst") and columns >= _FLAT_OASST:
        return "oasst", oasst.trees_of_messages(rows, source.reject_field)
    if source.format is not None:
        return source.format, rows
    for name, (telling, _) in FORMATS.items():
        if telling <= columns:
            return name, rows
    raise DataError(
        f"{source.path}: no known format has the columns {', '.join(sorted(columns))}",
        f"Rename the columns to those of one of: {', '.join(FORMATS)}.",
    )


def _prompt(loaded: _Loaded) -> Prompt:
    item, source = loaded.item, loaded.source
    group = None if item.group is None else derived_id("group", loaded.format, item.group)
    # An unknown author is nobody else: one of their own per row, or per group.
    unknown = derived_id("user", loaded.digest, loaded.line)
    known = None if item.author is None else derived_id("user", loaded.format, item.author)
    return Prompt(
        id=loaded.id("prompt"),
        text_hash=text_hash(item.instruction, context=item.context, turns=item.turns),
        instruction=item.instruction,
        context=item.context,
        turns=item.turns,
        source=f"{loaded.format}:{source.name}",
        use_case=item.use_case,
        user_id=known or unknown,
        organisation=group,
        consent=True,
        licence=source.licence,
        created_at=item.created_at,
        tags=item.tags,
    )


def _demonstration(loaded: _Loaded, place: int, answer: Answer, made_by: MadeBy) -> Demonstration:
    known = None if answer.author is None else derived_id("user", loaded.format, answer.author)
    return Demonstration(
        id=loaded.id("demonstration", place),
        prompt_id=loaded.id("prompt"),
        text=answer.text,
        labeller_id=known or loaded.id("labeller", place),
        made_by=answer.made_by or made_by,
        licence=loaded.source.licence,
    )


def _completion(loaded: _Loaded, place: int, answer: Answer) -> Completion:
    return Completion(
        id=loaded.id("completion", place),
        prompt_id=loaded.id("prompt"),
        text=answer.text,
        checkpoint_id=answer.model or f"{loaded.format}:{loaded.source.name}",
    )


def _is_best(answer: Answer, item: Item) -> bool:
    return answer.rank == 1 or (answer.rank is None and len(item.answers) == 1)
