"""The rows of a source as items: which format, which rows are set aside, which ids.

Formats are told by the columns; packages may add some (`heedful.data.plugins`). Ids are
derived, so a rerun gives the same records: in public files from the file's content and the
line; in private ones (`PRIVATE`), under the secret key, from the row's own content and its
place among equal rows, so that a log may grow without its prompts changing their ids.
Items become records in `heedful.data.sources`.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Literal, TypedDict

from heedful.core.errors import DataError, nearest
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import RowError, read_rows, write_records
from heedful.core.records import Record, derived_id
from heedful.data import entry, instruction_formats, oasst, own_records, preference_formats
from heedful.data.hub import HUB_PREFIX, read_hub_rows
from heedful.data.items import FieldError, Item, ReadRow, Row, UnusableError
from heedful.data.plugins import source_plugins
from heedful.data.pseudonyms import KEY_VARIABLE, NO_KEY, Key, keyed_id, read_key, require_key

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
    "labeller": (entry.LABELLER_COLUMNS, entry.labeller),
    "served": (entry.SERVED_COLUMNS, entry.served),
    "messages": (frozenset({"messages"}), instruction_formats.messages),
    "alpaca": (frozenset({"instruction", "output"}), instruction_formats.alpaca),
    "dolly": (frozenset({"instruction", "response"}), instruction_formats.dolly),
    "question_answer": (frozenset({"question", "answer"}), instruction_formats.question_answer),
    "prompt_completion": (frozenset({"prompt"}), instruction_formats.prompt_completion),
    "instruction_only": (frozenset({"instruction"}), instruction_formats.instruction_only),
}
PRIVATE = frozenset({"labeller", "served"})
"""Formats whose people nobody has published: their pseudonyms and ids need the secret key."""
_OWN = frozenset({*FORMATS, own_records.FORMAT})
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
    """The rows that were left out: where and why, never what they held."""

    def summary(self) -> str:
        """One sentence for a log."""
        unreadable = sum(reject.kind == "unreadable" for reject in self)
        return f"{unreadable} rows were unreadable and {len(self) - unreadable} unusable."


def write_rejects(path: Path, rejects: Rejects) -> None:
    """Replace `path` by the rows that were left out, a `Reject` a line."""
    write_records(path, rejects)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file or hub data set, and how the caller wants it read."""

    path: Path
    format: str | None = None
    licence: str | None = None
    max_rejects: int = 0
    rejects: Rejects = field(default_factory=Rejects)
    languages: Collection[str] | None = None
    key: Key | None = None

    def __post_init__(self) -> None:
        if self.format in (None, own_records.FORMAT) or self.format in FORMATS:
            return
        known = [*FORMATS, *source_plugins(_OWN), own_records.FORMAT]
        if self.format not in known:
            likely = nearest(self.format, known)
            hint = f"Did you mean {likely}? " if likely else ""
            raise DataError(
                f"unknown format {self.format!r}", f"{hint}Use one of {', '.join(known)}."
            )

    @property
    def name(self) -> str:
        """As records name their source."""
        return str(self.path) if self.is_hub else self.path.name

    @property
    def is_hub(self) -> bool:
        """Whether the rows come from the Hugging Face hub."""
        return str(self.path).startswith(HUB_PREFIX)

    @cached_property
    def secret(self) -> Key:
        """The key for hashes and pseudonyms: the caller's, the environment's, or the empty one."""
        return self.key or read_key(KEY_VARIABLE) or NO_KEY

    def hint(self) -> str:
        """For an error about what the file lacks."""
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
        key: For text hashes, pseudonyms and private ids; `heedful.data.pseudonyms.read_key`
            of the environment where left out, and the empty key for public data without it.
    """

    format: str | None
    licence: str | None
    max_rejects: int
    rejects: Rejects
    languages: Collection[str] | None
    key: Key | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An item and where it came from.

    Attributes:
        origin: What its ids are derived from.
    """

    source: Source
    format: str
    origin: tuple[str, int]
    line: int
    item: Item

    def id(self, prefix: str, *more: str | int) -> str:
        """The id of a record that is made of this item."""
        return derived_id(prefix, *self.origin, self.item.key, *more)

    def pseudonym(self, prefix: str, name: str) -> str:
        """What stands for a name; public data's names are public, and need no key."""
        if self.format in PRIVATE or self.format not in FORMATS:
            return keyed_id(prefix, self.source.secret, name)
        return derived_id(prefix, self.format, name)


def read_items(source: Source) -> Iterator[Loaded]:
    """The items of a source, rejects taken out."""
    if source.is_hub:
        digest = str(source.path)
        rows = read_hub_rows(digest)
    else:
        rows = read_rows(source.path, on_bad_row=source.reject)
        digest = sha256_file(source.path) if source.path.is_file() else ""
    name, rows = _with_format(source, rows)
    read_row = _reader(source, name)
    if name in PRIVATE:
        require_key(source.secret, f"{source.path}: the format `{name}`", KEY_VARIABLE)
    seen: Counter[str] = Counter()
    for line, row in rows:
        try:
            items = list(read_row(row))
            if row.get("consent") in (False, "false", "False"):
                raise UnusableError("no consent")
        except FieldError as error:
            source.reject_field(line, error)
        except UnusableError as error:
            source.set_aside(line, str(error))
        else:
            origin = (digest, line)
            if name in PRIVATE:
                content = json.dumps(row, sort_keys=True, default=str)
                origin = (keyed_id("row", source.secret, name, content), seen[content])
                seen[content] += 1
            for item in items:
                yield Loaded(source=source, format=name, origin=origin, line=line, item=item)


def _reader(source: Source, name: str) -> ReadRow:
    if name == "oasst":
        return partial(oasst.read_tree, languages=source.languages)
    return (FORMATS.get(name) or source_plugins(_OWN)[name])[1]


def _with_format(
    source: Source, rows: Iterator[tuple[int, Row]]
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
    added: dict[str, tuple[frozenset[str], ReadRow]] = {}
    for formats in (FORMATS, added):
        for name, (telling, _) in formats.items():
            if telling <= columns:
                return name, rows
        added |= source_plugins(_OWN)
    raise DataError(
        f"{source.path}: no known format has the columns {', '.join(sorted(columns))}",
        f"Rename the columns to those of one of: {', '.join(FORMATS)}.",
    )
