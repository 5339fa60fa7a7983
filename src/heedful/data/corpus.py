"""The texts that duplicates are looked for in, and what a finding is.

A prompt is compared by one text, `prompt_text`, normalised. The texts stand in canonical
order, so that no policy depends on the order of the input. Looking for duplicates, and
deciding what becomes of them, is `heedful.data.dedup`'s and its policies'.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple, Protocol, Self

from heedful.core.records import Prompt

# Scripts that write no spaces count every character as a word.
_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    r"|[^\W_]+(?:['\u2019][^\W_]+)*"
)
_NEVER = datetime.max.replace(tzinfo=UTC)


def prompt_text(prompt: Prompt) -> str:
    """Everything the prompt says, in reading order, a line a part."""
    parts = [turn.text for turn in prompt.turns]
    parts += [text for example in prompt.examples for text in (example.prompt, example.completion)]
    parts += [prompt.context or "", prompt.instruction]
    return "\n".join(part for part in parts if part)


def normalised(text: str) -> str:
    """Unicode NFKC, casefolded, white space collapsed to single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """The words of a normalised text, punctuation left out."""
    return _WORD.findall(text)


class Link(NamedTuple):
    """`place` says nothing new beside `of`; both are places in the corpus."""

    place: int
    of: int


@dataclass(frozen=True)
class Corpus:
    """Prompts as texts to compare, in canonical order.

    The earliest `created_at` comes first, those without a time last; equals by text, then id.

    Attributes:
        ids: Of the prompts.
        texts: Normalised.
    """

    ids: Sequence[str]
    texts: Sequence[str]

    @classmethod
    def of(cls, prompts: Iterable[Prompt]) -> Self:
        """The corpus of some prompts, whatever their order."""
        rows = sorted(
            (_aware(prompt.created_at), normalised(prompt_text(prompt)), prompt.id)
            for prompt in prompts
        )
        return cls(ids=[row[2] for row in rows], texts=[row[1] for row in rows])

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def words(self) -> list[list[str]]:
        """The words of each text."""
        return [words(text) for text in self.texts]

    def select(self, places: Iterable[int]) -> Self:
        """The corpus of some of the places, in their canonical order."""
        kept = sorted(places)
        return type(self)(
            ids=[self.ids[place] for place in kept], texts=[self.texts[place] for place in kept]
        )


class Policy(Protocol):
    """Finds prompts that say nothing new beside another."""

    @property
    def name(self) -> str:
        """As the settings and the report name it."""
        ...

    def find(self, corpus: Corpus) -> list[Link]:
        """The links of the corpus; a function of its texts alone."""
        ...


def _aware(time: datetime | None) -> datetime:
    if time is None:
        return _NEVER
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
