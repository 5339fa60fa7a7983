"""Finding by table: a rule is a pattern that runs only on texts that can match it.

Most texts hold no personal data. A rule therefore names fragments one of which every match
must contain; looking for a fragment costs a thousandth of a search with the pattern.
"""

# ruff: noqa: RUF001 - letters of other scripts are meant

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from heedful.data.pii import Span

_DIGIT = re.compile(r"\d")


class Extent(NamedTuple):
    """Where in the text a match's value starts and ends."""

    start: int
    end: int


def value_of(match: re.Match[str]) -> Extent:
    """The group `value` where the pattern has one, else the whole match."""
    return Extent(*match.span("value" if "value" in match.re.groupindex else 0))


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which a kind of personal data is written.

    Attributes:
        kind: Of what it finds.
        pattern: Its group `value` is what to mask, where there is one.
        fragments: In lower case, set apart by `|`; a text without any of them cannot match.
        has_digit: Whether every match has a digit.
        take: The value's extent in a match, or None where it is none after all.
    """

    kind: str
    pattern: re.Pattern[str]
    fragments: str = ""
    has_digit: bool = True
    take: Callable[[re.Match[str]], Extent | None] = value_of


class RuleDetector:
    """The finds of a table of rules."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        self.name = name
        self._rules = [(rule, tuple(filter(None, rule.fragments.split("|")))) for rule in rules]

    def find(self, text: str) -> Iterator[Span]:
        """What the rules find; spans may overlap."""
        lowered = text.lower()
        has_digit = _DIGIT.search(text) is not None
        for rule, fragments in self._rules:
            if rule.has_digit and not has_digit:
                continue
            if fragments and next(filter(lowered.__contains__, fragments), None) is None:
                continue
            for match in rule.pattern.finditer(text):
                extent = rule.take(match)
                if extent is not None and extent.start < extent.end:
                    yield Span(extent.start, extent.end, rule.kind)


def cued(cues: str, value: str) -> re.Pattern[str]:
    """A pattern for a value that follows a cue: "SSN: ...", "my passport (...".

    Between the two may stand words that link them, and punctuation.
    """
    linking = (
        r"(?:[ 	]*(?:number|no|nr|num|id|code|is|was|ist|lautet|est|es|é|è|are|[:：=#]|n°|nº|№"
        r"|numarası|numer|は|[은는]|是|号码|号|、|[(\-–.\"'`]))*[ 	]*"
    )
    # Where words are not set apart, a cue may follow any letter.
    begin = r"(?:(?<!\w)|(?<=[\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]))"
    return re.compile(rf"(?i:{begin}(?:{cues}){linking})(?P<value>{value})")
