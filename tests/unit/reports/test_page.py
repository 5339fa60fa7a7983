"""The whole page: self-contained, safe with hostile text, labelled, deterministic."""

import re
from html.parser import HTMLParser
from pathlib import Path

from fakes.quickstart_folder import HOSTILE, write_reward_run
from heedful.reports.page import build_report

VOID = {"meta", "link", "input", "br"}


class Outline(HTMLParser):
    """Elements, ids and attributes of a page; unbalanced tags are remembered."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.errors.append(tag)


def test_the_page_is_well_formed_with_unique_ids_that_links_reach(html: str) -> None:
    outline = Outline(html)
    assert outline.errors == []
    assert len(set(outline.ids)) == len(outline.ids)
    targets = {v[1:] for n, v in outline.attributes if n == "href" and v.startswith("#")}
    assert targets <= set(outline.ids)


def test_nothing_is_fetched_and_nothing_runs(html: str) -> None:
    outline = Outline(html)
    assert outline.tags.isdisjoint({"script", "img", "iframe", "object", "base", "form"})
    assert not [name for name, _ in outline.attributes if name.startswith("on") or name == "src"]
    links = [v for n, v in outline.attributes if n in ("href", "xlink:href", "action")]
    assert all(link.startswith(("#", "data:,")) for link in links)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


def test_completions_and_prompts_are_text(html: str) -> None:
    assert HOSTILE not in html
    escaped = "&lt;/div&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
    assert html.count(escaped) >= 3


def test_simulation_is_said_in_the_headline_and_every_figure(html: str) -> None:
    header = html[html.index("<header>") : html.index("</header>")]
    assert "Simulated labels" in header.split("<figure")[0]
    captions = re.findall(r"<figcaption>.*?</figcaption>", html, flags=re.DOTALL)
    assert len(captions) == 18
    assert all("Simulated labels" in caption for caption in captions)


def test_equal_inputs_give_equal_bytes(folder: Path, tmp_path: Path, html: str) -> None:
    again = build_report(folder, tmp_path / "deeper" / "again.html")
    assert again.read_text(encoding="utf-8") == html


def test_a_single_reward_run_has_a_report_that_says_what_is_absent(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    html = build_report(tmp_path / "reward", tmp_path / "report.html").read_text(encoding="utf-8")
    assert Outline(html).errors == []
    assert "Calibration" in html
    for absent in ("No win rates", "No completions to compare", "No learning curves of PPO"):
        assert html.count(absent) == 2, absent  # where one would look, and in the list
