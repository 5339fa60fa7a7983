"""Contrasts of WCAG 2.2 AA by computation, and looks that can be told apart."""

from itertools import combinations

import pytest

from heedful.reports.palette import (
    PAGE,
    SERIES,
    Colour,
    assign_series,
    in_order,
    set_series,
    variables,
)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, definition)."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("background", ["paper", "surface"])
@pytest.mark.parametrize("text", ["ink", "muted", "link"])
def test_text_has_contrast(text: str, background: str, mode: str) -> None:
    assert contrast(getattr(PAGE[text], mode), getattr(PAGE[background], mode)) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_badges_and_the_chosen_theme_have_contrast(mode: str) -> None:
    assert contrast(getattr(PAGE["badge-ink"], mode), getattr(PAGE["badge"], mode)) >= 4.5
    assert contrast(getattr(PAGE["paper"], mode), getattr(PAGE["ink"], mode)) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", [name for name in variables() if name.startswith("series-")])
def test_series_have_contrast_on_both_backgrounds(name: str, mode: str) -> None:
    colour: Colour = variables()[name]
    for background in ("paper", "surface"):
        assert contrast(getattr(colour, mode), getattr(PAGE[background], mode)) >= 3


def test_light_colours_are_distinct_so_that_figures_can_name_them() -> None:
    light = [colour.light for colour in variables().values()]
    assert len(set(light)) == len(light)


def test_known_series_differ_in_marker_as_well_as_colour() -> None:
    for one, other in combinations(SERIES.values(), 2):
        assert one.marker != other.marker
        assert one.colour != other.colour


def test_names_of_their_own_get_a_look_each() -> None:
    looks = assign_series(["ppo", "seed-1", "seed-2", "seed-1"])
    assert looks["ppo"] is SERIES["ppo"]
    assert looks["seed-1"].colour != looks["seed-2"].colour
    assert looks["seed-1"].label == "seed-1"


def test_order_is_the_papers_then_as_they_come() -> None:
    assert in_order(["mine", "ppo_ptx", "start", "mine"]) == ["start", "ppo_ptx", "mine"]


def test_two_data_sets_differ_in_colour_and_keep_their_names() -> None:
    looks = set_series(["mine", "theirs"])
    assert looks["mine"].colour != looks["theirs"].colour
    assert [look.label for look in looks.values()] == ["mine", "theirs"]
