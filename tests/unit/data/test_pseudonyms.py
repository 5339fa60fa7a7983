"""Keys are read, kept to themselves, and make pseudonyms that need them."""

from pathlib import Path

import pytest

from heedful.core.errors import ConfigError
from heedful.data.pseudonyms import NO_KEY, Key, fingerprint, keyed_id, read_key, require_key

SECRET = "a secret of enough bytes"


def test_a_key_comes_from_the_file_given_then_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_key("SOME_KEY") is None
    monkeypatch.setenv("SOME_KEY", f"{SECRET} 1\n")
    assert read_key("SOME_KEY") == f"{SECRET} 1".encode()
    (tmp_path / "named").write_text(f"{SECRET} 2\n")
    monkeypatch.setenv("SOME_KEY_FILE", str(tmp_path / "named"))
    assert read_key("SOME_KEY") == f"{SECRET} 2".encode()
    (tmp_path / "given").write_text(f"{SECRET} 3\n")
    assert read_key("SOME_KEY", tmp_path / "given") == f"{SECRET} 3".encode()


def test_bad_keys_are_refused_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sesame")
    with pytest.raises(ConfigError, match="SOME_KEY: a key has at least 16 bytes") as caught:
        read_key("SOME_KEY")
    assert "sesame" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot read the key: No such file"):
        read_key("SOME_KEY", tmp_path / "none")
    for none in (None, NO_KEY):
        with pytest.raises(ConfigError, match="a release needs a secret key"):
            require_key(none, "a release", "SOME_KEY")


def test_a_key_does_not_show_itself() -> None:
    key = Key(SECRET.encode())
    assert f"{key} {key!r} {[key]}" == "Key(...) Key(...) [Key(...)]"
    assert require_key(key, "x", "SOME_KEY") is key
    assert fingerprint(key) != fingerprint(Key(b"another secret of enough"))


def test_pseudonyms_depend_on_key_prefix_and_name() -> None:
    keys = [Key(SECRET.encode()), NO_KEY]
    made = {keyed_id(p, key, n) for key in keys for p in ("user", "row") for n in ("a", "b")}
    assert len(made) == 8
    assert keyed_id("user", keys[0], "a") == keyed_id("user", keys[0], "a")
