"""Reviewers grade one demonstration after the other without learning who wrote it."""

from pathlib import Path

import pytest

from fakes.judged_site import judged_site
from heedful.store.screening_records import given_grade


def test_the_list_leads_to_what_waits(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        text = site.get("reviewer", "/review").text
        assert f"/review/{site.judged.written[1]}" in text
        assert site.get("labeller1", "/review").status_code == 403


def test_who_wrote_it_is_not_told(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        text = site.get("reviewer", f"/review/{site.judged.written[1]}").text
        assert "A reply to a rude customer" in text
        assert "Labeller8" not in text
        assert site.judged.labeller(8) not in text


def test_a_grade_leads_on(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        first, last = site.judged.written[1], site.judged.written[0]
        answer = site.post("admin", f"/review/{first}", grade="6", note="Polite")
        assert answer.headers["location"] == f"/review/{last}"
        answer = site.post("admin", f"/review/{last}", grade="7")
        assert answer.headers["location"] == "/review"
        with site.database.read() as session:
            given = given_grade(session, first, site.judged.demo.admin.id)
        assert given == {"grade": 6, "note": "Polite"}
        assert "Polite" in site.get("admin", f"/review/{first}").text


def test_passing_over_grades_nothing(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        one = site.judged.written[1]
        answer = site.post("admin", f"/review/{one}", **{"pass": "yes"})
        assert answer.headers["location"] == f"/review/{site.judged.written[0]}"
        with site.database.read() as session:
            assert given_grade(session, one, site.judged.demo.admin.id) == {}


@pytest.mark.parametrize("grade", ["", "0", "8", "x"])
def test_what_is_no_grade_is_shown_again(tmp_path: Path, grade: str) -> None:
    with judged_site(tmp_path) as site:
        path = f"/review/{site.judged.written[1]}"
        answer = site.post("reviewer", path, grade=grade, note="Kept")
        assert answer.status_code == 422
        assert "Kept" in answer.text
