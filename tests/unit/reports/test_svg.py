"""Inline SVG: colours as variables, text as text, ids of its own, equal bytes."""

import re

from heedful.reports.palette import SERIES
from heedful.reports.svg import new_figure, to_svg


def drawn(key: str, title: str = "A title", label: str = "a label") -> str:
    with new_figure(key, 200, 100) as figure:
        axes = figure.subplots()
        axes.plot([1, 2, 3], color=SERIES["ppo"].colour.light, marker="o")
        axes.set_xlabel(label)
        return str(to_svg(figure, key, title, "What it shows."))


def test_colours_are_variables_and_none_is_fixed() -> None:
    svg = drawn("one")
    assert "var(--series-ppo)" in svg
    assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []


def test_text_stays_text_in_the_font_of_the_page() -> None:
    svg = drawn("one")
    assert ">a label</text>" in svg
    assert "font-size: 12px" in svg
    assert "DejaVu" not in svg


def test_labels_are_escaped_and_never_mathematics() -> None:
    svg = drawn("one", title="<b>", label="</svg><script> $x$")
    assert "&lt;/svg&gt;&lt;script&gt; $x$" in svg
    assert '<title id="one-title">&lt;b&gt;</title>' in svg


def test_it_names_and_describes_itself() -> None:
    svg = drawn("one")
    assert 'role="img"' in svg
    assert 'aria-labelledby="one-title one-desc"' in svg
    assert '<desc id="one-desc">What it shows.</desc>' in svg


def test_ids_are_of_the_figure_and_all_references_resolve() -> None:
    one, two = drawn("one"), drawn("two")
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, two)]
    assert ids[0].isdisjoint(ids[1])
    referred = re.findall(r'href="#([^"]+)"', one) + re.findall(r"url\(#([^)]+)\)", one)
    assert referred
    assert set(referred) <= ids[0]


def test_equal_figures_are_equal_bytes_without_metadata_or_style_sheet() -> None:
    svg = drawn("one")
    assert svg == drawn("one")
    for unwanted in ("<metadata", "<style", "<?xml", "<!DOCTYPE", "purl.org"):
        assert unwanted not in svg
