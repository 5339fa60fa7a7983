"""The report in a real Chromium: no request, no sideways scrolling, colours that follow."""

from pathlib import Path
from typing import Any

import pytest

from fakes.data_room_folder import write_data_room_folder
from fakes.quickstart_folder import write_quickstart_folder, write_reward_run
from heedful.reports.data_page import build_data_report
from heedful.reports.page import build_report

pytestmark = pytest.mark.browser
WIDTHS = (390, 768, 1280)


@pytest.fixture(scope="module", params=["quickstart", "reward run", "data room"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "reward"
    out = folder.parent / "report.html"
    if request.param == "data room":
        return build_data_report(write_data_room_folder(folder), out)
    if request.param == "quickstart":
        write_quickstart_folder(folder)
    else:
        write_reward_run(folder)
    return build_report(folder, out)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_makes_no_request_and_never_scrolls_sideways(
    browser: Any, report: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1] == width
    assert requests == [report.as_uri()]
    assert messages == []
    page.close()


def test_figures_fit_their_frames_and_text_is_legible_on_a_phone(
    browser: Any, report: Path
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.as_uri())
    heights = page.evaluate(
        "[...document.querySelectorAll('figure > svg text')]"
        ".map(t => [parseFloat(getComputedStyle(t).fontSize), t.getScreenCTM()])"
        ".map(([size, m]) => size * Math.hypot(m.c, m.d))"
    )
    assert heights
    assert min(heights) >= 10
    outside = page.evaluate(
        "[...document.querySelectorAll('figure')].filter(f => [...f.querySelectorAll('svg text')]"
        ".some(t => t.getBoundingClientRect().right > f.getBoundingClientRect().right)).length"
    )
    assert outside == 0
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_switch(browser: Any, report: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    background = "getComputedStyle(document.body).backgroundColor"
    label = "getComputedStyle(document.querySelector('figure > svg text')).fill"
    followed = page.evaluate(f"[{background}, {label}]")
    other = "dark" if scheme == "light" else "light"
    page.check(f"#theme-{other}", force=True)
    switched = page.evaluate(f"[{background}, {label}]")
    assert followed[0] != switched[0]
    assert followed[1] != switched[1]
    page.check(f"#theme-{scheme}", force=True)
    assert page.evaluate(f"[{background}, {label}]") == followed
    page.close()
