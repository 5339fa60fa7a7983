"""The `common-prefix` policy: prompts that begin alike (paper, section 3.2).

The paper names no length. Here a text goes if an earlier one begins with the same words, at
least `min_words` of them and at least `min_share` of the text that goes, so that what is
lost has mostly been said.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

from heedful.core.errors import ConfigError
from heedful.data.corpus import Corpus, Link, words
from heedful.data.linking import Linker


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """Texts of which most is how an earlier text begins.

    Attributes:
        min_words: Of the common prefix.
        min_share: Of the words of the later text that the common prefix makes up.
    """

    min_words: int = 16
    min_share: float = 0.5

    def __post_init__(self) -> None:
        if self.min_words < 1 or not 0 <= self.min_share <= 1:
            raise ConfigError(
                f"common-prefix: min_words {self.min_words}, min_share {self.min_share}",
                "min_words is at least 1, min_share from 0 to 1.",
            )

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "common-prefix"

    def find(self, corpus: Corpus) -> list[Link]:
        """Links from each text to earlier ones, as `Linker` thins them."""
        heads = [tuple(words(text)[: self.min_words]) for text in corpus.texts]
        shared = Counter(heads)
        nodes: dict[tuple[int, str], int] = {}
        first_to_stay: dict[int, int] = {}
        # Who begins so. A text that is linked to all of them stands for them afterwards.
        beginning: dict[int, list[int]] = defaultdict(list)
        linker = Linker()
        for place, head in enumerate(heads):
            if len(head) < self.min_words or shared[head] < 2:
                continue
            path = _path(nodes, words(corpus.texts[place]))
            needed = max(self.min_words, math.ceil(self.min_share * len(path) - 1e-9))
            node = path[needed - 1]
            similar = set(beginning.pop(node, ()))
            if node in first_to_stay:
                similar.add(first_to_stay[node])
            linker.add(place, similar)
            for begun in path[self.min_words - 1 :]:
                beginning[begun].append(place)
                if linker.stays(place):
                    first_to_stay.setdefault(begun, place)
        return linker.links


def _path(nodes: dict[tuple[int, str], int], found: list[str]) -> list[int]:
    """The nodes of a trie on the way along some words, made where they are missing."""
    path = []
    node = 0
    for word in found:
        node = nodes.setdefault((node, word), len(nodes) + 1)
        path.append(node)
    return path
