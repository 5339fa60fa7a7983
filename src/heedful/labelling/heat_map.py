"""The heat map of labeller pairs as geometry: squares with a shade and a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heedful.labelling.agreement import Agreement

_CELL, _LEFT, _TOP = 44, 132, 24
_FAINTEST, _STRONGEST = 0.04, 0.45  # so that the number stays readable on the shade
_CHANCE = 1 / 3  # of three answers: better, worse, tied
_LONGEST_NAME = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One square; `text` is a whole percentage."""

    x: int
    y: int
    shade: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A labeller's number above a column, or number and name before a row."""

    x: int
    y: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Everything there is to draw, in units of the view box."""

    width: int
    height: int
    cell: int
    cells: tuple[Cell, ...]
    rows: tuple[Label, ...]
    columns: tuple[Label, ...]


def heat_map(
    labellers: Sequence[tuple[str, str]], pairs: Mapping[tuple[str, str], Agreement]
) -> HeatMap:
    """The map of (id, name) labellers, who stand in this order.

    Args:
        labellers: Rows and columns.
        pairs: Agreement by two ids in either order; where there is none, no square is drawn.
    """
    cells = []
    for row, (one, _) in enumerate(labellers):
        for column, (other, _) in enumerate(labellers):
            found = pairs.get((one, other)) or pairs.get((other, one))
            if found is not None and found.pairwise is not None:
                cells.append(
                    Cell(
                        x=_LEFT + column * _CELL,
                        y=_TOP + row * _CELL,
                        shade=_shade(found.pairwise.value),
                        text=f"{100 * found.pairwise.value:.0f}",
                    )
                )
    middle = _CELL // 2
    return HeatMap(
        width=_LEFT + _CELL * len(labellers),
        height=_TOP + _CELL * len(labellers),
        cell=_CELL,
        cells=tuple(cells),
        rows=tuple(
            Label(x=0, y=_TOP + place * _CELL + middle, text=f"{place + 1} {_short(name)}")
            for place, (_, name) in enumerate(labellers)
        ),
        columns=tuple(
            Label(x=_LEFT + place * _CELL + middle, y=_TOP - 8, text=str(place + 1))
            for place in range(len(labellers))
        ),
    )


def _shade(value: float) -> float:
    above_chance = max(0.0, (value - _CHANCE) / (1 - _CHANCE))
    return round(_FAINTEST + (_STRONGEST - _FAINTEST) * above_chance, 3)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
