"""The data room's page: self-contained, safe with hostile text, deterministic, in part."""

import re
import shutil
from pathlib import Path

from fakes.quickstart_folder import HOSTILE
from heedful.reports.data_page import build_data_report

SECTIONS = (
    "dropped",
    "personal-data",
    "duplicates",
    "caps",
    "split",
    "contamination",
    "distribution",
    "lineage",
)


def test_sections_follow_the_stages_and_links_reach_them(data_html: str) -> None:
    assert re.findall(r'<section id="([^"]+)"', data_html) == list(SECTIONS)
    ids = re.findall(r' id="([^"]+)"', data_html)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', data_html)) <= set(ids)


def test_nothing_is_fetched_and_hostile_text_is_text(data_html: str) -> None:
    assert HOSTILE not in data_html
    assert "&lt;/div&gt;&lt;script&gt;" in data_html
    assert not re.findall(
        r"<(?:script|img|iframe|object|form)\b|<[^<>]*\s(?:src|on\w+)=", data_html
    )
    assert "default-src 'none'" in data_html
    assert 'id="missing"' not in data_html


def test_simulated_demonstrations_are_said_in_the_headline(data_html: str) -> None:
    header = data_html[data_html.index("<header>") : data_html.index("</header>")]
    assert "Simulated labels</span> Programs" in header
    assert 'href="#distribution"' in header


def test_equal_folders_give_equal_bytes(room: Path, tmp_path: Path, data_html: str) -> None:
    again = build_data_report(room, tmp_path / "deeper" / "again.html")
    assert again.read_text(encoding="utf-8") == data_html


def test_a_run_that_has_only_read_has_a_page(room: Path, tmp_path: Path) -> None:
    shutil.copytree(room / "read", tmp_path / "run" / "read")
    out = build_data_report(tmp_path / "run", tmp_path / "report.html")
    html = out.read_text(encoding="utf-8")
    found = re.findall(r'<section id="([^"]+)"', html)
    assert found == ["dropped", "personal-data", "lineage"]
    assert "770 of 773 prompts are left<" in html


def test_a_page_that_leaves_the_house_names_ids_only(room: Path, tmp_path: Path) -> None:
    html = build_data_report(room, tmp_path / "r.html", quote_only=[]).read_text(encoding="utf-8")
    assert "a baker sells" not in html
    assert "&lt;script&gt;" not in html
    assert "<mark>" not in html
    assert "prompt-0-00001" in html
