"""Labellers answer or decline the survey once; researchers see groups of three or more."""

from pathlib import Path

from fakes.judged_site import judged_site
from heedful.store.screening_records import self_assessments
from heedful.store.survey_records import survey_answers


def test_an_answer_is_anonymous_unless_linked(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"/work/survey/{site.judged.id}"
        assert "About you" in site.get("labeller7", path).text
        answer = site.post("labeller7", path, gender="woman", background=["white", "other"])
        assert answer.headers["location"] == "/work"
        site.post("labeller8", path, gender="man", linked="yes")
        with site.database.read() as session:
            found = survey_answers(session, site.judged.id)
        names = {one.respondent for one in found}
        assert None in names
        assert site.judged.labeller(8) in names
        assert site.judged.labeller(7) not in names
        assert "You have answered this survey" in site.get("labeller7", path).text
        site.post("labeller7", path, gender="man")
        with site.database.read() as session:
            assert len(survey_answers(session, site.judged.id)) == len(found)


def test_declining_is_remembered_and_keeps_nothing(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"/work/survey/{site.judged.id}"
        assert site.post("labeller7", path, decline="yes", gender="woman").status_code == 303
        with site.database.read() as session:
            assert len(survey_answers(session, site.judged.id)) == 6
        assert "You have answered this survey" in site.get("labeller7", path).text


def test_an_empty_or_impossible_answer_is_shown_again(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"/work/survey/{site.judged.id}"
        assert site.post("labeller7", path).status_code == 422
        wrong = site.post("labeller7", path, gender="x", nationality="Thai")
        assert wrong.status_code == 422
        assert 'value="Thai"' in wrong.text


def test_results_are_for_researchers(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"{site.base}/survey"
        text = site.get("researcher", path).text
        assert "6 answers" in text
        assert "Filipino" in text
        assert "South Asian" not in text  # one answer alone
        assert site.get("labeller1", path).status_code == 404


def test_the_self_assessment_can_be_sent_again(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        path = f"/work/self-assessment/{site.judged.id}"
        assert "two faiths" in site.get("labeller8", path).text
        assert site.post("labeller8", path, topics="age").status_code == 422
        answer = site.post("labeller8", path, topics=["age", "poverty"], confidence="4")
        assert answer.headers["location"] == "/work"
        with site.database.read() as session:
            kept = self_assessments(session, site.judged.id)[site.judged.labeller(8)].answers
        assert kept == {"topics": ["age", "poverty"], "confidence": 4, "note": ""}


def test_strangers_have_no_survey(tmp_path: Path) -> None:
    with judged_site(tmp_path) as site:
        for page in ("survey", "self-assessment"):
            assert site.get("labeller1", f"/work/{page}/project-nowhere").status_code == 404
