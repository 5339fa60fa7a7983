"""The colours of the page and of the series in its figures, for light and dark.

Each role is a CSS variable; figures are drawn in the light colours and their colours are
then replaced by the variables (`heedful.reports.svg`), so that they follow the page.
Tests compute the contrasts: text 4.5 to 1, lines and marks 3 to 1 (WCAG 2.2, AA).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One role's colour on a light and on a dark page, as `#rrggbb`."""

    light: str
    dark: str


PAGE: dict[str, Colour] = {
    "paper": Colour("#fbfaf7", "#14171a"),
    "surface": Colour("#fefefe", "#1c2025"),
    "ink": Colour("#1d2127", "#e7e5df"),
    "muted": Colour("#575f69", "#a6aeb8"),
    "rule": Colour("#dcd9d1", "#343a42"),
    "link": Colour("#0b5c8a", "#84c2ea"),
    "badge": Colour("#f6e7c6", "#47340c"),
    "badge-ink": Colour("#664000", "#ffdc94"),
}


@dataclass(frozen=True, slots=True)
class Series:
    """How one model or stage looks wherever it appears.

    Attributes:
        key: Its name in files, and of its CSS variable.
        marker: A matplotlib marker, so that colour is never the only difference.
    """

    key: str
    label: str
    colour: Colour
    marker: str = "o"


_KNOWN = (
    Series("start", "Start model", Colour("#676d75", "#9aa3ad"), "s"),
    Series("start_few_shot", "Start, few-shot", Colour("#86672f", "#c9a766"), "D"),
    Series("sft", "SFT", Colour("#1f6fb2", "#6cb2ec"), "o"),
    Series("ppo_init", "PPO start", Colour("#1f7f76", "#5cc4b8"), "v"),
    Series("ppo", "PPO", Colour("#b8501a", "#f29a5c"), "^"),
    Series("ppo_ptx", "PPO-ptx", Colour("#9d2f7b", "#e583c4"), "p"),
    Series("reward", "Reward model", Colour("#5753ae", "#a5a1f0"), "h"),
)
SERIES = {series.key: series for series in _KNOWN}
MODELS = ("start", "start_few_shot", "sft", "ppo_init", "ppo", "ppo_ptx")

# For runs and models under names of their own: neutral of meaning, told apart by marker.
_OTHERS = (
    (Colour("#4a7522", "#9ccb6b"), "o"),
    (Colour("#ab353c", "#f08f8f"), "s"),
    (Colour("#3f6274", "#8fb6c9"), "^"),
    (Colour("#7a5a86", "#c7a3d4"), "D"),
)

# What a data room keeps and drops, and two data sets side by side: blue and orange can be
# told apart by everybody.
KEPT = Series("other-3", "kept", _OTHERS[2][0])
DROPPED = Series("other-2", "dropped", _OTHERS[1][0])


def set_series(names: Sequence[str]) -> dict[str, Series]:
    """A look for each of two data sets."""
    return {
        name: Series(look.key, name, look.colour, look.marker)
        for name, look in zip(names, (SERIES["sft"], SERIES["ppo"]), strict=False)
    }


def assign_series(names: Sequence[str]) -> dict[str, Series]:
    """A look for each name: its own where it is known, otherwise one of a small cycle."""
    assigned: dict[str, Series] = {}
    for name in names:
        if name in assigned:
            continue
        if name in SERIES:
            assigned[name] = SERIES[name]
        else:
            slot = sum(known not in SERIES for known in assigned) % len(_OTHERS)
            colour, marker = _OTHERS[slot]
            assigned[name] = Series(f"other-{slot + 1}", name, colour, marker)
    return assigned


def in_order(names: Sequence[str]) -> list[str]:
    """Known models in the paper's order, then the others as they come, each once."""
    known = [name for name in SERIES if name in names]
    return known + [name for name in dict.fromkeys(names) if name not in SERIES]


def variables() -> dict[str, Colour]:
    """Every CSS variable of the page, by name without the leading dashes."""
    found = dict(PAGE)
    found |= {f"series-{series.key}": series.colour for series in _KNOWN}
    found |= {f"series-other-{n}": colour for n, (colour, _) in enumerate(_OTHERS, start=1)}
    return found
