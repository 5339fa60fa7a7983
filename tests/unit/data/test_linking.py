"""Thinned links decide the same as all of them."""

from hypothesis import given
from hypothesis import strategies as st

from fakes.brute_dedup import greedy, groups
from heedful.data.corpus import Link
from heedful.data.linking import Linker, same

SIZE = 9
graphs = st.sets(
    st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))
    .filter(lambda pair: pair[0] > pair[1])
    .map(lambda pair: Link(*pair))
)


@given(graphs)
def test_the_same_stay_and_the_same_belong_together(links: set[Link]) -> None:
    linker = Linker()
    for place in range(SIZE):
        linker.add(place, [of for mine, of in links if mine == place])
    assert set(linker.links) <= links
    assert len(linker.links) < SIZE
    assert groups(SIZE, linker.links) == groups(SIZE, links)
    staying = greedy(SIZE, links)
    assert greedy(SIZE, set(linker.links)) == staying
    assert {place for place in range(SIZE) if linker.stays(place)} == staying


def test_equal_keys_are_linked_to_the_first_and_none_to_nothing() -> None:
    assert same(["x", None, "y", "x", None, "x"]) == [Link(3, 0), Link(5, 0)]
