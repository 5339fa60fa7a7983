"""Questions that a training source asks in other words, by sentence embeddings.

The embedding is injected; `heedful.models.embedding` makes one of a model's folder.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from heedful.data.contamination_records import OverlapRules
from heedful.data.contamination_search import Finding
from heedful.data.corpus import normalised, words
from heedful.data.embedding import Embed, unit_rows
from heedful.data.evaluation_sets import EvaluationItem
from heedful.data.training_documents import Document

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
        self._questions = unit_rows(embed, [items[number].question for number in self._items])

    def find(self, documents: Iterable[Document]) -> list[Finding]:
        """Each question that some passage of the documents is close to, with the closest."""
        best = np.full(len(self._items), -1.0)
        document = np.zeros(len(self._items), dtype=np.int64)
        place = np.zeros(len(self._items), dtype=np.int64)
        passages = _passages(documents, self._rules.min_words)
        while block := list(islice(passages, _BLOCK)):
            cosines = self._questions @ unit_rows(self._embed, [text for _, _, text in block]).T
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
