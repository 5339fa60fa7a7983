"""Pages of a project's members: numbers, stages, exclusion."""

from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.access import create_account
from heedful.store.tables import AuditRow, MemberRow, SubmissionRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}/labellers"


def place(pages: Pages, login: str) -> MemberRow | None:
    with pages.database.read() as session:
        return session.get(MemberRow, (pages.life.project.id, pages.id_of(login)))


def test_labellers_are_listed_with_what_they_did(pages: Pages) -> None:
    text = pages.get("researcher", base(pages)).text
    for words in ("Ana Demo", "held out", "Screening", "EUR", "Reviewer Demo", "Last 7 days"):
        assert words in text
    assert "Add somebody who has an account" not in text
    assert "Add somebody who has an account" in pages.get("admin", base(pages)).text


def test_a_labeller_has_a_page_of_numbers_and_work(pages: Pages) -> None:
    text = pages.get("researcher", f"{base(pages)}/{pages.id_of('ana')}").text
    for words in ("Ana Demo", "1 item", "First rankings", "Exclude all"):
        assert words in text
    assert pages.get("researcher", f"{base(pages)}/{pages.id_of('ana')}?page=2").status_code == 200


def test_a_stage_changes_with_a_reason(pages: Pages) -> None:
    path = f"{base(pages)}/{pages.id_of('dee')}"
    pages.form("researcher", f"{path}/stage", stage="practice", reason="")
    pages.form("researcher", f"{path}/stage", stage="burnt", reason="x")
    before = place(pages, "dee")
    assert before is not None
    assert before.stage == "screening"
    pages.form("researcher", f"{path}/stage", stage="practice", reason="Screened well")
    after = place(pages, "dee")
    assert after is not None
    assert after.stage == "practice"
    text = pages.get("researcher", path).text
    assert "Screening to Practice: Screened well" in text


def test_all_labels_of_somebody_are_excluded(pages: Pages) -> None:
    path = f"{base(pages)}/{pages.id_of('cleo')}"
    pages.form("researcher", f"{path}/exclude", reason="")
    assert "Ask somebody else for new labels" in pages.get("researcher", path).text
    fields = {"reason": "A shared account", "ask_again": "yes"}
    answer = pages.form("researcher", f"{path}/exclude", **fields)
    assert answer.status_code == 303
    told = pages.client.get(answer.headers["location"]).text
    assert "Others are asked for" in told
    assert "new ones, in batches that are open" in told
    with pages.database.read() as session:
        counting = session.scalar(
            select(func.count()).where(
                SubmissionRow.account_id == pages.id_of("cleo"),
                SubmissionRow.excluded_at.is_(None),
            )
        )
        lines = session.scalar(
            select(func.count()).where(
                AuditRow.action == "label.exclude",
                AuditRow.account_id == pages.id_of("researcher"),
            )
        )
    assert counting == 0
    assert lines == 7
    assert "Excluded" in pages.get("researcher", path).text


def test_an_admin_adds_an_account_that_exists(pages: Pages) -> None:
    with pages.database.write() as session:
        account = create_account(session, login="fay", name="Fay", role="labeller")
        account_id = account.id
    path = f"/projects/{pages.life.project.id}/members"
    form = {"account_login": "Fay", "stage": "working", "held_out": "yes"}
    assert pages.form("researcher", path, **form).status_code == 403
    assert pages.form("admin", path, **form).status_code == 303
    with pages.database.read() as session:
        member = session.get_one(MemberRow, (pages.life.project.id, account_id))
    assert (member.stage, member.held_out) == ("working", True)
    for wrong in (
        {"account_login": "nobody", "stage": "working"},
        {"account_login": "", "stage": "working"},
    ):
        assert pages.form("admin", path, **wrong).headers["location"] == base(pages)
    assert pages.form("admin", path, **form).status_code == 422


def test_only_members_of_the_project_have_a_page(pages: Pages) -> None:
    assert pages.get("admin", f"{base(pages)}/{pages.id_of('admin')}").status_code == 404
    assert pages.get("ana", f"{base(pages)}/{pages.id_of('ana')}").status_code == 404
    assert pages.get("reviewer", base(pages)).status_code == 403
