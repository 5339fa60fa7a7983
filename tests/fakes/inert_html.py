"""Reads a page as a browser would and says what in it could run, load or lead elsewhere."""

import json
from html.parser import HTMLParser
from urllib.parse import urlsplit

# Tries to leave an attribute, a text, a script, a comment, a Markdown link and a template.
MARK = (
    "\"'><img src=x onerror=alert(1)></textarea></title></script><script>pwned=1</script>"
    "<!--[x](javascript:alert(1))![y](http://evil.example/z) {{7*7}} <svg/onload=alert(2)>"
)
_LOADING = {"src", "href", "action", "formaction", "data", "poster", "srcset", "xlink:href"}
_OWN_TAGS = {"iframe", "object", "embed", "base", "applet", "frame", "math", "template"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self._script: dict[str, str | None] | None = None
        self._script_text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        where = f"<{tag}> at line {self.getpos()[0]}"
        names = dict(attrs)
        if tag in _OWN_TAGS:
            self.faults.append(f"{where}: such an element is on no page")
        if tag == "img" and not (names.get("src") or "").startswith("/static/"):
            self.faults.append(f"{where}: an image from elsewhere")
        for name, value in attrs:
            if name.startswith(("on", "hx-on")) or name == "style":
                self.faults.append(f"{where}: attribute {name}")
            if any(character in name for character in "<>\"'`"):
                self.faults.append(f"{where}: attribute {name!r} broke out")
            if name in _LOADING and not _is_ours(tag, value or ""):
                self.faults.append(f"{where}: {name}={value!r}")
        if tag == "script":
            self._script, self._script_text = names, ""

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._script_text += data

    def handle_endtag(self, tag: str) -> None:
        if tag != "script" or self._script is None:
            return
        if self._script.get("type") == "application/json":
            json.loads(self._script_text)
        elif self._script_text.strip() or "src" not in self._script:
            self.faults.append(f"an inline script: {self._script_text[:80]!r}")
        self._script = None


def _is_ours(tag: str, address: str) -> bool:
    parts = urlsplit(address.strip())
    if tag == "a":
        return parts.scheme in ("", "http", "https", "mailto") and not address.startswith("//")
    return not parts.scheme and not parts.netloc


def faults_of(html: str) -> list[str]:
    """What on a page is not inert; empty where all is well."""
    page = _Page()
    page.feed(html)
    page.close()
    return page.faults
