"""Where requests come from and what name they use: addresses behind proxies, host names."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import Scope

from heedful.labelling.server_settings import ServerSettings


def client_address(scope: Scope, trusted_proxies: Sequence[str]) -> str:
    """The address that a request comes from.

    `X-Forwarded-For` is believed only as far as the proxies that wrote it are trusted: from
    the right, the first address that is not a proxy of ours.
    """
    client = scope.get("client")
    address = str(client[0]) if client else ""
    if address not in trusted_proxies:
        return address
    forwarded = b",".join(
        value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for"
    )
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        hop = hop.strip()
        if not _is_address(hop):
            return address
        address = hop
        if hop not in trusted_proxies:
            return hop
    return address


def is_our_host(host: str, settings: ServerSettings) -> bool:
    """Whether a request's `Host` is a name of this server.

    With a public URL, that name and loopback (for health checks). Without one, anything that
    no stranger can point at this machine by a name of their own: addresses, names without a
    dot, `.local` and `.localhost` (against DNS rebinding).
    """
    name = _host_name(host)
    if not name:
        return False
    if name == "localhost" or _is_loopback(name):
        return True
    if settings.public_url is not None:
        return host.lower() == urlsplit(settings.public_url).netloc.lower()
    if name == settings.host.lower() or _is_address(name):
        return True
    return "." not in name or name.endswith((".local", ".localhost"))


def _host_name(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    if parts.path or parts.query or parts.fragment or "@" in host:
        return ""
    return (parts.hostname or "").lower()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
