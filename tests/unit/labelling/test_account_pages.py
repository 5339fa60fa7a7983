"""Pages of accounts, which admins alone see."""

from collections.abc import Iterator

import pytest

from fakes.labeller_pages import Pages, labeller_pages
from heedful.store.tables import AccountRow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with labeller_pages(tmp_path_factory.mktemp("site")) as opened:
        yield opened


def account(pages: Pages, login: str) -> AccountRow:
    with pages.database.read() as session:
        return session.get_one(AccountRow, pages.id_of(login))


@pytest.mark.parametrize(
    ("query", "there", "absent"),
    [
        ("", "Ana Demo", "nobody of that name"),
        ("?text=ANA", "Ana Demo", "Bo Demo"),
        ("?role=reviewer", "Reviewer Demo", "Ana Demo"),
        ("?state=suspended", "No such account", "Ana Demo"),
        ("?text=%25", "No such account", "Ana Demo"),
    ],
)
def test_accounts_are_found(pages: Pages, query: str, there: str, absent: str) -> None:
    text = pages.get("admin", f"/admin/accounts{query}").text
    assert there in text
    assert absent not in text


def test_filters_are_an_allow_list(pages: Pages) -> None:
    assert pages.get("admin", "/admin/accounts?password_hash=x").status_code == 422
    assert pages.get("admin", "/admin/accounts?role=god").status_code == 422
    assert "argon2" not in pages.get("admin", "/admin/accounts").text


def test_a_role_is_changed_and_the_last_admin_stays(pages: Pages) -> None:
    path = f"/admin/accounts/{pages.id_of('bo')}"
    assert "Harbour pilot" in pages.get("admin", path).text
    pages.form("admin", f"{path}/role", role="god")
    assert account(pages, "bo").role == "labeller"
    pages.form("admin", f"{path}/role", role="reviewer")
    assert account(pages, "bo").role == "reviewer"
    own = f"/admin/accounts/{pages.id_of('admin')}"
    refused = pages.form("admin", f"{own}/role", role="labeller")
    assert refused.status_code == 403
    assert "last active admin" in refused.text
    assert pages.form("admin", f"{own}/suspend", reason="x").status_code == 403
    assert account(pages, "admin").role == "admin"


def test_suspending_needs_a_reason_and_ends_the_session(pages: Pages) -> None:
    path = f"/admin/accounts/{pages.id_of('cleo')}"
    pages.form("admin", f"{path}/suspend", reason="")
    assert account(pages, "cleo").state == "active"
    assert pages.get("cleo", "/work").status_code == 200
    pages.form("admin", f"{path}/suspend", reason="Left the team")
    assert account(pages, "cleo").state == "suspended"
    assert pages.get("cleo", "/work").status_code == 303
    assert "Reinstate" in pages.get("admin", path).text
    assert pages.form("admin", f"{path}/reinstate").status_code == 303
    assert account(pages, "cleo").state == "active"
    log = pages.get("admin", "/admin/audit?action=account.suspend").text
    assert "Left the team" in log


def test_nobody_else_gets_in(pages: Pages) -> None:
    path = f"/admin/accounts/{pages.id_of('ana')}"
    for login in ("ana", "reviewer", "researcher"):
        assert pages.get(login, "/admin/accounts").status_code == 403
        assert pages.get(login, path).status_code in (403, 404)
        assert pages.form(login, f"{path}/role", role="admin").status_code in (403, 404)
    assert account(pages, "ana").role == "labeller"
