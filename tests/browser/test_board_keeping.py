"""Nothing a labeller did is lost: no network, no server, no session, two tabs, a reload."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from fakes.board_site import Boards, boards_of
from fakes.labelling_site import Site, living_site
from heedful.store.columns import utc_now
from heedful.store.tables import DemonstrationRow, DraftRow, SessionRow, SlotRow

UNRATED = "\u2013"
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with living_site(tmp_path_factory.mktemp("keeping")) as running:
        yield running


@pytest.fixture
def boards(site: Site, browser: Any) -> Iterator[Boards]:
    with boards_of(site, browser) as made:
        yield made


def press(page: Any, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def saved(page: Any) -> None:
    page.locator("#saved", has_text="Saved").wait_for()


def quality(page: Any) -> list[str]:
    found: list[str] = page.locator(".chip span, .slip .score").all_inner_texts()
    return found


def draft_of(boards: Boards, item: str) -> DraftRow | None:
    with boards.site.database.read() as session:
        return session.get(DraftRow, (item, boards.account_id))


def left(page: Any, item: str) -> None:
    page.wait_for_url(lambda url: item not in url, timeout=40_000)


def test_a_reload_restores_what_was_done(boards: Boards) -> None:
    item = boards.new_item(3)
    page = boards.open(item)
    press(page, "6 f j 2 r b 1")
    saved(page)
    page.reload()
    page.locator(".place-panel").wait_for()
    assert page.locator("[data-rank='1'] [data-card=B]").count() == 1
    press(page, "r")
    assert quality(page) == ["6", "2", UNRATED]


def test_the_browser_restores_what_the_server_never_got(boards: Boards) -> None:
    item = boards.new_item(3)
    page = boards.open(item)
    press(page, "6")
    saved(page)
    page.context.set_offline(True)
    press(page, "j 4")
    page.locator("#banner", has_text="cannot be reached").wait_for()
    page.close()
    page.context.set_offline(False)
    again = boards.open(item, context=page.context)
    assert quality(again) == ["6", "4", UNRATED]
    assert "newer than what the server had" in again.inner_text("#saved")
    saved(again)
    draft = draft_of(boards, item)
    assert draft is not None
    assert draft.body["quality"] == {"A": 6, "B": 4}


def test_sending_without_a_network_waits_for_it(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.open(item)
    press(page, "6 j 4 j a 1 b 2")
    page.context.set_offline(True)
    press(page, "Control+Enter")
    page.locator("#banner", has_text="Not sent yet").wait_for()
    assert boards.sent(item) is None
    page.context.set_offline(False)
    left(page, item)
    assert boards.sent(item) is not None


def test_work_that_was_not_sent_goes_out_from_the_start_page(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.open(item)
    press(page, "6 j 4 j a 1 b 2")
    page.context.set_offline(True)
    press(page, "Control+Enter")
    page.locator("#banner", has_text="Not sent yet").wait_for()
    page.close()
    page.context.set_offline(False)
    home = page.context.new_page()
    home.goto(f"{boards.site.url}/work")
    home.get_by_text("has been sent").wait_for()
    assert boards.sent(item) is not None


def test_one_can_stop_sending_and_go_on(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.open(item)
    press(page, "6 j 4 j a 1 b 2")
    page.context.set_offline(True)
    press(page, "Control+Enter")
    page.get_by_text("Do not send, go on working").click()
    press(page, "b 1")
    page.context.set_offline(False)
    saved(page)
    assert boards.sent(item) is None
    press(page, "Control+Enter")
    left(page, item)
    found = boards.sent(item)
    assert found is not None
    assert found["ranks"] == {"A": 1, "B": 1}


def test_the_server_may_die_and_come_back_in_between(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.open(item)
    press(page, "6 j")
    saved(page)
    boards.site.stop()
    try:
        press(page, "4 j a 1 b 2 Control+Enter")
        page.locator("#banner", has_text="Not sent yet").wait_for()
    finally:
        boards.site.start()
    left(page, item)
    found = boards.sent(item)
    assert found is not None
    assert found["quality"] == {"A": 6, "B": 4}


def test_an_answer_of_the_server_that_got_lost_makes_no_second_label(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.open(item)
    press(page, "6 j 4 j a 1 b 2")

    def lose(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/submit", lose, times=1)
    press(page, "Control+Enter")
    left(page, item)
    assert boards.sent(item) is not None  # one row, or this raises


def test_two_tabs_are_asked_which_to_keep(boards: Boards) -> None:
    item = boards.new_item(3)
    one = boards.open(item)
    press(one, "7")
    saved(one)
    other = boards.open(item)  # another browser: nothing in common but the server
    assert quality(other) == ["7", UNRATED, UNRATED]
    press(other, "j 3")
    saved(other)
    press(one, "j 5")
    dialog = one.locator("dialog.versions")
    dialog.wait_for()
    assert "A 7, B 5" in dialog.inner_text()
    assert "A 7, B 3" in dialog.inner_text()
    one.click("[data-choice=theirs]")
    saved(one)
    assert quality(one) == ["7", "3", UNRATED]
    press(one, "u")  # what was given up can be had back
    assert quality(one) == ["7", "5", UNRATED]
    press(other, "j 1")
    other.locator("dialog.versions").wait_for()
    other.click("[data-choice=mine]")
    saved(other)
    draft = draft_of(boards, item)
    assert draft is not None
    assert draft.body["quality"] == {"A": 7, "B": 3, "C": 1}


def test_two_tabs_of_one_browser_know_of_each_other(boards: Boards) -> None:
    item = boards.new_item(3)
    one = boards.open(item)
    other = boards.open(item, context=one.context)
    for page in (one, other):
        page.locator("#banner", has_text="open in another tab").wait_for()


def test_a_session_that_ended_loses_nothing(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.open(item)
    press(page, "6 j 4 j a 1 b 2")
    saved(page)
    with boards.site.database.write() as session:
        mine = SessionRow.account_id == boards.account_id
        for row in session.scalars(select(SessionRow).where(mine)):
            row.revoked_at = utc_now()
    press(page, "Control+Enter")
    banner = page.locator("#banner", has_text="Sign in again in another tab")
    banner.wait_for()
    page.context.add_cookies(boards.site.cookies(boards.login))
    left(page, item)
    assert boards.sent(item) is not None


def test_a_lost_lease_is_told_and_the_work_kept(boards: Boards) -> None:
    item = boards.new_item(2)
    page = boards.browser.new_context()
    boards.contexts.append(page)
    page.add_cookies(boards.site.cookies(boards.login))
    tab = page.new_page()
    tab.clock.install()
    tab.goto(f"{boards.site.url}/work/items/{item}")
    tab.locator(".rate-panel").wait_for()
    with boards.site.database.write() as session:
        slot = session.scalars(select(SlotRow).where(SlotRow.item_id == item)).one()
        assert boards.site.life is not None
        slot.labeller_id = boards.site.life.people["bo"].id
    tab.clock.fast_forward(31_000)
    tab.locator("#banner", has_text="no longer reserved").wait_for()
    press(tab, "6 j 4 j a 1 b 2 Control+Enter")
    tab.wait_for_function("id => !location.href.includes(id)", arg=item)
    assert boards.sent(item) is not None


def test_a_demonstration_is_kept_and_sent(boards: Boards) -> None:
    item = boards.new_item(kind="demonstration")
    page = boards.open(item)
    page.fill("#text", "Yeast breathes out gas.")
    assert page.inner_text("#text-length") == "4 words, 23 characters"
    saved(page)
    page.reload()
    page.locator("form[data-work-form]").wait_for()
    assert page.input_value("#text") == "Yeast breathes out gas."
    page.focus("#text")
    page.keyboard.press("Control+Enter")
    left(page, item)
    with boards.site.database.read() as session:
        texts = [row.record["text"] for row in session.scalars(select(DemonstrationRow))]
    assert "Yeast breathes out gas." in texts


def test_without_scripts_the_board_says_so_and_offers_the_rest(boards: Boards) -> None:
    item = boards.new_item(3)
    context = boards.browser.new_context(java_script_enabled=False)
    boards.contexts.append(context)
    context.add_cookies(boards.site.cookies(boards.login))
    page = context.new_page()
    page.goto(f"{boards.site.url}/work/items/{item}")
    assert "needs JavaScript" in page.inner_text("main")
    page.locator("#skip-tool summary").click()
    page.get_by_label("The prompt is unclear").check()
    page.get_by_role("button", name="Pass it on").click()
    assert "Passed on." in page.inner_text("main")
