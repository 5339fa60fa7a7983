"""Pages of invites: the link is shown once, and gives no more than the inviter has."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import InviteRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def base(pages: Pages) -> str:
    return f"/projects/{pages.life.project.id}/invites"


def invite(pages: Pages, note: str) -> InviteRow:
    with pages.database.read() as session:
        return session.scalars(select(InviteRow).where(InviteRow.note == note)).one()


def link_in(text: str) -> str:
    found = re.search(r'value="(http://testserver/invite/[^"]+)"', text)
    assert found, text
    return found.group(1)


def test_a_link_is_shown_once_and_opens(pages: Pages) -> None:
    form = {"role": "labeller", "stage": "practice", "days": "3", "note": "Gil", "held_out": "yes"}
    answer = pages.form("researcher", base(pages), **form)
    assert answer.status_code == 200
    link = link_in(answer.text)
    row = invite(pages, "Gil")
    assert (row.role, row.stage, row.held_out) == ("labeller", "practice", True)
    assert (row.expires_at - row.created_at).days == 3
    again = pages.get("researcher", base(pages)).text
    assert "Gil" in again
    assert link.rpartition("/")[2] not in again
    pages.client.cookies.clear()
    assert pages.client.get(link).status_code == 200


def test_an_invite_is_taken_back(pages: Pages) -> None:
    pages.form("researcher", base(pages), role="labeller", note="Hal")
    row = invite(pages, "Hal")
    answer = pages.form("researcher", f"/invites/{row.id}/revoke")
    assert answer.headers["location"] == base(pages)
    assert "taken back" in pages.get("researcher", base(pages)).text
    assert pages.form("researcher", f"/invites/{row.id}/revoke").status_code == 422


@pytest.mark.parametrize(
    "form",
    [
        {"role": "admin"},
        {"role": "labeller", "stage": "excluded"},
        {"role": "labeller", "days": "91"},
        {"role": "labeller", "note": "x" * 201},
    ],
)
def test_a_researcher_cannot_give_more(pages: Pages, form: dict[str, str]) -> None:
    assert pages.form("researcher", base(pages), **form).status_code == 422


def test_admins_invite_to_the_server(pages: Pages) -> None:
    answer = pages.form("admin", "/admin/invites", role="researcher", note="Ivo")
    assert "/invite/" in link_in(answer.text)
    row = invite(pages, "Ivo")
    assert row.project_id is None
    assert "Ivo" in pages.get("admin", "/admin/invites").text
    assert "Ivo" not in pages.get("researcher", base(pages)).text
    assert pages.get("researcher", "/admin/invites").status_code == 403
    assert pages.form("researcher", f"/invites/{row.id}/revoke").status_code == 404
    assert pages.form("ana", base(pages), role="labeller").status_code == 404
    back = pages.form("admin", f"/invites/{row.id}/revoke")
    assert back.headers["location"] == "/admin/invites"
