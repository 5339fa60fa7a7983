"""Pages of projects: the list, a new one, the dashboard, the settings."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import AuditRow, InstructionsRow, MemberRow, ProjectRow, SubmissionRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}"


def test_the_list_shows_progress_and_what_waits(pages: Pages) -> None:
    text = pages.get("researcher", "/projects").text
    assert "Harbour pilot" in text
    assert "27 of 122" in text
    assert "1 waiting" in text


def test_the_dashboard_shows_where_the_project_stands(pages: Pages) -> None:
    text = pages.get("researcher", base(pages)).text
    for words in ("26", "by people", "2 labels being made", "in about", "EUR a label", "First"):
        assert words in text
    assert "Close First rankings" in text
    assert '<polyline class="stroke"' in text
    assert "simulated" not in text


def test_the_live_part_stands_alone(pages: Pages) -> None:
    text = pages.get("admin", f"{base(pages)}/numbers").text
    assert "<html" not in text
    assert "Batches at work" in text


def test_agreement_is_summed_up(pages: Pages) -> None:
    text = pages.get("researcher", f"{base(pages)}/agreement-summary").text
    assert "Pairs of completions" in text
    assert "95 % intervals" in text


def test_a_new_project_has_instructions_a_member_and_next_steps(pages: Pages) -> None:
    assert "New project" in pages.get("researcher", "/projects/new").text
    form = {"name": "Second", "pay_rate": "12,50", "currency": "GBP"}
    answer = pages.form("researcher", "/projects/new", **form)
    assert answer.status_code == 303
    path = answer.headers["location"]
    with pages.database.read() as session:
        project = session.scalars(select(ProjectRow).where(ProjectRow.name == "Second")).one()
        purposes = session.scalars(
            select(InstructionsRow.purpose).where(InstructionsRow.project_id == project.id)
        ).all()
        member = session.get(MemberRow, (project.id, pages.id_of("researcher")))
    assert (project.pay_rate, project.currency) == (12.5, "GBP")
    assert len(purposes) == 4
    assert member is not None
    text = pages.get("researcher", path).text
    for step in ("Bring prompts in", "Invite labellers", "Make a batch"):
        assert step in text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "The name is missing."),
        ({"name": "Harbour pilot"}, "already"),
        ({"name": "X", "pay_rate": "-1"}, "is a number from 0"),
        ({"name": "X", "currency": "DOGE"}, "choose one of the list"),
    ],
)
def test_a_project_that_cannot_be_is_explained(
    pages: Pages, form: dict[str, str], words: str
) -> None:
    answer = pages.form("researcher", "/projects/new", **form)
    assert answer.status_code == 422
    assert words in answer.text


def settings_form(**changes: str) -> dict[str, str]:
    form = {
        "name": "Harbour pilot",
        "pay_rate": "20",
        "currency": "EUR",
        "flag_agreement_cutoff": "80",
        "ranking_agreement_cutoff": "75",
        "demonstration_cutoff": "6",
        "screening_min_pairs": "20",
        "practice_min_items": "4",
        "practice_agreement_cutoff": "75",
        "content_warning": "Careful.",
        "pace_days": "14",
    }
    return form | changes


def test_settings_are_shown_and_stored(pages: Pages) -> None:
    path = f"{base(pages)}/settings"
    assert 'value="75"' in pages.get("researcher", path).text
    assert pages.form("researcher", path, **settings_form()).status_code == 303
    with pages.database.read() as session:
        project = session.get_one(ProjectRow, pages.life.project.id)
        told = session.scalars(select(AuditRow).where(AuditRow.action == "project.change")).one()
    assert project.settings == {
        "flag_agreement_cutoff": 0.8,
        "practice_min_items": 4,
        "content_warning": "Careful.",
        "offer_survey": False,
        "pace_days": 14,
    }
    assert told.detail["pay_rate"] == {"from": 18.0, "to": 20.0}
    assert "in the last 14 days" in pages.get("researcher", base(pages)).text


def test_wrong_settings_are_told_together_and_change_nothing(pages: Pages) -> None:
    form = settings_form(demonstration_cutoff="9", pace_days="0", content_warning="", name=" ")
    answer = pages.form("researcher", f"{base(pages)}/settings", **form)
    assert answer.status_code == 422
    for name in ("demonstration_cutoff", "pace_days", "content_warning", "name"):
        assert f'href="#{name}"' in answer.text
    taken = settings_form(name="Second")
    pages.form("researcher", "/projects/new", name="Second")
    assert "already" in pages.form("researcher", f"{base(pages)}/settings", **taken).text


def test_simulated_labels_among_people_s_are_counted_on_the_dashboard(pages: Pages) -> None:
    with pages.database.write() as session:
        some = select(SubmissionRow).where(SubmissionRow.account_id == pages.id_of("ana")).limit(2)
        for one in session.scalars(some).all():
            one.made_by = "simulated"
    text = pages.get("researcher", base(pages)).text
    assert "2 of the 26 labels that count are not by people." in text
    assert "2 of them simulated" in text
    assert "(some simulated)" in text
    assert "Rehearsal." not in text


def test_a_rehearsal_says_so_everywhere(pages: Pages) -> None:
    with pages.database.write() as session:
        session.get_one(ProjectRow, pages.life.project.id).simulated = True
    try:
        for part in ("", "/batches", "/labellers", "/export", "/prompts"):
            assert "Rehearsal." in pages.get("researcher", base(pages) + part).text
        assert "(simulated)" in pages.get("researcher", base(pages)).text
        assert "simulated" in pages.get("researcher", "/projects").text
    finally:
        with pages.database.write() as session:
            session.get_one(ProjectRow, pages.life.project.id).simulated = False


def test_labellers_and_reviewers_do_not_get_in(pages: Pages) -> None:
    for part in ("", "/settings", "/numbers"):
        assert pages.get("ana", base(pages) + part).status_code == 404
        assert pages.get("reviewer", base(pages) + part).status_code == 403
    assert pages.get("ana", "/projects/new").status_code == 403
