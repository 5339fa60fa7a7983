"""What the data room asks of a sentence embedding model, which is always injected."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from heedful.core.errors import DataError

# N texts -> N rows of any one length.
Embed = Callable[[Sequence[str]], NDArray[np.floating]]


def unit_rows(embed: Embed, texts: Sequence[str]) -> NDArray[np.float32]:
    """The embeddings of N texts at length 1, `[N, D]`; rows of zeros stay so.

    Raises:
        DataError: The model did not give one row of finite numbers a text.
    """
    rows = np.array(embed(texts), dtype=np.float32)
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise DataError(
            f"the embedding model gave an array of shape {rows.shape} for {len(texts)} texts",
            "It must give one row of finite numbers for each text.",
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(lengths > 0, lengths, 1)
    return rows
