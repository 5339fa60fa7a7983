"""Injected markup in a real Chromium: the scripts of the pages let none of it run either.

`tests/integration/test_label_injection.py` reads what the server sends; here the board and
the other scripts have put it on the page.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from fakes.label_world import World, attacked_world
from fakes.poisoned_store import paths_for, poison

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FOREIGN = "[onerror], [onload], [style*='('], img[src='x'], a[href^='javascript:'], iframe"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with attacked_world(tmp_path_factory.mktemp("injection")) as made:
        poison(made.site.database)
        yield made


@pytest.mark.parametrize("login", ["admin", "ana", "bo"])
def test_nothing_injected_runs(world: World, browser: Any, login: str) -> None:
    context = browser.new_context()
    context.add_cookies(world.site.cookies(login))
    page = context.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: said.append(f"{message.text} {message.location}"))
    page.on("request", lambda request: said.append(request.url) if "evil" in request.url else None)
    try:
        for method, template in world.routes():
            for path in paths_for(world, login, template) if method == "GET" else ():
                answer = world.send(login, "GET", path)
                is_page = answer.headers.get("content-type", "").startswith("text/html")
                if answer.status_code != 200 or not is_page:
                    continue
                page.goto(world.site.url + path, wait_until="load")
                page.keyboard.press("?")
                assert page.evaluate("typeof window.pwned") == "undefined", path
                assert page.locator(FOREIGN).count() == 0, path
                assert [line for line in said if "/favicon.ico" not in line] == [], path
    finally:
        context.close()
