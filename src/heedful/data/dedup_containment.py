"""The `containment` policy: the prompt that entirely contains another says nothing new.

This is the deduplication that the paper's authors describe in their answer to the
reviewers. Texts are compared as sequences of words, so only word boundaries count.

Time grows with the number of words, not of pairs. Each text is indexed by the window of
`min_words` words that fewest others have, shorter texts first, and only if it contains no
indexed one: what contains it would contain that one too. Looking up every window of a text
finds the indexed ones that may be in it; few are, and each is compared word by word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heedful.core.errors import ConfigError
from heedful.data.corpus import Corpus, Link
from heedful.data.word_table import WordTable, ranges

_MAX_BIN_BITS = 24


@dataclass(frozen=True, slots=True)
class Containment:
    """Texts that contain a shorter text of at least `min_words` words; the shorter stays.

    Attributes:
        min_words: Shorter texts may be in any other: "what is" must not swallow the corpus.
    """

    min_words: int = 8

    def __post_init__(self) -> None:
        if self.min_words < 1:
            raise ConfigError(f"containment: min_words {self.min_words}", "It is at least 1.")

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "containment"

    def find(self, corpus: Corpus) -> list[Link]:
        """Links from each text to those it contains that contain no other themselves.

        Of several texts with the same words, one stands for all: linked to and from once
        each, whatever the others contain.
        """
        table = WordTable.of(corpus.texts)
        copies = _copies(table, self.min_words)
        index = _Index(table)
        containers: dict[int, int] = {}
        links: list[Link] = []
        for text in _texts_to_look_at(table, np.array(list(copies), np.int64), self.min_words):
            contained = index.contained(text)
            for of in contained:
                links.extend(Link(copy, of) for copy in copies[text.place])
                containers.setdefault(of, text.place)
            if not contained:
                index.add(text)
        for of, container in containers.items():
            links.extend(Link(container, copy) for copy in copies[of] if copy != of)
        return links


def _copies(table: WordTable, min_words: int) -> dict[int, list[int]]:
    """The texts of enough words by the first with the same words, shortest first."""
    lengths = table.lengths
    firsts: dict[bytes, int] = {}
    copies: dict[int, list[int]] = {}
    for text in np.argsort(lengths, kind="stable").tolist():
        if lengths[text] >= min_words:
            first = firsts.setdefault(table.words_of(text).tobytes(), text)
            copies.setdefault(first, []).append(text)
    return copies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A text that contains another or is contained, as far as its windows tell.

    Attributes:
        place: In the corpus.
        key: Its rarest window.
        key_start: Where that window begins, counted in the whole table.
        hits: Windows that are the key of a shorter text: hash and begin.
    """

    place: int
    key: int
    key_start: int
    hits: Sequence[tuple[int, int]]


class _Index:
    """Texts by key, then by their extent around it, then by their words."""

    def __init__(self, table: WordTable) -> None:
        self._table = table
        # Two texts of one extent around a window are told apart by one look-up, so texts
        # that share their key cost nothing as long as they are of few extents.
        self._found: dict[int, dict[tuple[int, int], dict[bytes, int]]] = {}

    def add(self, text: _Text) -> None:
        begin, end = self._table.starts[text.place : text.place + 2].tolist()
        extents = self._found.setdefault(text.key, {})
        texts = extents.setdefault((text.key_start - begin, end - text.key_start), {})
        texts[self._words(begin, end)] = text.place

    def contained(self, text: _Text) -> list[int]:
        """The indexed texts that the text contains, each once."""
        begin, end = self._table.starts[text.place : text.place + 2].tolist()
        found: dict[int, None] = {}
        for key, start in text.hits:
            for (before, after), texts in self._found.get(key, {}).items():
                if start - before >= begin and start + after <= end:
                    of = texts.get(self._words(start - before, start + after))
                    if of is not None:
                        found[of] = None
        return list(found)

    def _words(self, begin: int, end: int) -> bytes:
        return self._table.numbers[begin:end].tobytes()


def _texts_to_look_at(
    table: WordTable, texts: NDArray[np.int64], min_words: int
) -> Iterator[_Text]:
    """Those of some texts, of different words and sorted by length, that may matter."""
    if not len(texts):
        return
    counts = table.lengths[texts] - min_words + 1
    begins = np.cumsum(counts) - counts
    places = ranges(table.starts[texts], counts)
    windows = table.windows(min_words)[places]
    rarest = _rarest(windows, begins)
    keys = windows[rarest]
    hits, shortest = _hits(windows, keys)
    owners = np.searchsorted(begins, hits, side="right") - 1
    useful = table.lengths[texts[shortest]] < table.lengths[texts[owners]]
    hits, owners = hits[useful], owners[useful]
    firsts = np.searchsorted(owners, np.arange(len(texts) + 1))
    looked_up = set(windows[hits].tolist())
    for text, (place, key, rare) in enumerate(
        zip(texts.tolist(), keys.tolist(), places[rarest].tolist(), strict=True)
    ):
        mine = hits[firsts[text] : firsts[text + 1]]
        if len(mine) or key in looked_up:
            yield _Text(
                place=place,
                key=key,
                key_start=rare,
                hits=list(zip(windows[mine].tolist(), places[mine].tolist(), strict=True)),
            )


def _rarest(windows: NDArray[np.uint64], begins: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each text, which of its windows the fewest have, up to collisions of the count."""
    bins = _bins(windows, len(windows))
    counts = np.bincount(bins).astype(np.uint64)[bins]
    # The count above, the place below: the least is the rarest, and of those the first.
    counts <<= np.uint64(32)
    counts += np.arange(len(windows), dtype=np.uint64)
    least = np.minimum.reduceat(counts, begins)
    return (least & np.uint64(2**32 - 1)).astype(np.int64)


def _hits(
    windows: NDArray[np.uint64], keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which windows are the key of some text, and of which one first."""
    bins = _bins(windows, len(windows))
    is_key = np.zeros(bins.max() + 1, np.bool_)
    is_key[_bins(keys, len(windows))] = True
    maybe = np.flatnonzero(is_key[bins])
    known, firsts = np.unique(keys, return_index=True)
    found = np.searchsorted(known, windows[maybe]).clip(max=len(known) - 1)
    hit = known[found] == windows[maybe]
    return maybe[hit], firsts[found[hit]]


def _bins(hashes: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """The leading bits of hashes, about as many bins as `count`."""
    bits = min(max(count.bit_length(), 8), _MAX_BIN_BITS)
    return (hashes >> np.uint64(64 - bits)).astype(np.int64)
