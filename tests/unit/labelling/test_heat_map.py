"""The heat map draws each pair twice, nobody with themselves, and stays readable."""

from heedful.core.statistics import Interval
from heedful.labelling.agreement import Agreement
from heedful.labelling.heat_map import heat_map


def agreement(value: float | None) -> Agreement:
    return Agreement(
        num_prompts=1,
        num_ranking_pairs=1,
        agreed=0,
        compared=1,
        pairwise=None if value is None else Interval(value, None, None),
        tau=None,
        alpha=None,
    )


def test_squares_stand_where_the_pair_meets() -> None:
    people = [("a", "Ana"), ("b", "Bo"), ("c", "Somebody with a very long name")]
    drawn = heat_map(people, {("a", "b"): agreement(0.726), ("a", "c"): agreement(None)})
    assert [(one.text, one.x > drawn.cell) for one in drawn.cells] == [("73", True)] * 2
    first, second = drawn.cells
    assert (first.x - drawn.cell, first.y + drawn.cell) == (second.x, second.y)
    assert [one.text for one in drawn.columns] == ["1", "2", "3"]
    assert drawn.rows[2].text == "3 Somebody with a…"
    assert drawn.width > drawn.cells[0].x + drawn.cell
    assert drawn.height >= drawn.cells[1].y + drawn.cell


def test_shades_grow_with_agreement_and_never_hide_the_number() -> None:
    people = [(str(n), str(n)) for n in range(5)]
    values = (0.0, 1 / 3, 0.6, 1.0)
    pairs = {("0", str(n)): agreement(value) for n, value in enumerate(values, start=1)}
    shades = [cell.shade for cell in heat_map(people, pairs).cells[:4]]
    assert shades[0] == shades[1] == 0.04
    assert shades == sorted(shades)
    assert shades[-1] == 0.45
