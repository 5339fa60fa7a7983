"""The words of many texts as numbers in flat arrays, and hashes of their windows.

A million prompts as lists of strings need gigabytes; as numbers they need megabytes, and
windows of words are hashed a corpus at a time. What the windows are compared for is the
policies' affair.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
from numpy.typing import NDArray

from heedful.data.corpus import words

BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class _Numbers(dict[str, int]):
    """Words to numbers, counted up as they are met."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTable:
    """The words of N texts; text i has `numbers[starts[i]:starts[i + 1]]`.

    Attributes:
        numbers: Equal where the words are equal.
        starts: N + 1 places in `numbers`.
        hashes: 64 bits of each word, by number; the same in every table.
    """

    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """The table of some normalised texts."""
        numbers = _Numbers()
        flat = array("i")
        starts = [0]
        for text in texts:
            flat.extend(map(numbers.__getitem__, words(text)))
            starts.append(len(flat))
        digests = (
            blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest() for word in numbers
        )
        return cls(
            numbers=np.array(flat, dtype=np.int32),
            starts=np.array(starts, dtype=np.int64),
            hashes=np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Words of each text."""
        return np.diff(self.starts)

    def words_of(self, text: int) -> NDArray[np.int32]:
        """The numbers of one text's words, in order."""
        return self.numbers[self.starts[text] : self.starts[text + 1]]

    def windows(self, size: int) -> NDArray[np.uint64]:
        """A hash of the `size` words from each place on, whatever text they belong to.

        Equal words hash equally in every table. Shape `[len(numbers) - size + 1]`.
        """
        count = max(len(self.numbers) - size + 1, 0)
        found = np.zeros(count, np.uint64)
        for offset in range(size):
            found *= BASE
            found += self.hashes[self.numbers[offset : offset + count]]
        return mixed(found)


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The values with every bit spread over all others, in place."""
    values ^= values >> np.uint64(31)
    values *= _MIX
    values ^= values >> np.uint64(29)
    return values


def ranges(firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """`first, first + 1, ...`, `count` of them, for each pair, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    found: NDArray[np.int64] = np.arange(total) + np.repeat(firsts - (ends - counts), counts)
    return found
