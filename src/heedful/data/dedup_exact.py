"""The `exact` policy: equal texts, up to Unicode form, case and white space."""

from dataclasses import dataclass

from heedful.data.corpus import Corpus, Link
from heedful.data.linking import same


@dataclass(frozen=True, slots=True)
class Exact:
    """Equal normalised texts; the first in canonical order stays."""

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "exact"

    def find(self, corpus: Corpus) -> list[Link]:
        """Each repetition, linked to the first of its text."""
        return same(corpus.texts)
