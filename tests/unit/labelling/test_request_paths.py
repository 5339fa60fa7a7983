"""Paths: which are ours to lead to, which hold a secret."""

import pytest

from heedful.labelling.request_paths import (
    is_api,
    is_public_write,
    local_path,
    may_be_long,
    without_secrets,
)


@pytest.mark.parametrize("path", ["/", "/work", "/projects/p?page=2", "/a/b#c"])
def test_paths_on_this_server_are_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "work",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/a b",
        "/\t/evil.example",
        "/\n/evil.example",
        "/work\r\nSet-Cookie: a=b",
        "/" + "x" * 2001,
    ],
)
def test_what_leads_elsewhere_is_not_followed(target: str | None) -> None:
    assert local_path(target) == "/"
    assert local_path(target, otherwise="/work") == "/work"


def test_tokens_are_taken_out_of_paths_and_lines() -> None:
    line = '127.0.0.1 - "GET /invite/SECRET-token_1?x=1 HTTP/1.1" 200'
    assert without_secrets(line) == '127.0.0.1 - "GET /invite/[secret]?x=1 HTTP/1.1" 200'
    assert without_secrets("/invite/a and /invite/b") == "/invite/[secret] and /invite/[secret]"
    assert without_secrets("/projects/p/invites") == "/projects/p/invites"


def test_kinds_of_paths() -> None:
    assert is_api("/api/v1/projects")
    assert not is_api("/apiary")
    assert is_public_write("/login")
    assert is_public_write("/invite/abc")
    assert not is_public_write("/invites/abc")
    assert may_be_long("/projects/p/prompts/import")
    assert may_be_long("/api/v1/projects/p/prompts")
    assert not may_be_long("/work/items/i/submit")
