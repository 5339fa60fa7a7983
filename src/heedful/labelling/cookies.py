"""The cookies of the application, and the CSRF tokens that are derived from them.

Three: the session, a random value for visitors who are about to sign in, and the message
that the next page shows. Over https their names carry `__Host-`, so that no other host of
the domain can set them.
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Literal

from fastapi import Request, Response

from heedful.labelling.server_settings import ServerSettings

MessageKind = Literal["good", "warn", "bad"]
SESSION, VISIT, MESSAGE = "heedful_session", "heedful_visit", "heedful_message"
_MAX_MESSAGE = 600
_MESSAGE_SECONDS = 60


def settings_of(request: Request) -> ServerSettings:
    """The settings that the application was made with."""
    settings: ServerSettings = request.app.state.settings
    return settings


def read_cookie(request: Request, name: str) -> str:
    """A cookie of ours, or an empty string."""
    return request.cookies.get(_full_name(settings_of(request), name), "")


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, seconds: int | None = None
) -> None:
    """Set a cookie that no script reads and no other site sends along."""
    settings = settings_of(request)
    response.set_cookie(
        _full_name(settings, name),
        value,
        max_age=seconds,
        path="/",
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(request: Request, response: Response, name: str) -> None:
    """Take a cookie back."""
    settings = settings_of(request)
    response.delete_cookie(
        _full_name(settings, name),
        path="/",
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )


def set_message(
    request: Request, response: Response, text: str, kind: MessageKind = "good"
) -> None:
    """Let the next page say `text`."""
    content = json.dumps([kind, text[:_MAX_MESSAGE]]).encode()
    value = base64.urlsafe_b64encode(content).decode()
    set_cookie(request, response, MESSAGE, value, seconds=_MESSAGE_SECONDS)


def read_messages(request: Request) -> list[tuple[str, str]]:
    """What the page should say, as (kind, text); empty where the cookie makes no sense."""
    value = read_cookie(request, MESSAGE)
    if not value or len(value) > 4 * _MAX_MESSAGE:
        return []
    try:
        kind, text = json.loads(base64.urlsafe_b64decode(value.encode()))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        return []
    if kind not in ("good", "warn", "bad") or not isinstance(text, str):
        return []
    return [(kind, text[:_MAX_MESSAGE])]


def csrf_token(secret: str) -> str:
    """The token that a form must carry beside the cookie that holds `secret`."""
    return hmac.new(secret.encode("utf-8", "replace"), b"csrf", hashlib.sha256).hexdigest()


def is_csrf_token(secret: str, token: str) -> bool:
    """Whether a form's token goes with its cookie, compared in constant time."""
    given = token.encode("utf-8", "replace")
    return bool(secret) and hmac.compare_digest(csrf_token(secret).encode(), given)


def _full_name(settings: ServerSettings, name: str) -> str:
    return f"__Host-{name}" if settings.is_https else name
