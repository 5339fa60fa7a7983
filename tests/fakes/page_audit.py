"""What is wrong with a page as a browser shows it: axe, console, requests, width, focus."""

from importlib.resources import files
from typing import Any

AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
# Controls that a finger must hit; links within sentences are excepted, as in WCAG.
_SMALL_TARGETS = """() => [...document.querySelectorAll(
  'button, a.button, summary, select, textarea, nav a, input:not([type=hidden])')]
  .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest('.hidden, .skip'))
  .map(e => [e, (e.closest('label') || e).getBoundingClientRect()])
  .filter(([e, box]) => box.height > 0 && box.height < 43.5 && !e.matches('p a, li button.link'))
  .map(([e, box]) => `${e.outerHTML.slice(0, 90)} is ${Math.round(box.height)} px high`)"""
_WIDER = """() => {
  const limit = innerWidth + 0.5;
  if (document.documentElement.scrollWidth <= limit) return [];
  const wide = [...document.body.querySelectorAll('*')].filter(
    e => e.getBoundingClientRect().right > limit && !e.closest('.scroll'));
  return wide.slice(-3).map(e => `sideways: ${e.outerHTML.slice(0, 90)}`).concat(
    `sideways: ${document.documentElement.scrollWidth} px of ${innerWidth}`);
}"""
_FRAME = """() => [
  document.querySelectorAll('h1').length === 1 ? '' : 'not exactly one h1',
  document.documentElement.lang ? '' : 'no lang',
  document.title.replace('· Heedful', '').trim() ? '' : 'no title',
  document.querySelector('main#main') ? '' : 'no main',
].filter(Boolean)"""
_FOCUS = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const shown = e.matches('input[type=radio], input[type=checkbox]') && e.nextElementSibling
    ? [e, e.nextElementSibling] : [e, e.closest('.card, label, [data-card]') || e];
  const visible = shown.some(one => {
    const style = getComputedStyle(one);
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1
      || style.boxShadow !== 'none';
  });
  e.dataset.reached = '';
  return [e.outerHTML.slice(0, 90), visible];
}"""
_UNREACHED = """() => [...document.querySelectorAll(
  'main :is(button, select, textarea, summary, a[href], input:not([type=hidden]))')]
  .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.tabIndex >= 0)
  .filter(e => !('reached' in e.dataset) && e.type !== 'radio')
  .map(e => `not reached by Tab: ${e.outerHTML.slice(0, 90)}`)"""


def axe_script() -> str:
    """The source of axe-core, which axe-playwright-python ships."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


class Watch:
    """Collects what a page says on the console and asks of other hosts, from now on."""

    def __init__(self, page: Any, origin: str) -> None:
        self.found: list[str] = []
        page.on("console", lambda message: self.found.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("request", lambda request: self._request(request.url, origin))

    def _request(self, url: str, origin: str) -> None:
        if not url.startswith((f"{origin}/", "data:", "blob:")):
            self.found.append(f"request: {url}")


def axe_faults(page: Any, script: str) -> list[str]:
    """Every violation that axe finds, with the first elements."""
    page.evaluate(script + "\n;undefined")
    result = page.evaluate("options => axe.run(document, options)", AXE_OPTIONS)
    return [
        f"axe {one['id']} ({one['impact']}): "
        + "; ".join(node["html"][:100] for node in one["nodes"][:3])
        for one in result["violations"]
    ]


def layout_faults(page: Any) -> list[str]:
    """What is wrong with frame and width."""
    found: list[str] = page.evaluate(_FRAME) + page.evaluate(_WIDER)
    return found


def small_targets(page: Any) -> list[str]:
    """Controls that are too small for a finger, on a touch screen."""
    found: list[str] = page.evaluate(_SMALL_TARGETS)
    return found


def focus_faults(page: Any, most: int = 400) -> list[str]:
    """Controls that Tab does not reach, or whose focus cannot be seen."""
    faults: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        focus = page.evaluate(_FOCUS)
        if focus is None:
            break
        html, visible = focus
        if not visible:
            faults.append(f"focus not visible: {html}")
    return faults + page.evaluate(_UNREACHED)
