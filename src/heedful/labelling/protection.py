"""What stands between the network and the pages: hosts, sizes, headers, forged writes, logs.

`Protection` sees every request first and every answer last, so that an error page has the
same headers as any other. Who may do what is `heedful.labelling.guards`'.
"""

import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from heedful.core.errors import NotAllowedError
from heedful.labelling import addresses, errors
from heedful.labelling.cookies import SESSION, VISIT, is_csrf_token, read_cookie, settings_of
from heedful.labelling.request_paths import is_api, is_public_write, may_be_long, without_secrets
from heedful.labelling.server_settings import ServerSettings

log = logging.getLogger("heedful.labelling")

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with it browsers send `Origin: null` on our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Protection:
    """The outermost layer of the application.

    Args:
        is_known: Whether a request comes from somebody signed in, or with a valid token; only
            they may send a file. Called in a thread.
    """

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, is_known: Callable[[Request], bool]
    ) -> None:
        self.app = app
        self.settings = settings
        self.is_known = is_known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["request_id"] = secrets.token_hex(6)
        state["address"] = addresses.client_address(scope, self.settings.trusted_proxies)
        request = Request(scope)
        answering = _Answering(send, scope, self.settings, state["request_id"])
        if not addresses.is_our_host(headers.get("host", ""), self.settings):
            response = errors.answer(
                request,
                400,
                "This server does not go by that name.",
                "Whoever runs it can set the name with `--public-url`.",
            )
            await response(scope, receive, answering)
            return
        body = _Body(receive, await self._limit(request, headers))
        if body.is_declared_too_long(headers.get("content-length", "")):
            await errors.answer(request, 413, *body.complaint)(scope, receive, answering)
            return
        try:
            await self.app(scope, body, answering)
        except ClientDisconnect:
            return
        except Exception:
            where = f"{scope['method']} {without_secrets(scope['path'])}"
            log.exception("request %s failed: %s", state["request_id"], where)
            if answering.has_begun:
                raise
            detail = "The server met an error that nobody foresaw; nothing was changed."
            hint = f"Tell whoever runs it the number of the request: {state['request_id']}."
            await errors.answer(request, 500, detail, hint)(scope, receive, answering)

    async def _limit(self, request: Request, headers: Headers) -> int:
        """How long the body may be; a file is only taken from somebody known."""
        if request.method in _READING or not may_be_long(request.url.path):
            return self.settings.max_body_bytes
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) <= self.settings.max_body_bytes:
            return self.settings.max_body_bytes
        known = await run_in_threadpool(self.is_known, request)
        return self.settings.max_upload_bytes if known else self.settings.max_body_bytes


class _Body:
    """A request's body that ends with 413 where it grows beyond the limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.receive, self.limit, self.length = receive, limit, 0

    @property
    def complaint(self) -> tuple[str, str]:
        return (
            f"The request is longer than {self.limit / (1 << 20):.0f} MiB.",
            "Send less at once; of a file, a part.",
        )

    def is_declared_too_long(self, content_length: str) -> bool:
        return content_length.isdecimal() and int(content_length) > self.limit

    async def __call__(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.length += len(message.get("body", b""))
            if self.length > self.limit:
                raise HTTPException(413, " ".join(self.complaint), {"Connection": "close"})
        return message


class _Answering:
    """Adds the headers of every answer to its beginning."""

    def __init__(self, send: Send, scope: Scope, settings: ServerSettings, request_id: str) -> None:
        self.send, self.scope, self.settings = send, scope, settings
        self.request_id = request_id
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["X-Request-ID"] = self.request_id
            if self.settings.is_https:
                headers["Strict-Transport-Security"] = "max-age=31536000"
            headers.setdefault("Cache-Control", "no-store")
        await self.send(message)


async def check_write(request: Request) -> AsyncIterator[None]:
    """Refuse a write that another site made the browser send.

    Every write but the API's (which takes no cookies) must come from our own pages: browsers
    say where from, and the form carries a token that goes with the cookie.

    Raises:
        NotAllowedError: It did not.
    """
    if request.method in _READING or is_api(request.url.path):
        yield
        return
    if not _is_from_here(request):
        raise NotAllowedError(
            "This request came from another site.", "Open the page here and try again."
        )
    cookie = VISIT if is_public_write(request.url.path) else SESSION
    try:
        if not is_csrf_token(read_cookie(request, cookie), await _sent_token(request)):
            raise NotAllowedError(
                "The form is out of date, or cookies are switched off.",
                "Go back, reload the page and send it again.",
            )
        yield
    finally:
        # Whatever files came with the form, also where nobody was let in to read them.
        await request.close()


def _is_from_here(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser; the token still has to fit
    ours = settings_of(request).public_url
    host = urlsplit(ours).netloc if ours else request.headers.get("host", "")
    return urlsplit(origin).netloc.lower() == host.lower()


async def _sent_token(request: Request) -> str:
    header = request.headers.get("x-csrf-token")
    if header is not None:
        return header
    if not request.headers.get("content-type", "").lower().startswith(_FORMS):
        return ""
    sent = (await request.form()).get("csrf_token", "")
    return sent if isinstance(sent, str) else ""


class HideSecrets(logging.Filter):
    """Takes the tokens of invite links out of whatever is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record; every record passes."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                without_secrets(arg) if isinstance(arg, str) else arg for arg in record.args
            )
        if isinstance(record.msg, str):
            record.msg = without_secrets(record.msg)
        return True


def hide_secrets_in_logs() -> None:
    """Clean what the web server logs of requests."""
    for name in ("uvicorn.access", "uvicorn.error", "heedful.labelling"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, HideSecrets) for known in logger.filters):
            logger.addFilter(HideSecrets())


_QUERY_NAME = re.compile(r"[^\w.-]")


def check_query(request: Request) -> None:
    """Refuse query parameters that the route does not declare, filters and orders among them.

    Raises:
        HTTPException: 422, naming the first that is unknown.
    """
    allowed: dict[object, frozenset[str]] = request.app.state.query_names
    known = allowed.get(request.scope["endpoint"], frozenset())
    for name in request.query_params:
        if name not in known:
            shown = _QUERY_NAME.sub("?", name)[:40]
            raise HTTPException(422, f"`{shown}` is no parameter of this address.")
