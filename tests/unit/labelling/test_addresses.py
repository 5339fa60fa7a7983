"""Where requests come from, and which host names are ours."""

import pytest

from heedful.labelling.addresses import client_address, is_our_host
from heedful.labelling.server_settings import ServerSettings

PROXIES = ("127.0.0.1", "10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_forwarded_addresses_are_believed_from_proxies_alone(
    client: str, forwarded: str | None, expected: str
) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    scope = {"type": "http", "client": (client, 1), "headers": headers}
    assert client_address(scope, PROXIES) == expected


def test_a_request_without_a_client_has_no_address() -> None:
    assert client_address({"type": "http", "client": None, "headers": []}, PROXIES) == ""


PLAIN = ServerSettings()
PUBLIC = ServerSettings(public_url="https://label.example.org")


@pytest.mark.parametrize(
    ("host", "settings", "ours"),
    [
        ("localhost:8080", PLAIN, True),
        ("127.0.0.1:8080", PLAIN, True),
        ("[::1]:8080", PLAIN, True),
        ("192.168.1.7:8080", PLAIN, True),
        ("labelbox:8080", PLAIN, True),
        ("labelbox.local", PLAIN, True),
        ("rebound.evil.example", PLAIN, False),
        ("", PLAIN, False),
        ("a@b", PLAIN, False),
        ("localhost/path", PLAIN, False),
        ("localhost:port", PLAIN, False),
        ("label.example.org", PUBLIC, True),
        ("LABEL.example.org", PUBLIC, True),
        ("127.0.0.1:8080", PUBLIC, True),
        ("label.example.org.evil.example", PUBLIC, False),
        ("192.168.1.7", PUBLIC, False),
        ("label.example.org:444", PUBLIC, False),
    ],
)
def test_hosts(host: str, settings: ServerSettings, ours: bool) -> None:
    assert is_our_host(host, settings) is ours
