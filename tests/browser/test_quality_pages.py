"""The pages of quality on a project full of labels, and their forms, in a real Chromium."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fakes.judged_project import JudgedProject, judged_project
from fakes.labelling_site import Site
from fakes.page_audit import Watch, axe_faults, axe_script, layout_faults, small_targets
from heedful.labelling.cookies import SESSION
from heedful.store.database import open_database
from heedful.store.screening_records import given_grade
from heedful.store.sessions import start_session
from heedful.store.survey_records import survey_answers
from heedful.store.tables import AccountRow

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE = 390


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, JudgedProject]]:
    path = Path(tmp_path_factory.mktemp("judged")) / "labels.db"
    with open_database(f"sqlite:///{path}", migrate=True) as database:
        with database.write() as session:
            project = judged_project(session)
        site = Site(database)
        yield site, project
        site.stop()


@pytest.fixture(scope="module")
def axe() -> str:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return axe_script()


@contextmanager
def signed_in(browser: Any, site: Site, login: str, **options: Any) -> Iterator[Any]:
    """A page of a browser in which somebody is signed in."""
    with site.database.write() as session:
        account = session.scalars(select(AccountRow).where(AccountRow.login == login)).one()
        _, token = start_session(session, account.id)
    context = browser.new_context(base_url=site.url, **options)
    context.add_cookies([{"name": SESSION, "value": token, "url": site.url}])
    try:
        yield context.new_page()
    finally:
        context.close()


def pages(project: JudgedProject) -> list[tuple[str, str]]:
    base = f"/projects/{project.id}"
    return [
        ("researcher", f"{base}/agreement"),
        ("researcher", f"{base}/agreement?ties=strict"),
        ("researcher", f"{base}/screening"),
        ("researcher", f"{base}/screening/{project.labeller(7)}"),
        ("researcher", f"{base}/screening/{project.labeller(8)}"),
        ("researcher", f"{base}/survey"),
        ("reviewer", "/review"),
        ("reviewer", f"/review/{project.written[1]}"),
        ("labeller7", f"/work/survey/{project.id}"),
        ("labeller7", f"/work/self-assessment/{project.id}"),
    ]


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (PHONE, "light"), (PHONE, "dark")]
)
def test_pages_are_without_fault(
    browser: Any, judged: tuple[Site, JudgedProject], axe: str, width: int, scheme: str
) -> None:
    site, project = judged
    faults = {}
    options = {
        "viewport": {"width": width, "height": 844},
        "color_scheme": scheme,
        "has_touch": width == PHONE,
        "is_mobile": width == PHONE,
    }
    for login, path in pages(project):
        with signed_in(browser, site, login, **options) as page:
            watch = Watch(page, site.url)
            answer = page.goto(path)
            page.evaluate(
                "document.querySelectorAll('main details').forEach(one => one.open = true)"
            )
            found = layout_faults(page) + axe_faults(page, axe) + watch.found
            found += small_targets(page) if width == PHONE else []
            if answer.status != 200 or found:
                faults[path] = (answer.status, found)
    assert faults == {}


def test_a_reviewer_grades_by_keyboard(browser: Any, judged: tuple[Site, JudgedProject]) -> None:
    site, project = judged
    with signed_in(browser, site, "reviewer") as page:
        page.goto("/review")
        page.get_by_role("link", name="Grade demonstrations of Demo").press("Enter")
        page.get_by_role("radio", name="1").focus()
        page.keyboard.press("Space")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        page.get_by_label("Note").press_sequentially("Firm and polite.")
        page.get_by_role("button", name="Keep the grade").press("Enter")
        page.get_by_text("Nothing else waits to be graded.").wait_for()
    with site.database.read() as session:
        given = given_grade(session, project.written[1], project.demo.reviewer.id)
    assert given == {"grade": 6, "note": "Firm and polite."}


def test_the_survey_needs_no_script(browser: Any, judged: tuple[Site, JudgedProject]) -> None:
    site, project = judged
    with site.database.read() as session:
        before = len(survey_answers(session, project.id))
    with signed_in(browser, site, "labeller8", java_script_enabled=False) as page:
        page.goto(f"/work/survey/{project.id}")
        page.get_by_role("group", name="What gender").get_by_label("Non-binary").check()
        page.get_by_role("button", name="Send the answers").click()
        page.get_by_text("Thank you for your answers.").wait_for()
    with site.database.read() as session:
        found = survey_answers(session, project.id)
    assert len(found) == before + 1
    assert [one.respondent for one in found if one.answers == {"gender": "non_binary"}] == [None]


def test_ticked_items_are_handed_on(browser: Any, judged: tuple[Site, JudgedProject]) -> None:
    site, project = judged
    with signed_in(browser, site, "researcher") as page:
        page.goto(f"/projects/{project.id}/agreement")
        page.get_by_role("checkbox", name="Adjudicate").first.check()
        page.get_by_label("Name of the batch").fill("Hard cases")
        page.get_by_role("button", name="Have the ticked items decided").click()
        page.get_by_role("heading", name="Hard cases").wait_for()
