"""The `paraphrase` policy: texts whose embeddings point the same way.

The embedding model is injected; nothing here loads one. Every pair is compared, a block at a
time, so time grows with the square of the number of texts but memory does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heedful.core.errors import ConfigError, DataError
from heedful.data.corpus import Corpus, Link
from heedful.data.linking import Linker

# Texts -> one row each, of any length.
Embed = Callable[[Sequence[str]], NDArray[np.floating]]

_ROWS = 256
# Cosines in single precision.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Texts whose embeddings have a cosine of at least `threshold`; the first stays.

    Attributes:
        embed: The embedding model; it gets normalised texts.
        threshold: What counts as the same depends on the model.
    """

    embed: Embed
    threshold: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError(
                f"paraphrase: threshold {self.threshold}", "It is above 0 and at most 1."
            )

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "paraphrase"

    def find(self, corpus: Corpus) -> list[Link]:
        """Links from each text to earlier similar ones, as `Linker` thins them.

        Raises:
            DataError: The model did not give one row of finite numbers a text.
        """
        linker = Linker()
        if not len(corpus):
            return linker.links
        rows = unit_rows(self.embed(corpus.texts), len(corpus))
        for first in range(0, len(rows), _ROWS):
            block = rows[first : first + _ROWS]
            alike = block @ rows[: first + len(block)].T >= self.threshold - _TOLERANCE
            for place, similar in enumerate(alike, start=first):
                linker.add(place, np.flatnonzero(similar[:place]).tolist())
        return linker.links


def unit_rows(embeddings: NDArray[np.floating], count: int) -> NDArray[np.float32]:
    """The embeddings of `count` texts as float32 rows of length 1; rows of zeros stay.

    Raises:
        DataError: They are not `count` rows of finite numbers.
    """
    if embeddings.ndim != 2 or len(embeddings) != count or not np.isfinite(embeddings).all():
        raise DataError(
            f"the embedding model gave {embeddings.shape} numbers for {count} texts",
            "It must give one row of finite numbers a text.",
        )
    rows = embeddings.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(lengths > 0, lengths, 1)
    return rows
