"""Masks personal data in texts that belong together, such as a prompt and its answers.

Each value becomes a typed placeholder, `<EMAIL_1>`; the same value has the same placeholder in
all the texts of the group, and kinds are numbered from 1 in the order in which they first
appear. What is personal data is for the detectors to say (`heedful.data.pii_records` has the
house's); which texts belong together is for the caller.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from pydantic import Field

from heedful.core.errors import ConfigError
from heedful.core.records import Record

PLACEHOLDER = re.compile(r"<([A-Z][A-Z_]*)_([0-9]+)>")
_KIND = re.compile(r"[A-Z][A-Z_]*")
# Stands where something is masked already: no letter, no digit, no space.
BLANK = "\ufffc"
_READABLE = re.compile(rf"[^{BLANK}]+")
# Scripts that write no spaces: a name is found inside a run of letters.
_SPACELESS = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
# A first name that is also a common word is masked within the full name only.
_WORDS_TOO = re.compile(
    r"an|april|art|august|bill|chase|dawn|dean|drew|faith|frank|gene|grace|"
    r"grant|hope|hunter|jack|joy|june|king|mark|may|miles|pat|penny|ray|rich|"
    r"rob|rose|sky|sue|summer|the|will|young|de|del|den|der|dos|van|von|bin|"
    r"ibn|el|la|le"
)
_EXACT_KINDS = frozenset(("SECRET", "CRYPTO"))
_WHOLE_KINDS = frozenset(("EMAIL", "URL", "USERNAME"))
_NUMBER_KINDS = frozenset(("PHONE", "CREDIT_CARD", "IBAN", "NATIONAL_ID", "PASSPORT"))
_MIN_SHARED_DIGITS = 7


class Span(NamedTuple):
    """The characters [start, end) of a text are personal data of a kind, such as `EMAIL`."""

    start: int
    end: int
    kind: str


class Detector(Protocol):
    """Finds personal data in one text."""

    @property
    def name(self) -> str:
        """As the settings and the report name it."""
        ...

    def find(self, text: str) -> Iterable[Span]:
        """What it finds; spans may overlap. U+FFFC stands where something is masked already."""
        ...


class PersonalDataReport(Record):
    """What was masked, counted; it never holds a value.

    Attributes:
        num_records: Records looked at.
        num_with: Those in which something was masked.
        counts: Passages replaced, by kind.
    """

    num_records: int = 0
    num_with: int = 0
    counts: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def total(cls, reports: Iterable[Self]) -> Self:
        """The sum of some reports."""
        records, with_some, counts = 0, 0, Counter[str]()
        for report in reports:
            records += report.num_records
            with_some += report.num_with
            counts.update(report.counts)
        return cls(num_records=records, num_with=with_some, counts=dict(sorted(counts.items())))


@dataclass(frozen=True, slots=True)
class Masked:
    """The masked texts of a group.

    Attributes:
        texts: In the order given.
        counts: For each text, passages replaced by kind.
    """

    texts: tuple[str, ...]
    counts: tuple[Mapping[str, int], ...]


class Masker:
    """Masks what its detectors find.

    Where finds overlap, the longest wins; of equally long ones the earlier in the text, then
    the earlier detector's. A value found once is masked wherever the group has it as whole
    words, and so is each part of a person's name that is no common word. A masked text is
    looked at again until nothing more is found, so masking twice changes nothing.

    Placeholders that a text holds already stay, and their numbers are not given again.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.detectors = tuple(detectors)

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text of a group what is to be masked: in order, without overlap.

        Raises:
            ConfigError: A detector found what is no span of the text.
        """
        views = [PLACEHOLDER.sub(lambda match: BLANK * len(match[0]), text) for text in texts]
        found: list[list[Span]] = [[] for _ in texts]
        known = _Known()
        todo = set(range(len(texts)))
        while todo:
            fresh = {place: self._fresh(views[place], known) for place in sorted(todo)}
            todo = {place for place, spans in fresh.items() if spans}
            for place in todo:
                found[place] += fresh[place]
                for start, end, _ in fresh[place]:
                    view = views[place]
                    views[place] = view[:start] + BLANK * (end - start) + view[end:]
            values = [
                (span.kind, texts[place][span.start : span.end])
                for place in sorted(todo)
                for span in fresh[place]
            ]
            if known.learn(values):
                todo = set(range(len(texts)))
        return [sorted(spans) for spans in found]

    def mask(self, texts: Sequence[str]) -> Masked:
        """Mask a group of texts, which share one numbering."""
        found = self.find(texts)
        taken = {match[0] for text in texts for match in PLACEHOLDER.finditer(text)}
        names = _Names(taken)
        # A whole name numbers its parts, even where a part comes first.
        for text, spans in zip(texts, found, strict=True):
            for start, end, kind in spans:
                names.learn(kind, text[start:end])
        masked = []
        for text, spans in zip(texts, found, strict=True):
            pieces, place = [], 0
            for start, end, kind in spans:
                pieces += [text[place:start], names.placeholder(kind, text[start:end])]
                place = end
            masked.append("".join([*pieces, text[place:]]))
        counts = tuple(Counter(span.kind for span in spans) for spans in found)
        return Masked(texts=tuple(masked), counts=counts)

    def _fresh(self, view: str, known: "_Known") -> list[Span]:
        """What is found in a view of a text in which all that is masked is blank."""
        candidates: list[tuple[int, int, int, Span]] = []
        finds = [detector.find(view) for detector in self.detectors]
        finds.append(known.find(view))
        for rank, spans in enumerate(finds):
            for span in spans:
                if not 0 <= span.start < span.end <= len(view) or not _KIND.fullmatch(span.kind):
                    name = self.detectors[rank].name
                    raise ConfigError(
                        f"the detector {name!r} found {tuple(span)} in {len(view)} characters",
                        "A span is (start, end, KIND) with 0 <= start < end.",
                    )
                for part in _READABLE.finditer(view, span.start, span.end):
                    if any(character.isalnum() for character in part[0]):
                        piece = Span(part.start(), part.end(), span.kind)
                        candidates.append((piece.start - piece.end, piece.start, rank, piece))
        chosen: list[Span] = []
        for *_, span in sorted(candidates):
            if all(span.end <= other.start or other.end <= span.start for other in chosen):
                chosen.append(span)
        return chosen


class _Known:
    """The values found so far in a group, to find them again."""

    def __init__(self) -> None:
        self._kind_of: dict[str, str] = {}
        self._kinds: list[str] = []
        self._pattern: re.Pattern[str] | None = None

    def learn(self, values: Iterable[tuple[str, str]]) -> bool:
        """Add (kind, value) pairs; whether any was new."""
        before = len(self._kind_of)
        for kind, value in values:
            for alternative in _alternatives(kind, value):
                self._kind_of.setdefault(alternative, kind)
        if len(self._kind_of) == before:
            return False
        longest_first = sorted(self._kind_of, key=lambda pattern: (-len(pattern), pattern))
        self._kinds = [self._kind_of[pattern] for pattern in longest_first]
        self._pattern = re.compile("|".join(f"({pattern})" for pattern in longest_first))
        return True

    def find(self, text: str) -> list[Span]:
        """Where the values stand again."""
        if self._pattern is None:
            return []
        return [
            Span(*match.span(), self._kinds[(match.lastindex or 1) - 1])
            for match in self._pattern.finditer(text)
        ]


class _Names:
    """Which placeholder a value has."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._given: dict[tuple[str, str], str] = {}
        self._last: Counter[str] = Counter()
        self._full_names: list[str] = []
        self._phones: list[str] = []

    def learn(self, kind: str, value: str) -> None:
        """Remember what a later or shorter form of the same value is matched with."""
        if kind == "PERSON" and len(value.split()) > 1:
            self._full_names.append(_key(kind, value))

    def placeholder(self, kind: str, value: str) -> str:
        """The value's placeholder, a new one where it has none."""
        key = (kind, self._same_as(kind, _key(kind, value)))
        if key not in self._given:
            self._last[kind] += 1
            while f"<{kind}_{self._last[kind]}>" in self._taken:
                self._last[kind] += 1
            self._given[key] = f"<{kind}_{self._last[kind]}>"
        return self._given[key]

    def _same_as(self, kind: str, key: str) -> str:
        if kind == "PERSON":
            return next((name for name in self._full_names if key in name.split()), key)
        if kind != "PHONE":
            return key
        # +44 20 7946 0958 and 020 7946 0958 are one number.
        national = key.removeprefix("00").lstrip("0")
        for known in self._phones:
            if min(len(known), len(national)) >= _MIN_SHARED_DIGITS and (
                known.endswith(national) or national.endswith(known)
            ):
                return known
        self._phones.append(national)
        return national


def _plain(value: str) -> str:
    """Letters and digits only, without case; the rest of a value may be written many ways."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return "".join(character for character in folded if character.isalnum()) or folded


def _key(kind: str, value: str) -> str:
    """Equal for values of a kind that are the same."""
    if kind in _EXACT_KINDS:
        return value
    if kind in _WHOLE_KINDS:
        return unicodedata.normalize("NFKC", value).casefold().removeprefix("@")
    if kind == "PHONE":
        return "".join(character for character in value if character.isdecimal()) or value
    if kind == "PERSON":
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return _plain(value)


def _alternatives(kind: str, value: str) -> list[str]:
    """Patterns of what else says `value`; none for a value of fewer than two characters."""
    characters = [character for character in value if character.isalnum()]
    if len(characters) < 2:
        return []
    if kind in _NUMBER_KINDS:
        pattern = "[ ().\\-]{0,2}".join(map(re.escape, characters))
        return [_bounded(f"(?i:{pattern})", characters[0], characters[-1])]
    if kind != "PERSON":
        pattern = f"(?i:{re.escape(value)})" if kind in _WHOLE_KINDS else re.escape(value)
        return [_bounded(pattern, value[0], value[-1])]
    words = value.split()
    whole = r"\s+".join(map(re.escape, words))
    patterns = [_bounded(f"(?i:{whole})" if len(words) > 1 else whole, value[0], value[-1])]
    for word in words:
        if len(word.strip(".")) > 2 and not _WORDS_TOO.fullmatch(word.casefold()):
            either = f"(?:{re.escape(word)}|{re.escape(word.upper())})"
            patterns.append(_bounded(either, word[0], word[-1]))
    return patterns


def _bounded(pattern: str, first: str, last: str) -> str:
    """Whole words only, in scripts that set words apart."""
    before = r"(?<!\w)" if first.isalnum() and not _SPACELESS.match(first) else ""
    after = r"(?!\w)" if last.isalnum() and not _SPACELESS.match(last) else ""
    return before + pattern + after
