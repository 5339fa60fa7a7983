"""Filters, Markdown and pages: what people wrote comes out inert."""

from datetime import UTC, datetime, timedelta

import pytest
from jinja2 import UndefinedError

from fakes.inert_html import MARK, faults_of
from heedful.labelling.rendering import (
    NOTHING,
    STATIC,
    ago,
    asset,
    asset_hash,
    duration,
    fields_of,
    markdown,
    moment,
    money,
    percent,
    templates,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=-5), "in a moment"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=-2), "in 2 days"),
    ],
)
def test_ago(before: timedelta, words: str) -> None:
    assert ago(NOW - before, NOW) == words


def test_words_for_numbers() -> None:
    assert [duration(n) for n in (8, 130.4, 3900, timedelta(minutes=2))] == [
        "8 s",
        "2 min 10 s",
        "1 h 05 min",
        "2 min 00 s",
    ]
    assert (money(1234.5), money(3, "USD")) == ("1,234.50 EUR", "3.00 USD")
    assert (percent(0.7258), percent(0.5, 0)) == ("72.6 %", "50 %")
    assert moment(NOW) == "2026-11-22 12:00 UTC"
    assert {duration(None), money(None), percent(None), moment(None)} == {NOTHING}
    assert ago(None) == "never"


@pytest.mark.parametrize(
    "text",
    [
        MARK,
        f"# {MARK}\n\n- {MARK}\n\n| a | b |\n|:-|-:|\n| {MARK} | {MARK} |",
        "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html,<script>)",
        "[a](//evil.example) [b](vbscript:x) ![i](http://evil.example/i.png)",
        "[c]: javascript:alert(1)\n\n[c]",
        "<javascript:alert(1)> <https://ok.example>",
        "```html\n<script>x</script>\n```\n\n<div style='x'>",
        '[t](https://ok.example "\\" onmouseover=alert(1)")',
        "&lt;script&gt; &#106;avascript:x",
    ],
)
def test_markdown_is_inert(text: str) -> None:
    rendered = str(markdown(text))
    assert faults_of(rendered) == []
    assert "<img" not in rendered
    assert 'href="//' not in rendered


def test_markdown_keeps_what_it_is_for() -> None:
    rendered = markdown(
        "# One\n\n**two** `three`\n\n[four](https://a.example/b?c=d&e=f)\n\n~~five~~"
    )
    assert "<h2>One</h2>" in rendered
    assert "<strong>two</strong> <code>three</code>" in rendered
    assert 'href="https://a.example/b?c=d&amp;e=f"' in rendered
    assert 'rel="noopener noreferrer nofollow"' in rendered
    assert "<s>five</s>" in rendered
    assert "<h4>One</h4>" in markdown("# One", heading_level=4)
    assert "<h6>" in markdown("###### Six", heading_level=3)
    assert '<td class="align-right">' in markdown("|a|\n|-:|\n|b|")


def test_templates_escape_and_know_no_undefined_names() -> None:
    page = templates().from_string("<p title='{{ text }}'>{{ text }}</p>")
    assert faults_of(page.render(text=MARK)) == []
    with pytest.raises(UndefinedError):
        page.render()


def test_no_template_switches_escaping_off() -> None:
    for file in (STATIC.parent / "templates").rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        for way in ("|safe", "| safe", "autoescape", "Markup("):
            assert way not in text, file.name


def test_files_are_addressed_by_their_hash() -> None:
    assert asset("heedful.css") == f"/static/heedful.css?v={asset_hash('heedful.css')}"
    assert len(asset_hash("heedful.css")) == 12


def test_fields_of_a_forms_complaints() -> None:
    errors = [
        {"loc": ("body", "name"), "msg": "too long"},
        {"loc": ("body", "name"), "msg": "second"},
        {"loc": ("query", "page", 0), "msg": "no number"},
        {"loc": ("body",), "msg": "missing"},
    ]
    assert fields_of(errors) == {"name": "too long", "page.0": "no number", "request": "missing"}
