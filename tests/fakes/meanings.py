"""A sentence embedding without a model: it counts meanings, a few synonyms each one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from heedful.data.corpus import normalised, words

_SYNONYMS = (
    {"dog", "hound", "dogs", "hounds"},
    {"big", "large", "huge"},
    {"live", "lifetime", "lifespan"},
    {"usually", "usual", "normally", "typical"},
    {"buy", "purchase", "bought", "purchased"},
    {"car", "automobile", "vehicle"},
    {"money", "cash", "funds"},
    {"doctor", "physician"},
    {"child", "kid", "children", "kids"},
    {"begin", "start", "commence"},
)
_EMPTY = {
    *("a", "an", "the", "is", "are", "do", "does", "did", "of", "to", "how", "what", "long"),
    *("in", "on", "when", "where", "who", "it", "its", "for", "at", "by", "with", "and"),
}
_DIMENSIONS = 4096


def embed_meanings(texts: Sequence[str]) -> npt.NDArray[np.floating]:
    """[N, D]: how often each text has each meaning, the words that carry none left out."""
    rows = np.zeros((len(texts), _DIMENSIONS))
    for row, text in zip(rows, texts, strict=True):
        for word in words(normalised(text)):
            if word not in _EMPTY:
                row[_meaning(word)] += 1
    return rows


def _meaning(word: str) -> int:
    for number, synonyms in enumerate(_SYNONYMS):
        if word in synonyms:
            return number
    # Not Python's hash, which differs from run to run.
    code = sum(ord(letter) * 31**place for place, letter in enumerate(word))
    return len(_SYNONYMS) + code % (_DIMENSIONS - len(_SYNONYMS))
