"""The `template` policy: one template with other slot values, or other few-shot examples.

The rule, which needs no list of templates: numbers, quoted texts, code, addresses and links
are slots. Runs of `words_per_run` or more words that at least `min_texts` different texts
say are fixed, everything between them is a slot too. Two texts are of one template if they
say the same fixed runs, repetitions left out, in the same order: a repeated run is one more
few-shot example (from the second on: the first also joins the instruction to the example).
Texts with too few fixed words are compared whole, with the slots of the first kind only.

It says what prompts have in common, not that they ask the same: report it, and remove by it
only on purpose.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heedful.core.errors import ConfigError
from heedful.data.corpus import Corpus, Link
from heedful.data.linking import same
from heedful.data.word_table import WordTable, ranges

# Any letter that nobody writes; a word of its own.
_SLOT = "\ua66e"
_SLOTS = re.compile(
    r"```.*?```|`[^`]+`"
    r"|https?://\S+|www\.\S+"
    r"|\S+@\S+\.\w+"
    r"|\"[^\"]+\"|\u201c[^\u201d]+\u201d|\u201e[^\u201c\u201d]+[\u201c\u201d]|\u00ab[^\u00bb]+\u00bb"
    r"|(?<!\w)'[^']+'(?!\w)"
    r"|[^\W_]*\d[\d.,:/]*[^\W_]*"
)


@dataclass(frozen=True, slots=True)
class Template:
    """Texts of the same fixed words; the first in canonical order stays.

    Attributes:
        words_per_run: Words in a row that must recur to count as fixed.
        min_texts: Different texts that must say them.
        min_words: Fixed words that make a template, or half the text if that is less.
    """

    words_per_run: int = 4
    min_texts: int = 3
    min_words: int = 8

    def __post_init__(self) -> None:
        if min(self.words_per_run, self.min_words) < 1 or self.min_texts < 2:
            raise ConfigError(
                f"template: words_per_run {self.words_per_run}, min_texts {self.min_texts}, "
                f"min_words {self.min_words}",
                "min_texts is at least 2, the others at least 1.",
            )

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "template"

    def find(self, corpus: Corpus) -> list[Link]:
        """Each text, linked to the first of its template."""
        table = WordTable.of(masked(text) for text in corpus.texts)
        is_slot = table.hashes[table.numbers] == WordTable.of([_SLOT]).hashes
        is_fixed = _fixed(table, self.words_per_run, self.min_texts)
        return same(
            self._key(table.numbers[begin:end], is_fixed[begin:end], is_slot[begin:end])
            for begin, end in zip(table.starts[:-1], table.starts[1:], strict=True)
        )

    def _key(
        self, numbers: NDArray[np.int32], fixed: NDArray[np.bool_], slot: NDArray[np.bool_]
    ) -> tuple[bytes, ...] | None:
        num_fixed = int((fixed & ~slot).sum())
        if num_fixed and num_fixed >= min(self.min_words, int((~slot).sum()) / 2):
            borders = np.flatnonzero(np.diff(fixed)) + 1
            runs = np.split(numbers, borders)
            return tuple(dict.fromkeys(run.tobytes() for run in runs[int(not fixed[0]) :: 2]))
        return None if slot.all() else (numbers.tobytes(),)


def masked(text: str) -> str:
    """The normalised text with numbers, quoted texts, code, addresses and links as slots."""
    return _SLOTS.sub(f" {_SLOT} ", text)


def _fixed(table: WordTable, size: int, min_texts: int) -> NDArray[np.bool_]:
    """Which words lie in a window that enough different texts have."""
    counts = np.maximum(table.lengths - size + 1, 0)
    places = ranges(table.starts[:-1], counts)
    owners = np.repeat(_first_alike(table), counts)
    windows = table.windows(size)[places]
    order = np.lexsort((owners, windows))
    windows, owners = windows[order], owners[order]
    new_window = np.ones(len(order), np.bool_)
    new_window[1:] = windows[1:] != windows[:-1]
    new_text = new_window.copy()
    new_text[1:] |= owners[1:] != owners[:-1]
    group = np.cumsum(new_window) - 1
    num_texts = np.bincount(group, weights=new_text)
    edges = np.zeros(len(table.numbers) + 1, np.int64)
    begins = places[order[num_texts[group] >= min_texts]]
    edges[begins] += 1
    edges[begins + size] -= 1
    return np.cumsum(edges[:-1]) > 0


def _first_alike(table: WordTable) -> NDArray[np.int64]:
    """For each text the first with the same words."""
    alike = np.arange(len(table))
    for place, of in same(table.words_of(text).tobytes() for text in range(len(table))):
        alike[place] = of
    return alike
