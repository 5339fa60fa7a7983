"""The `near` policy: texts that share most of their word shingles.

Candidates come from MinHash-LSH (Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of
Massive Datasets", chapter 3), and each is verified with its Jaccard similarity, so no link
is false. Some similar pairs are missed; the recall is in the decision on MinHash. Texts
shorter than a shingle are left to `exact`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heedful.core.errors import ConfigError
from heedful.data.corpus import Corpus, Link
from heedful.data.linking import Linker
from heedful.data.word_table import BASE, WordTable, mixed, ranges

BANDS = 21
ROWS = 6
# A bucket of more than CROWDED texts is looked at in part: the first texts that stay, and the
# last before; and its texts meet again in buckets of two and three bands' rows.
CROWDED = 16
MAX_DEPTH = 3
MAX_VERIFIED = 64
# The share of equal minima estimates the similarity within 0.036 (one sigma, at 0.8).
_MARGIN = 0.12
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Near:
    """Texts with a Jaccard similarity of at least `threshold`; the first stays.

    Attributes:
        threshold: Shared shingles, as a share of the shingles of either.
        words_per_shingle: Words in a row that are compared as one.
    """

    threshold: float = 0.8
    words_per_shingle: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1 or self.words_per_shingle < 1:
            raise ConfigError(
                f"near: threshold {self.threshold}, words_per_shingle {self.words_per_shingle}",
                "The threshold is above 0 and at most 1, a shingle at least one word.",
            )

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "near"

    def find(self, corpus: Corpus) -> list[Link]:
        """Links from each text to earlier similar ones, as `Linker` thins them."""
        shingles = _Shingles.of(WordTable.of(corpus.texts), self.words_per_shingle)
        signatures = _signatures(shingles)
        buckets = _Buckets.of(signatures)
        linker = Linker()
        for place in buckets.places():
            candidates = buckets.before(place)
            if len(candidates):
                agreeing = (signatures[candidates] == signatures[place]).mean(axis=1)
                likely = np.flatnonzero(agreeing >= self.threshold - _MARGIN)
                best = likely[np.argsort(-agreeing[likely], kind="stable")[:MAX_VERIFIED]]
                linker.add(place, self._verified(shingles, place, candidates[best].tolist()))
            if linker.stays(place):
                buckets.add_leader(place)
        return linker.links

    def _verified(self, shingles: "_Shingles", place: int, candidates: list[int]) -> Iterator[int]:
        mine = shingles.of_text(place)
        for candidate in candidates:
            other = shingles.of_text(candidate)
            if len(mine & other) >= self.threshold * len(mine | other):
                yield candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shingles:
    """The shingles of text i are `hashes[starts[i]:starts[i + 1]]`, some more than once."""

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, table: WordTable, size: int) -> "_Shingles":
        counts = np.maximum(table.lengths - size + 1, 0)
        hashes = table.windows(size)
        return cls(
            # Windows that reach over the end of their text are left out.
            hashes=hashes[ranges(table.starts[:-1], counts)],
            starts=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        )

    def of_text(self, text: int) -> set[int]:
        return set(self.hashes[self.starts[text] : self.starts[text + 1]].tolist())


def _signatures(shingles: _Shingles) -> NDArray[np.uint32]:
    """The least hash of each text's shingles under each function, `[N, BANDS * ROWS]`.

    Rows of texts without shingles are all 0.
    """
    generator = np.random.Generator(np.random.PCG64(0))
    factors = generator.integers(0, 2**64, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    terms = generator.integers(0, 2**64, BANDS * ROWS, dtype=np.uint64)
    texts = np.flatnonzero(np.diff(shingles.starts))
    signatures = np.zeros((len(shingles.starts) - 1, BANDS * ROWS), np.uint32)
    for first in range(0, len(texts), _CHUNK):
        chunk = texts[first : first + _CHUNK]
        begin, end = shingles.starts[chunk[0]], shingles.starts[chunk[-1] + 1]
        hashes, starts = shingles.hashes[begin:end], shingles.starts[chunk] - begin
        found = np.empty((BANDS * ROWS, len(chunk)), np.uint32)
        for row, (factor, term) in enumerate(zip(factors, terms, strict=True)):
            # The upper half of a product is a good hash of a number that is one already.
            hashed = ((hashes * factor + term) >> np.uint64(32)).astype(np.uint32)
            np.minimum.reduceat(hashed, starts, out=found[row])
        signatures[chunk] = found.T
    return signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buckets:
    """Texts that agree in all rows of a band, or of several bands.

    Attributes:
        members: Places, bucket after bucket, each in canonical order.
        firsts: For each entry of `members`, where its bucket begins.
        entries: The entries of `members`, by place.
        starts: The entries of place i are `entries[starts[i]:starts[i + 1]]`.
        leaders: Of crowded buckets, by where they begin: the first texts that stay.
    """

    members: NDArray[np.int32]
    firsts: NDArray[np.int32]
    entries: NDArray[np.int64]
    starts: NDArray[np.int64]
    leaders: dict[int, list[int]]

    @classmethod
    def of(cls, signatures: NDArray[np.uint32]) -> "_Buckets":
        members, firsts, total = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], 0
        leaders: dict[int, list[int]] = {}
        for group in _groups(signatures):
            members.append(group.places.astype(np.int32))
            firsts.append((group.begins + total).astype(np.int32))
            for begin in np.unique(firsts[-1][group.sizes > CROWDED]):
                leaders[int(begin)] = []
            total += len(group.places)
        flat = np.concatenate(members)
        counts = np.bincount(flat, minlength=len(signatures))
        return cls(
            members=flat,
            firsts=np.concatenate(firsts),
            entries=np.argsort(flat, kind="stable"),
            starts=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
            leaders=leaders,
        )

    def places(self) -> list[int]:
        """The places that share a bucket with another, in order."""
        return np.flatnonzero(np.diff(self.starts)).tolist()

    def before(self, place: int) -> NDArray[np.int64]:
        """Earlier places that share a bucket with this one; of crowded buckets, some."""
        found: set[int] = set()
        entries = self.entries[self.starts[place] : self.starts[place + 1]]
        for entry, first in zip(entries.tolist(), self.firsts[entries].tolist(), strict=True):
            if entry - first > CROWDED:
                found.update(self.leaders[first])
                first = entry - CROWDED // 2
            if first < entry:
                found.update(self.members[first:entry].tolist())
        return np.array(sorted(found), dtype=np.int64)

    def add_leader(self, place: int) -> None:
        """Note that a place stays, for those to come."""
        entries = self.entries[self.starts[place] : self.starts[place + 1]]
        for first in self.firsts[entries].tolist():
            leaders = self.leaders.get(first)
            if leaders is not None and len(leaders) < CROWDED // 2:
                leaders.append(place)


class _Groups(NamedTuple):
    """Places that share a key, group after group; for each, where its group begins and its size."""

    places: NDArray[np.int64]
    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]


def _groups(signatures: NDArray[np.uint32]) -> Iterator[_Groups]:
    """The buckets, band after band."""
    something = np.flatnonzero(signatures.any(axis=1))
    for band in range(BANDS):
        places = something
        for depth in range(1, MAX_DEPTH + 1):
            keys = np.zeros(len(places), np.uint64)
            for row in range(band * ROWS, (band + depth) * ROWS):
                keys = mixed((keys + signatures[places, row % (BANDS * ROWS)]) * BASE)
            groups = _equal(places, keys)
            yield groups
            places = np.sort(groups.places[groups.sizes > CROWDED])
            if not len(places):
                break


def _equal(places: NDArray[np.int64], keys: NDArray[np.uint64]) -> _Groups:
    """The places whose key another has too."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    borders = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    sizes = np.diff(np.concatenate([[0], borders, [len(keys)]]))
    kept = np.repeat(sizes > 1, sizes)
    sizes = sizes[sizes > 1]
    return _Groups(
        places=places[order[kept]],
        begins=np.repeat(np.cumsum(sizes) - sizes, sizes),
        sizes=np.repeat(sizes, sizes),
    )
