"""A researcher sees a candidate's numbers, decides with a reason, and opens the gate."""

import re
from pathlib import Path

import pytest

from fakes.judged_site import JudgedSite, judged_site
from heedful.store.screening_records import decisions, grade_demonstration
from heedful.store.tables import MemberRow


def stage_of(site: JudgedSite, number: int) -> str:
    with site.database.read() as session:
        return session.get_one(MemberRow, (site.judged.id, site.judged.labeller(number))).stage


def fingerprint(site: JudgedSite, path: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', site.get("researcher", path).text)
    assert found is not None
    return found.group(1)


def test_the_queue_and_a_candidate(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        queue = site.get("researcher", f"{site.base}/screening").text
        assert queue.index("Labeller8") < queue.index("In practice") < queue.index("Labeller7")
        path = f"{site.base}/screening/{site.judged.labeller(8)}"
        page = site.get("researcher", path).text
        assert "6.0 of 7" in page
        assert "I know two faiths from within." in page
        assert site.get("labeller8", path).status_code == 404
        assert site.get("reviewer", path).status_code == 403


def test_a_decision_is_kept_with_what_was_seen(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"{site.base}/screening/{site.judged.labeller(8)}"
        seen = fingerprint(site, path)
        answer = site.post("researcher", path, outcome="practice", reason="Careful", seen=seen)
        assert answer.headers["location"] == f"{site.base}/screening"
        with site.database.read() as session:
            (kept,) = decisions(session, site.judged.id)
        assert (kept.passed, kept.reason) == (True, "Careful")
        assert kept.criteria["demonstrations"]["value"] == 6.0
        assert kept.criteria["flags"]["standing"] == "undecided"
        assert stage_of(site, 8) == "practice"
        assert "Careful" in site.get("researcher", path).text


def test_numbers_that_changed_meanwhile_are_shown_first(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"{site.base}/screening/{site.judged.labeller(8)}"
        seen = fingerprint(site, path)
        with site.database.write() as session:
            grade_demonstration(
                session,
                demonstration_id=site.judged.written[1],
                reviewer_id=site.judged.demo.reviewer.id,
                grade=2,
            )
        answer = site.post("researcher", path, outcome="practice", reason="Careful", seen=seen)
        assert answer.status_code == 422
        assert "have changed" in answer.text
        assert stage_of(site, 8) == "screening"


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ({"outcome": "practice", "reason": " "}, "The reason is missing."),
        ({"outcome": "admin", "reason": "x"}, "The decision: choose"),
        ({"outcome": "working", "reason": "x" * 1001}, "at most 1,000"),
    ],
)
def test_what_is_no_decision_is_refused(
    tmp_path: Path, form: dict[str, str], complaint: str
) -> None:
    with judged_site(tmp_path) as site:
        answer = site.post("researcher", f"{site.base}/screening/{site.judged.labeller(8)}", **form)
        assert answer.status_code == 422
        assert complaint in answer.text
        assert stage_of(site, 8) == "screening"


def test_the_gate_is_opened_by_a_person(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"{site.base}/screening/{site.judged.labeller(7)}"
        assert "not met yet" in site.get("researcher", path).text
        assert site.post("researcher", f"{path}/gate", reason="").status_code == 422
        site.post("researcher", f"{path}/gate", reason="Has understood")
        assert stage_of(site, 7) == "working"
        again = site.post("researcher", f"{path}/gate", reason="Again")
        assert again.status_code == 422
        assert "not in practice" in again.text
