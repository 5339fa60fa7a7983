"""Which of all similar pairs are worth a link, decided one text at a time.

A family of n similar texts has n * n / 2 pairs. Two things are asked of them: which texts
stay when the others go, and which belong together. Fewer than two links a text tell both.
"""

from collections.abc import Iterable

from heedful.data.corpus import Link


class Linker:
    """Takes the texts in canonical order, each with the earlier ones that it is similar to.

    A text stays if none of those stays. The links are one to the first that stays, and one
    to each group of similar texts that the text brings together: so they have the same
    connected groups, and leave the same texts, as all pairs would.
    """

    def __init__(self) -> None:
        self.links: list[Link] = []
        self._gone: set[int] = set()
        self._parent: dict[int, int] = {}

    def stays(self, place: int) -> bool:
        """Whether a text that was added, or that was never similar to any, stays."""
        return place not in self._gone

    def add(self, place: int, similar: Iterable[int]) -> None:
        """Take the next text."""
        for of in sorted(similar, key=lambda of: (of in self._gone, of)):
            mine, other = self._root(place), self._root(of)
            if mine != other:
                self.links.append(Link(place, of))
                self._parent[mine] = other
                if of not in self._gone:
                    self._gone.add(place)

    def _root(self, place: int) -> int:
        parent = self._parent
        while (above := parent.get(place, place)) != place:
            parent[place] = parent.get(above, above)
            place = parent[place]
        return place


def same(keys: Iterable[object]) -> list[Link]:
    """A link from each place to the first with an equal key; None is equal to nothing."""
    firsts: dict[object, int] = {}
    return [
        Link(place, first)
        for place, key in enumerate(keys)
        if key is not None and (first := firsts.setdefault(key, place)) != place
    ]
