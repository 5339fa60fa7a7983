"""The frame, the macros, the style sheet and the vendored library of the labelling pages."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from heedful.labelling.rendering import templates
from heedful.reports.palette import PAGE

FOLDER = Path(__file__).parents[3] / "src" / "heedful" / "labelling"
CSS = (FOLDER / "static" / "heedful.css").read_text(encoding="utf-8")
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", CSS)
}
# Every pair of colours in which text is set: ink on ground.
TEXTS = (
    *((ink, at) for ink in ("ink", "muted", "link") for at in ("paper", "surface", "sunken")),
    *((f"{kind}-ink", kind) for kind in ("badge", "good", "bad", "info")),
    ("ink", "chosen"), ("link", "chosen"), ("muted", "chosen"),
    ("on-link", "link"), ("on-link", "link-deep"), ("link-deep", "paper"), ("link-deep", "sunken"),
    ("bad-ink", "paper"), ("bad-ink", "surface"), ("good-ink", "paper"),
)  # fmt: skip
EDGES = (("control", "paper"), ("control", "surface"), ("fill", "info"), ("link", "paper"))


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_controls_stand_out_from_their_ground(theme: int) -> None:
    def at(pair: tuple[str, str]) -> float:
        return contrast(COLOURS[pair[0]][theme], COLOURS[pair[1]][theme])

    assert {pair: round(at(pair), 2) for pair in TEXTS if at(pair) < 4.5} == {}
    assert {pair: round(at(pair), 2) for pair in EDGES if at(pair) < 3} == {}


def test_the_colours_are_those_of_the_reports() -> None:
    reports = {name: (colour.light, colour.dark) for name, colour in PAGE.items()}
    assert {name: COLOURS[name] for name in reports} == reports


def test_vendored_files_are_as_published() -> None:
    vendor = FOLDER / "static" / "vendor"
    readme = (vendor / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    found = {
        path.relative_to(vendor).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert found == listed
    assert all(b"sourceMappingURL" not in path.read_bytes() for path in vendor.rglob("*.js"))


def test_nothing_inline_and_nothing_external_in_templates() -> None:
    """A strict Content-Security-Policy refuses what is looked for here."""
    wrong = re.compile(
        r'\sstyle="|<style|\son[a-z]+="|<script(?![^>]*\s(?:src=|type="application/json"))|(?:src|href)="(?:https?:)?//|hx-on'
    )
    found = {
        f"{path.relative_to(FOLDER)}:{line.strip()[:80]}"
        for path in (FOLDER / "templates").rglob("*.html")
        for line in path.read_text(encoding="utf-8").splitlines()
        if wrong.search(line)
    }
    assert found == set()
    assert re.findall(r"url\((?!#)", CSS) == []


def rendered(body: str, role: str = "researcher", path: str = "/projects/p1/batches") -> str:
    account = SimpleNamespace(role=role, name="Ada <b>", preferences={"theme": "dark"})
    source = (
        '{% extends "base.html" %}{% block main %}'
        '{% from "_forms.html" import csrf, field, textarea, select, radios, likert, checkbox,'
        " upload, button, post_button, confirm, errors with context %}"
        '{% from "_parts.html" import badge, tile, progress, empty, table, tabs, pagination, time,'
        f" definitions, crumbs, bars, stacked, line, intervals, diff %}}{body}{{% endblock %}}"
    )
    return (
        templates()
        .from_string(source)
        .render(
            viewer=SimpleNamespace(account=account, csrf="tok<en"),
            request=SimpleNamespace(url=SimpleNamespace(path=path)),
            project=SimpleNamespace(id="p1", name="Harbour", simulated=True),
            messages=[("good", "Saved <i>.")],
            now=datetime(2026, 11, 22, 9, 5, tzinfo=UTC),
        )
    )


def test_the_frame_escapes_names_marks_the_page_and_shows_rehearsals() -> None:
    html = rendered("<h1>Batches</h1>")
    assert "Ada &lt;b&gt;" in html
    assert "Saved &lt;i&gt;." in html
    assert '<html lang="en" data-theme="dark">' in html
    assert '<a href="/projects/p1/batches" aria-current="page">Batches</a>' in html
    assert '<a href="/projects/p1">Dashboard</a>' in html
    assert "Programs, not people" in html


def test_the_frame_takes_no_name_from_its_pages() -> None:
    source = (FOLDER / "templates" / "base.html").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"\{%-? set (\w+) =", source) if name[0] != "_"] == [
        "within"  # inside a macro
    ]


@pytest.mark.parametrize(
    ("role", "seen", "unseen"),
    [
        ("labeller", {"/work", "/work/history"}, {"/projects", "/admin/accounts", "/review"}),
        ("reviewer", {"/review", "/work"}, {"/projects", "/admin/accounts"}),
        ("researcher", {"/projects", "/review"}, {"/admin/accounts"}),
        ("admin", {"/projects", "/admin/accounts", "/admin/audit"}, {"/work/history"}),
    ],
)
def test_the_header_knows_the_role(role: str, seen: set[str], unseen: set[str]) -> None:
    links = set(re.findall(r'href="([^"]+)"', rendered("", role)))
    assert seen <= links
    assert not unseen & links


def test_somebody_signed_out_gets_no_navigation() -> None:
    source = '{% extends "base.html" %}{% block main %}<h1>Sign in</h1>{% endblock %}'
    html = templates().from_string(source).render(viewer=None)
    assert "<nav" not in html
    assert "Skip to the content" in html


def test_controls_are_joined_to_their_labels_helps_and_errors() -> None:
    html = rendered(
        '{{ field("name", "Na<me", "a\\"b", help="Short.", error="Too long.") }}'
        '{{ textarea("t", "Text", "\\nfirst", maxlength=1200) }}'
        '{{ select("k", "Kind", ["one", ("2", "two")], 2) }}'
        '{{ likert("q", "Quality", 3) }}{{ confirm("/x", "Close", "Sure?", {"a": 1}, "Why") }}'
        '{{ errors({"name": "Too long."}) }}'
    )
    assert '<label for="name">Na&lt;me</label>' in html
    assert 'value="a&#34;b"' in html
    assert 'aria-describedby="name-help name-error" aria-invalid="true"' in html
    assert "At most 1,200 characters" in html
    # A browser drops the first line break of a textarea: the macro adds one of its own.
    assert re.search(r"<textarea[^>]*>\n\nfirst</textarea>", html)
    assert '<option value="2" selected>two</option>' in html
    assert html.count("checked") == 1
    assert html.count('name="csrf_token" value="tok&lt;en"') == 2
    assert '<a href="#name">Too long.</a>' in html


def test_parts_render_with_nothing_in_them_and_with_something() -> None:
    html = rendered(
        '{{ bars([], "None") }}{{ line([], "None") }}{{ stacked([], "None") }}{{ progress(0, 0) }}'
        '{{ empty("No batches") }}{{ time(none) }}{{ time(now, "day") }}{{ pagination(1, 1, "/") }}'
        '{{ bars([("a", 1.0, "1")], "Some") }}{{ line([("Mon", 2)], "Some") }}'
        '{{ intervals([("a", 0.7, 0.6, 0.8, "70"), ("b", none, none, none, "-")], "I", 0.5, 1) }}'
        '{{ diff([("add", "<new>"), ("remove", "old"), ("same", "kept")]) }}'
        '{{ pagination(2, 3, "/x?a=1") }}{{ tabs([("/a", "All", 3)], "/a") }}'
    )
    assert "22 Nov 2026" in html
    assert "&lt;new&gt;" in html
    assert 'href="/x?a=1&amp;page=3"' in html
    assert 'x1="40.00" x2="120.00"' in html


def test_the_tour_shows_every_picture_in_every_view_and_stays_small() -> None:
    docs = FOLDER.parents[2] / "docs"
    shown = set(
        re.findall(r"images/labelling/([\w-]+\.png)", (docs / "labelling-tour.md").read_text())
    )
    taken = {path.name: path.stat().st_size for path in (docs / "images" / "labelling").iterdir()}
    assert shown == set(taken)
    names = {name.rpartition("-")[0] for name in taken}
    assert set(taken) == {
        f"{name}-{view}.png" for name in names for view in ("light", "dark", "phone")
    }
    assert sum(taken.values()) < 6_000_000
