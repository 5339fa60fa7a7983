import pytest
from pydantic import ValidationError

from heedful.labelling.server_settings import ServerSettings


def test_a_server_needs_no_settings() -> None:
    settings = ServerSettings()
    assert settings.origin == "http://127.0.0.1:8080"
    assert not settings.is_https


def test_behind_a_proxy_links_and_cookies_follow_the_public_address() -> None:
    settings = ServerSettings(public_url="https://label.example.org/")
    assert settings.url("/invite/abc") == "https://label.example.org/invite/abc"
    assert settings.is_https


def test_an_address_of_ip_version_6_is_in_brackets() -> None:
    assert ServerSettings(host="::1").origin == "http://[::1]:8080"


@pytest.mark.parametrize(
    "url",
    [
        "label.example.org",
        "ftp://label.example.org",
        "https://label.example.org/under/a/path",
        "https://label.example.org/?a=1",
        "https://somebody@label.example.org",
    ],
)
def test_a_public_address_is_scheme_and_host(url: str) -> None:
    with pytest.raises(ValidationError, match=r"label\.example\.org"):
        ServerSettings(public_url=url)
