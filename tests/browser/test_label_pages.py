"""Every page of the labelling application, as each role, in a real Chromium.

Pages are found by following links from the start page, and compared with the route table:
a page that no link leads to is a fault, and so is a link that leads nowhere.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urldefrag

import httpx
import pytest
from fastapi.routing import APIRoute

from fakes.labelling_site import Site, living_site
from fakes.page_audit import (
    Watch,
    axe_faults,
    axe_script,
    focus_faults,
    layout_faults,
    small_targets,
)
from heedful.labelling.app import page_routes

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROLES = {
    "labeller": "ana",
    "candidate": "dee",
    "reviewer": "reviewer",
    "researcher": "researcher",
    "admin": "admin",
}
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
_LINK = re.compile(r"""<a\s[^>]*?href="([^"]+)\"""")
_MOST_OF_A_ROUTE = 12
_SHOWN_OF_A_ROUTE = {"/work/items/{item_id}": 4, "/items/{item_id}": 3, "/batches/{batch_id}": 3}
# Pages that no link of the application leads to, or not at this moment of the project's life.
UNLINKED = {
    "/",
    "/login",
    "/invite/{token}",
    "/healthz",
    "/work/session",
    "/projects/{project_id}/numbers",
    "/projects/{project_id}/agreement-summary",
    "/batches/{batch_id}/progress",
}


@dataclass
class Walk:
    """What following every link as somebody found.

    Attributes:
        pages: Addresses by route, of those that answered with a page.
        visited: Routes that answered at all.
        dead: Links that did not, with the page that they stand on.
    """

    pages: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    visited: set[str] = field(default_factory=set)
    dead: dict[str, str] = field(default_factory=dict)

    def shown(self) -> list[str]:
        """The addresses to look at: one or two of each route."""
        return [
            address
            for route, addresses in self.pages.items()
            for address in addresses[: _SHOWN_OF_A_ROUTE.get(route, 1)]
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with living_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def axe() -> str:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return axe_script()


@pytest.fixture(scope="module")
def walks(site: Site) -> dict[str, Walk]:
    found = {role: walk(site, login) for role, login in ROLES.items()}
    for route in found["researcher"].pages:  # admins see the same there
        found["admin"].pages.pop(route, None)
    return found


def routes(site: Site) -> dict[str, re.Pattern[str]]:
    """The pages' routes, by path: what browsers GET, but for the API."""
    return {
        str(route.path): route.original_route.path_regex
        for route in page_routes(site.app)
        if isinstance(route.original_route, APIRoute)
        and "GET" in (route.methods or ())
        and not str(route.path).startswith("/api/")
    }


def walk(site: Site, login: str) -> Walk:
    """Follow every link from the start page, at most a dozen of each route."""
    known = routes(site)
    found = Walk()
    waiting = [("/", "nowhere")]
    seen = {"/"}
    tried: dict[str, int] = defaultdict(int)
    with closing(site.client(login)) as client:
        while waiting:
            address, source = waiting.pop(0)
            path = address.partition("?")[0]
            route = next((name for name, regex in known.items() if regex.match(path)), path)
            tried[route] += 1
            if tried[route] > _MOST_OF_A_ROUTE:
                continue
            answer = client.get(address, follow_redirects=True)
            if answer.status_code != httpx.codes.OK:
                found.dead[address] = f"{answer.status_code} from {source}"
                continue
            found.visited.add(route)
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            landed = answer.url.raw_path.decode()
            if not answer.history and landed not in found.pages[route]:
                found.pages[route].append(landed)
            for link in _LINK.findall(answer.text):
                target = urldefrag(unescape(link)).url
                if target.startswith("/") and target not in seen:
                    seen.add(target)
                    waiting.append((target, address))
    return found


@pytest.mark.parametrize("role", ROLES)
def test_every_link_leads_somewhere(walks: dict[str, Walk], role: str) -> None:
    assert walks[role].dead == {}


def test_links_lead_to_every_page(site: Site, walks: dict[str, Walk]) -> None:
    visited = set().union(*(walk.visited for walk in walks.values()))
    assert set(routes(site)) - visited - UNLINKED == set()


def context_of(browser: Any, site: Site, login: str | None, **options: Any) -> Any:
    """A browser context, signed in."""
    context = browser.new_context(base_url=site.url, reduced_motion="reduce", **options)
    if login is not None:
        context.add_cookies(site.cookies(login))
    return context


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("role", ROLES)
def test_pages_are_accessible_quiet_and_fit(
    browser: Any, site: Site, walks: dict[str, Walk], axe: str, role: str, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    viewport = {"width": width, "height": height}
    context = context_of(
        browser,
        site,
        ROLES[role],
        viewport=viewport,
        color_scheme=scheme,
        has_touch=size == "phone",
        is_mobile=size == "phone",
    )
    faults = {}
    for address in walks[role].shown():
        page = context.new_page()
        watch = Watch(page, site.url)
        page.goto(address)
        found = layout_faults(page) + axe_faults(page, axe)
        if size == "phone":
            found += small_targets(page)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        found += layout_faults(page)
        if found or watch.found:
            faults[address] = [*dict.fromkeys(found), *watch.found]
        page.close()
    context.close()
    assert faults == {}


@pytest.mark.parametrize("role", ROLES)
def test_the_keyboard_reaches_every_control_and_its_focus_is_seen(
    browser: Any, site: Site, walks: dict[str, Walk], role: str
) -> None:
    context = context_of(browser, site, ROLES[role], viewport={"width": 1280, "height": 900})
    faults = {}
    for address in walks[role].shown():
        page = context.new_page()
        page.goto(address)
        if found := focus_faults(page):
            faults[address] = found[:6]
        page.close()
    context.close()
    assert faults == {}


@pytest.mark.parametrize("role", ROLES)
def test_pages_are_whole_without_javascript(
    browser: Any, site: Site, walks: dict[str, Walk], role: str
) -> None:
    context = context_of(browser, site, ROLES[role], java_script_enabled=False)
    faults = {}
    for address in walks[role].shown():
        page = context.new_page()
        answer = page.goto(address)
        shown = page.locator("main").inner_text().strip()
        if answer.status != httpx.codes.OK or page.locator("h1").count() != 1 or len(shown) < 20:
            faults[address] = shown[:200]
        page.close()
    context.close()
    assert faults == {}


def test_the_skip_link_comes_first_and_leads_to_the_content(browser: Any, site: Site) -> None:
    context = context_of(browser, site, "ana")
    page = context.new_page()
    page.goto("/work")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    context.close()


def test_the_account_menu_works_without_javascript(browser: Any, site: Site) -> None:
    context = context_of(browser, site, "ana", java_script_enabled=False)
    page = context.new_page()
    page.goto("/work")
    page.click("details.menu > summary")
    page.click("text=Sign out")
    assert page.url.startswith(f"{site.url}/login")
    context.close()
