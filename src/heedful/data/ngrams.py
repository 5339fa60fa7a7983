"""Which runs of words of some texts occur in others, without hashing.

The texts to look for are few and are indexed; any amount of other text is streamed past.
Words are numbered, and a run of 2p words by the pair of the numbers of its two halves,
numbered in turn (Karp, Miller and Rosenberg 1972). Two runs have one number exactly if
they are equal, so that no collision of hashes can accuse a text. What a find means is
`heedful.data.contamination`'s.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
NUMBER_WORD = "0"
_DIGITS = re.compile(r"\d+")
_NONE = -1


class Finds(NamedTuple):
    """Where something was found: `what[i]` begins at word `places[i]`."""

    places: Numbers
    what: Numbers


class WordRun(NamedTuple):
    """Words as they are compared: any number stands for any other, several in a row for one.

    So do digits within a word.

    Attributes:
        numbers: Of the words; -1 for one that no indexed text has.
        places: Which word of the text each stands for.
    """

    numbers: Numbers
    places: Numbers


class Index:
    """The runs of words of some texts, numbered.

    Args:
        texts: The words of each text; None is a gap that matches nothing.
    """

    def __init__(self, texts: Iterable[Sequence[str | None]]) -> None:
        self._vocabulary: dict[str, int] = {NUMBER_WORD: 0}
        runs = [self._read(text) for text in texts]
        lengths = [len(run) for run in runs]
        # One gap after each text keeps runs from crossing into the next.
        joined = np.full(sum(lengths) + len(lengths), _NONE, dtype=np.int64)
        self.starts = np.cumsum([0, *(length + 1 for length in lengths)])[:-1]
        for start, run in zip(self.starts, runs, strict=True):
            joined[start : start + len(run)] = run
        self.lengths = np.array(lengths, dtype=np.int64)
        self._known: list[Numbers] = []  # pairs of halves, sorted, of 2, 4, 8, ... words
        self._levels = [joined]
        while True:
            length = 1 << len(self._known)
            codes = np.unique(_pairs(self._levels[-1], length).what)
            if not len(codes):
                break
            self._known.append(codes)
            self._levels.append(self._double(self._levels[-1], length, codes))

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def own_levels(self) -> list[Numbers]:
        """`levels` of the indexed texts themselves, one after another with gaps between."""
        return self._levels

    def run(self, words: Sequence[str]) -> WordRun:
        """Words of a text that streams past, as the index numbers them."""
        numbers = np.fromiter(
            map(self._vocabulary.get, words, repeat(_NONE)), np.int64, count=len(words)
        )
        for place in np.flatnonzero(numbers == _NONE).tolist():
            # (No word of the vocabulary has any digit but 0.)
            masked = _DIGITS.sub(NUMBER_WORD, words[place])
            numbers[place] = self._vocabulary.get(masked, _NONE)
        kept = np.ones(len(numbers), dtype=bool)
        kept[1:] = (numbers[1:] != 0) | (numbers[:-1] != 0)
        places = np.flatnonzero(kept)
        return WordRun(numbers[places], places)

    def levels(self, numbers: Numbers) -> list[Numbers]:
        """At level k, the number of the run of 2**k words from each place, -1 if unknown.

        Levels end where no run is known.
        """
        levels = [numbers]
        for codes in self._known:
            doubled = self._double(levels[-1], 1 << (len(levels) - 1), codes)
            if not len(doubled) or doubled.max() == _NONE:
                break
            levels.append(doubled)
        return levels

    def _read(self, text: Sequence[str | None]) -> Numbers:
        """Number the words of a text to be indexed, new ones too."""
        numbers: list[int] = []
        for word in text:
            if word is None:
                numbers.append(_NONE)
                continue
            masked = _DIGITS.sub(NUMBER_WORD, word)
            if masked != NUMBER_WORD:
                numbers.append(self._vocabulary.setdefault(masked, len(self._vocabulary)))
            elif not numbers or numbers[-1] != 0:
                numbers.append(0)
        return np.array(numbers, dtype=np.int64)

    @staticmethod
    def _double(names: Numbers, length: int, codes: Numbers) -> Numbers:
        """The names of runs twice as long, from those of `length` words."""
        doubled = np.full(max(len(names) - length, 0), _NONE, dtype=np.int64)
        places, what = _known(_pairs(names, length), codes)
        doubled[places] = what
        return doubled


class Ngrams:
    """The n-grams of an index, numbered from 0.

    Attributes:
        owners: The text that each occurrence of an n-gram is in, in the order of `numbers`.
        numbers: The n-gram of each occurrence.
        count: How many different ones there are.
    """

    def __init__(self, index: Index, n: int) -> None:
        self.n = n
        pairs = self._ends(index.own_levels)
        self._codes = np.unique(pairs.what)
        self.count = len(self._codes)
        places, self.numbers = _known(pairs, self._codes)
        self.owners = np.searchsorted(index.starts, places, side="right") - 1

    def find(self, levels: Sequence[Numbers]) -> Finds:
        """Every indexed n-gram in a text of these `Index.levels`."""
        return _known(self._ends(levels), self._codes)

    def _ends(self, levels: Sequence[Numbers]) -> Finds:
        """The n words as two runs of 2**k words, overlapping where n is no power of 2."""
        level = self.n.bit_length() - 1
        if level >= len(levels):
            return _nothing()
        return _pairs(levels[level], self.n - (1 << level))


class Wholes:
    """Whole indexed texts, found wherever all of their words stand in a row.

    Args:
        index: It holds the texts.
        texts: Their places in the index; one with a gap is never found.
    """

    def __init__(self, index: Index, texts: Iterable[int]) -> None:
        self._by_level: dict[int, tuple[Numbers, Numbers, Numbers, Numbers]] = {}
        grouped: dict[int, list[tuple[int, int, int, int]]] = {}
        for text in texts:
            start, length = int(index.starts[text]), int(index.lengths[text])
            level = length.bit_length() - 1
            if level < 0 or level >= len(index.own_levels):
                continue
            names = index.own_levels[level]
            distance = length - (1 << level)
            first, last = int(names[start]), int(names[start + distance])
            if _NONE not in (first, last):
                grouped.setdefault(level, []).append((first, last, distance, text))
        for level, rows in grouped.items():
            first_names, last_names, distances, places = np.array(sorted(rows), dtype=np.int64).T
            self._by_level[level] = (first_names, last_names, distances, places)

    def find(self, levels: Sequence[Numbers]) -> Finds:
        """The whole texts in a text of these `Index.levels`."""
        places, what = [], []
        for level, (first, last, distance, text) in self._by_level.items():
            if level >= len(levels):
                continue
            names = levels[level]
            starts = np.flatnonzero(names != _NONE)
            begin = np.searchsorted(first, names[starts], side="left")
            counts = np.searchsorted(first, names[starts], side="right") - begin
            # Every start with every text that begins so; then the texts' ends must agree.
            which, within = spread(counts)
            at, candidate = starts[which], begin[which] + within
            end = at + distance[candidate]
            inside = end < len(names)
            at, candidate, end = at[inside], candidate[inside], end[inside]
            whole = names[end] == last[candidate]
            places.append(at[whole])
            what.append(text[candidate[whole]])
        if not places:
            return _nothing()
        return Finds(np.concatenate(places), np.concatenate(what))


def spread(counts: Numbers) -> tuple[Numbers, Numbers]:
    """Every place i `counts[i]` times, and beside it 0 to `counts[i]` - 1."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)


def _pairs(names: Numbers, distance: int) -> Finds:
    """Two names `distance` apart as one code, wherever both are known."""
    if len(names) <= distance:
        return _nothing()
    first, second = names[: len(names) - distance], names[distance:]
    places = np.flatnonzero((first != _NONE) & (second != _NONE))
    return Finds(places, first[places] << 32 | second[places])


def _known(pairs: Finds, codes: Numbers) -> Finds:
    """Those of the pairs that are among the sorted `codes`, as places there."""
    if not len(codes):
        return _nothing()
    at = np.minimum(np.searchsorted(codes, pairs.what), len(codes) - 1)
    hit = codes[at] == pairs.what
    return Finds(pairs.places[hit], at[hit])


def _nothing() -> Finds:
    return Finds(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
