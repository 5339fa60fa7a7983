"""Pages from templates. Whatever a person wrote comes out inert: escaped, or plain Markdown.

The one way around escaping is `markdown`, which makes its own tags and passes none on.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from heedful.labelling.cookies import (
    MESSAGE,
    MessageKind,
    clear_cookie,
    read_messages,
    set_message,
)
from heedful.labelling.guards import Viewer, find_viewer
from heedful.labelling.request_paths import local_path

HERE = Path(__file__).parent
STATIC = HERE / "static"
NOTHING = "\N{EN DASH}"
_DEEPEST_HEADING = 6
_KINDS = {"text-align:left": "left", "text-align:right": "right", "text-align:center": "centre"}


def page(
    request: Request,
    template: str,
    *,
    viewer: Viewer | None = None,
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """A page of the application.

    Templates find `request`, `viewer` (who is signed in, whether given or not), `messages`
    and, where the caller gives one, `csrf_token`. A name that a template uses and nobody
    gives is an error.

    Args:
        template: Its path below templates/, such as `work/home.html`.
    """
    return render(request, template, viewer or find_viewer(request), status, context)


def render(
    request: Request,
    template: str,
    viewer: Viewer | None,
    status: int,
    context: Mapping[str, Any],
) -> HTMLResponse:
    """A page for a viewer who is known, or known to be nobody; asks no database."""
    messages = [*read_messages(request), *context.get("messages", ())]
    text = (
        templates()
        .get_template(template)
        .render({**context, "request": request, "viewer": viewer, "messages": messages})
    )
    response = HTMLResponse(text, status_code=status)
    if read_messages(request):
        clear_cookie(request, response, MESSAGE)
    return response


def redirect(
    request: Request, path: str, *, message: str = "", kind: MessageKind = "good"
) -> RedirectResponse:
    """Lead the browser on after a write; the page that it gets shows `message`."""
    response = RedirectResponse(local_path(path), status_code=303)
    if message:
        set_message(request, response, message, kind)
    return response


@cache
def templates() -> Environment:
    """The environment of every page: escapes everything, knows no undefined names."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ago=ago, duration=duration, markdown=markdown, money=money, moment=moment, percent=percent
    )
    environment.globals["asset"] = asset
    return environment


@cache
def asset(name: str) -> str:
    """The address of a file below static/, with its hash, so that browsers may keep it."""
    return f"/static/{name}?v={asset_hash(name)}"


@cache
def asset_hash(name: str) -> str:
    """The beginning of the SHA-256 of a file below static/."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def markdown(text: str, heading_level: int = 2) -> Markup:
    """Markdown as inert HTML: no tags of the author's, no images, links to http(s) alone.

    Args:
        heading_level: What `#` becomes, so that a page keeps its one first heading.
    """
    rendered = _markdown_parser().render(text, {"heading_level": heading_level})
    return Markup(rendered)


def ago(when: datetime | None, now: datetime | None = None) -> str:
    """How long ago, or how far ahead, in the largest unit: `3 hours ago`, `in 2 days`."""
    if when is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    if abs(seconds) < 60:
        return "just now" if seconds >= 0 else "in a moment"
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(abs(seconds) // length)
        if count:
            amount = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    raise AssertionError("a minute or more has a unit")


def moment(when: datetime | None) -> str:
    """A moment in UTC, to the minute."""
    return NOTHING if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(value: float | timedelta | None) -> str:
    """A time span in its two largest units: `1 h 05 min`, `2 min 10 s`, `8 s`."""
    if value is None:
        return NOTHING
    seconds = round(value.total_seconds() if isinstance(value, timedelta) else value)
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    if seconds >= 60:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds} s"


def money(amount: float | None, currency: str = "EUR") -> str:
    """An amount with its currency, `12.50 EUR`."""
    return NOTHING if amount is None else f"{amount:,.2f} {currency}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one as a percentage, `72.6 %`."""
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


@cache
def _markdown_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "typographer": False})
    parser.enable(["table", "strikethrough"])
    parser.disable(["image"])
    parser.validateLink = _is_web_link  # type: ignore[method-assign] # markdown-it's own way
    for name, rule in (
        ("link_open", _open_link),
        ("heading_open", _shift_heading),
        ("heading_close", _shift_heading),
        ("th_open", _align_by_class),
        ("td_open", _align_by_class),
    ):
        parser.add_render_rule(name, rule)
    return parser


def _is_web_link(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)


def _open_link(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    place: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    tokens[place].attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, place, options, env)


def _shift_heading(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    place: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    token = tokens[place]
    level = int(token.tag[1:]) + int(env["heading_level"]) - 1
    token.tag = f"h{min(level, _DEEPEST_HEADING)}"
    return renderer.renderToken(tokens, place, options, env)


def _align_by_class(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    place: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    # The style attribute that markdown-it writes would be against our Content-Security-Policy.
    token = tokens[place]
    style = token.attrs.pop("style", None)
    if isinstance(style, str) and style in _KINDS:
        token.attrSet("class", f"align-{_KINDS[style]}")
    return renderer.renderToken(tokens, place, options, env)


def fields_of(errors: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What is wrong with each field of a form, from the complaints of its validation."""
    found: dict[str, str] = {}
    for error in errors:
        where = [str(part) for part in error["loc"] if part not in ("body", "query", "path")]
        found.setdefault(".".join(where) or "request", str(error["msg"]))
    return found
