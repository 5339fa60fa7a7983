"""Paths of requests: which are public, which carry uploads, which hold a secret, which are ours."""

import re
from urllib.parse import urlsplit

# Everything else needs a guard of `heedful.labelling.guards`; `create_app` refuses otherwise.
PUBLIC = frozenset({"/", "/login", "/invite/{token}", "/healthz", "/api/openapi.json"})
SIGN_IN_PATH = "/login"
API = "/api/"

_SECRET = re.compile(r"(/invite/)[^/?#\s]+")
_UPLOAD = re.compile(r"/api/v1/.*|.*/import")
_NOT_IN_A_PATH = re.compile(r"[\x00-\x20\x7f\\]")
_MAX_LENGTH = 2000


def is_api(path: str) -> bool:
    """Whether a path is the JSON API's: tokens instead of cookies, errors as JSON."""
    return path.startswith(API)


def is_public_write(path: str) -> bool:
    """Whether a form of that path is filled in by somebody who is not signed in."""
    return path == SIGN_IN_PATH or path.startswith("/invite/")


def may_be_long(path: str) -> bool:
    """Whether a request to that path may carry a file."""
    return _UPLOAD.fullmatch(path) is not None


def without_secrets(text: str) -> str:
    """A path, or a line that holds one, with the token of an invite taken out."""
    return _SECRET.sub(r"\1[secret]", text)


def local_path(target: str | None, *, otherwise: str = "/") -> str:
    """`target` where it is a path on this server, and nothing else that a browser would follow."""
    if not target or len(target) > _MAX_LENGTH or _NOT_IN_A_PATH.search(target):
        return otherwise
    if not target.startswith("/") or target.startswith("//"):
        return otherwise
    try:
        parts = urlsplit(target)
    except ValueError:
        return otherwise
    return otherwise if parts.scheme or parts.netloc else target
