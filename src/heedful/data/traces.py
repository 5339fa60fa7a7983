"""What tells that a record, a row or a text is a person's, or derives from what they wrote.

A row that says whose it is (a record, a released row, a row of a source) is judged by ids
alone: another person may have written the same text. Everything else, such as the examples
and figures of a report, is judged by ids and by quoted texts. Files are
`heedful.data.removal`'s.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any

from heedful.data.corpus import normalised

WITHDRAWN = "withdrawn"
"""Stands in a report where a person's id or text stood."""

_PEOPLE = ("user_id", "user", "labeller_id", "labeller", "author")
_REFERENCES = ("prompt_id", "completion_id", "completion_ids", "chosen_id", "rejected_id")
_TEXTS = frozenset(
    {
        *("instruction", "context", "text", "prompt", "completion", "completions", "content"),
        *("question", "answer"),
    }
)
# A shorter text is found where it stands alone, not within others: it may be anybody's.
_MIN_QUOTED = 20
# Of fewer characters, ids count only in fields that name people, and texts not at all:
# "test" may be a person's name, and is a split's.
_MIN_ALONE = 8


@dataclass
class Traces:
    """Of one person; complete before anything is cleaned.

    Attributes:
        names: Every id that the person may have.
        ids: Of the records that are theirs or derive from theirs.
        texts: What those records say.
    """

    names: set[str]
    ids: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)

    def names_person(self, row: Mapping[str, Any]) -> bool:
        """Whether the row says that it is the person's."""
        return any(row.get(name) in self.names for name in _PEOPLE if _is_text(row.get(name)))

    def is_theirs(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is the person's, or derives from a record that is."""
        if self.names_person(row) or (_is_text(row.get("id")) and row["id"] in self.ids):
            return True
        return any(
            name in self.ids
            for reference in _REFERENCES
            for name in _as_list(row.get(reference))
            if _is_text(name)
        )

    def learn(self, row: Mapping[str, Any]) -> None:
        """Take the ids and texts of a row that is theirs."""
        # Ids of sources are not ours, and may be as short as "1".
        if "schema_version" in row and _is_text(row.get("id")):
            self.ids.add(row["id"])
        self.texts |= {text for text in _texts(row) if text.strip()}

    def clean(self, value: Any) -> tuple[Any, bool]:
        """The value of a report without the traces, and whether there were any outside of lists.

        Texts become `WITHDRAWN`; entries with traces leave their list, and keys their mapping.
        """
        if isinstance(value, str):
            return (WITHDRAWN, True) if self.shown_in(value) else (value, False)
        if isinstance(value, list):
            return [item for item, keep in map(self._clean_item, value) if keep], False
        if isinstance(value, dict):
            if says_whose(value):
                return (None, True) if self.is_theirs(value) else (value, False)
            cleaned = {
                name: self.clean(item) for name, item in value.items() if not self._is_id(name)
            }
            touched = len(cleaned) < len(value) or any(hit for _, hit in cleaned.values())
            return {name: item for name, (item, _) in cleaned.items()}, touched
        return value, False

    def _clean_item(self, item: Any) -> tuple[Any, bool]:
        cleaned, hit = self.clean(item)
        return cleaned, not (hit and isinstance(item, dict))

    def shown_in(self, said: str) -> bool:
        """Whether a string is an id of theirs, or quotes a text of theirs, perhaps cut short."""
        if self._is_id(said):
            return True
        plain = normalised(said)
        if plain in self._plain_texts:
            return True
        part = plain.rstrip(".\u2026 ")
        if len(part) >= _MIN_QUOTED and part in self._all_texts:
            return True
        texts = takewhile(lambda text: len(text) <= len(plain), self._long_texts)
        return any(text in plain for text in texts)

    def without(self, text: str) -> str:
        """Free text without the lines that name the person, and without quoted texts."""
        for quoted in self._quotable:
            text = text.replace(quoted, WITHDRAWN)
        if self._named.search(text) is None:
            return text
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if self._named.search(line) is None)

    def is_in_bytes(self, content: bytes) -> bool:
        """Whether a file of unknown kind holds an id or a long text of theirs."""
        return any(name.encode() in content for name in (*self._long_names, *self._quotable))

    def _is_id(self, said: str) -> bool:
        return len(said) >= _MIN_ALONE and (said in self.names or said in self.ids)

    @cached_property
    def _plain_texts(self) -> set[str]:
        plain = map(normalised, self.texts)
        return {text for text in plain if len(text) >= _MIN_ALONE}

    @cached_property
    def _long_texts(self) -> list[str]:
        """The shortest first."""
        return sorted((text for text in self._plain_texts if len(text) >= _MIN_QUOTED), key=len)

    @cached_property
    def _all_texts(self) -> str:
        return "\x00".join(self._long_texts)

    @cached_property
    def _quotable(self) -> list[str]:
        """Texts as a page may quote them, the longest first."""
        long = {text.strip() for text in self.texts if len(text.strip()) >= _MIN_QUOTED}
        return sorted(long | {html.escape(text) for text in long}, key=len, reverse=True)

    @cached_property
    def _long_names(self) -> list[str]:
        return [name for name in (*self.names, *self.ids) if len(name) >= _MIN_ALONE]

    @cached_property
    def _named(self) -> re.Pattern[str]:
        names = "|".join(map(re.escape, self._long_names)) or "(?!)"
        return re.compile(rf"(?<![\w-])(?:{names})(?![\w-])")


def says_whose(row: Mapping[str, Any]) -> bool:
    """Whether a row is a record, or tells whose it is."""
    is_record = "schema_version" in row and "id" in row
    return is_record or any(_is_text(row.get(name)) for name in _PEOPLE)


def _texts(value: Any, name: str = "") -> Iterator[str]:
    """What the person said in a row, and what was said to them; not a system's instructions."""
    if isinstance(value, str):
        if name in _TEXTS:
            yield value
    elif isinstance(value, dict):
        if value.get("role") != "system":
            for key, item in value.items():
                yield from _texts(item, key)
    elif isinstance(value, Iterable):
        for item in value:
            yield from _texts(item, name)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
