"""The author of a prompt withdraws while somebody ranks its outputs: they are told, once."""

from pathlib import Path
from typing import Any

import pytest

from fakes.board_site import boards_of
from fakes.labelling_site import living_site
from heedful.labelling.withdrawal import withdraw_from

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_who_is_at_work_is_told_and_the_page_asks_no_more(tmp_path: Path, browser: Any) -> None:
    with living_site(tmp_path) as site, boards_of(site, browser) as boards:
        page = boards.open(boards.new_item(2))
        drafts: list[str] = []
        page.on("request", lambda sent: drafts.append(sent.url) if "/draft" in sent.url else None)
        assert site.life is not None
        withdraw_from(site.database, site.life.prompts["bread"].user_id)
        page.keyboard.press("6")
        page.locator("#banner", has_text="The author of this prompt withdrew it").wait_for()
        asked = len(drafts)
        page.wait_for_timeout(2_500)
        assert len(drafts) == asked
        page.goto(f"{site.url}/work")
        assert "Continue" not in page.inner_text("main")
