"""Questions that a training source asks in other words, by sentence embeddings.

The embedding is injected; `heedful.models.embedding` makes one of a model's folder.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from heedful.core.errors import DataError
from heedful.data.contamination_records import OverlapRules
from heedful.data.contamination_search import Finding
from heedful.data.corpus import normalised, words
from heedful.data.evaluation_sets import EvaluationItem
from heedful.data.training_documents import Document

Embed = Callable[[Sequence[str]], npt.NDArray[np.floating]]
_BLOCK = 512


class Paraphrases:
    """Questions of at least `min_words`, embedded once."""

    def __init__(self, items: Sequence[EvaluationItem], embed: Embed, rules: OverlapRules) -> None:
        self._embed, self._rules = embed, rules
        self._items = [
            number
            for number, item in enumerate(items)
            if len(words(normalised(item.question))) >= rules.min_words
        ]
        self._questions = self._unit([items[number].question for number in self._items])

    def find(self, documents: Iterable[Document]) -> list[Finding]:
        """Each question that some passage of the documents is close to, with the closest."""
        best = np.full(len(self._items), -1.0)
        document = np.zeros(len(self._items), dtype=np.int64)
        place = np.zeros(len(self._items), dtype=np.int64)
        passages = _passages(documents, self._rules.min_words)
        while block := list(islice(passages, _BLOCK)):
            cosines = self._questions @ self._unit([text for _, _, text in block]).T
            closest = cosines.argmax(axis=1)
            cosine = cosines[np.arange(len(closest)), closest]
            closer = cosine > best
            best[closer] = cosine[closer]
            document[closer] = np.array([number for number, _, _ in block])[closest[closer]]
            place[closer] = np.array([begin for _, begin, _ in block])[closest[closer]]
        near = np.flatnonzero(best >= self._rules.paraphrase_cosine)
        return [
            Finding(
                item=self._items[row],
                rule="paraphrase",
                overlap=min(float(best[row]), 1.0),
                document=int(document[row]),
                place=int(place[row]),
            )
            for row in near
        ]

    def _unit(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embeddings of length 1."""
        rows = np.asarray(self._embed(texts), dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(texts):
            raise DataError(
                f"the embedding gave an array of shape {rows.shape} for {len(texts)} texts",
                "It must give one row for each text.",
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit


def _passages(documents: Iterable[Document], min_words: int) -> Iterator[tuple[int, int, str]]:
    """(document, its first word, text) of each line of enough words, and of each whole text.

    The whole too, since a question may go over several lines.
    """
    for number, document in enumerate(documents):
        begin = 0
        lines = document.text.splitlines()
        for line in lines:
            length = len(words(normalised(line)))
            if length >= min_words:
                yield number, begin, line
            begin += length
        if len(lines) > 1:
            yield number, 0, document.text
