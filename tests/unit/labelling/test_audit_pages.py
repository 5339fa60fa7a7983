"""The audit log as a page."""

from collections.abc import Iterator

import pytest

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store import audit
from heedful.store.columns import utc_now


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}/audit"


def test_lines_lead_to_what_they_tell_of(pages: Pages) -> None:
    text = pages.get("researcher", base(pages)).text
    for words in ("label.exclude", "Made by mistake, says Bo", "Ida Admin", "member.add"):
        assert words in text
    assert f"/batches/{pages.life.batches['Practice'].id}" in text


def test_the_log_is_filtered(pages: Pages) -> None:
    table = "<tbody>"
    by_action = pages.get("researcher", f"{base(pages)}?action=batch.create").text
    assert "label.exclude" not in by_action.partition(table)[2]
    by_account = pages.get("researcher", f"{base(pages)}?account={pages.id_of('admin')}").text
    assert "batch.create" not in by_account.partition(table)[2]
    today = utc_now().date().isoformat()
    assert "label.exclude" in pages.get("researcher", f"{base(pages)}?since={today}").text
    old = pages.get("researcher", f"{base(pages)}?until=2001-01-01").text
    assert "Nothing found" in old


def test_an_account_without_deeds_has_an_empty_log(pages: Pages) -> None:
    answer = pages.get("admin", f"/admin/audit?account={pages.id_of('eve')}")
    assert answer.status_code == 200
    assert "Nothing found" in answer.text


def test_the_log_of_a_project_holds_no_other_ones(pages: Pages) -> None:
    with pages.database.write() as session:
        audit.record(
            session,
            account_id=None,
            action="server.note",
            object_kind="server",
            object_id="s",
            detail={"from": "<b>here</b>", "on": True},
        )
    assert "server.note" not in pages.get("researcher", base(pages)).text
    whole = pages.get("admin", "/admin/audit").text
    assert "server.note" in whole
    assert "&lt;b&gt;here" in whole
    assert "on: yes" in whole


def test_a_long_log_has_pages(pages: Pages) -> None:
    with pages.database.write() as session:
        for number in range(120):
            audit.record(
                session,
                account_id=None,
                action="server.tick",
                object_kind="server",
                object_id=str(number),
            )
    first = pages.get("admin", "/admin/audit?action=server.tick").text
    assert "action=server.tick&amp;page=2" in first
    second = pages.get("admin", "/admin/audit?action=server.tick&page=2").text
    assert second.count("server.tick</td>") + second.count("<td>server.tick") >= 20
    assert "Next" not in second


@pytest.mark.parametrize("query", ["since=yesterday", "action=x", "account=x", "until=9999-99-99"])
def test_filters_are_an_allow_list(pages: Pages, query: str) -> None:
    assert pages.get("admin", f"/admin/audit?{query}").status_code == 422
    assert pages.get("admin", "/admin/audit?detail=x").status_code == 422


def test_only_staff_get_in(pages: Pages) -> None:
    assert pages.get("researcher", "/admin/audit").status_code == 403
    assert pages.get("reviewer", base(pages)).status_code == 403
    assert pages.get("ana", base(pages)).status_code == 404
