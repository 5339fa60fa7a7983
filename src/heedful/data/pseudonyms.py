"""Secret keys, and the pseudonyms that they make of names.

A pseudonym is an HMAC: the same name gives the same one under a key, and without the key
nobody can go back by trying names. Keys come from a file or from the environment; they are
never written, logged or shown.
"""

import hashlib
import hmac
import os
from pathlib import Path

from heedful.core.errors import ConfigError

KEY_VARIABLE = "HEEDFUL_KEY"
SALT_VARIABLE = "HEEDFUL_SALT"
_MIN_BYTES = 16


class Key(bytes):
    """A secret that does not show itself where it is printed or logged."""

    def __repr__(self) -> str:
        return "Key(...)"

    def __str__(self) -> str:
        return repr(self)


NO_KEY = Key()


def read_key(variable: str, path: Path | None = None) -> Key | None:
    """The key in the file `path`, else in the file `<variable>_FILE` names, else in `variable`.

    None where none of the three is given. White space around the key does not count.

    Raises:
        ConfigError: The file cannot be read, or the key is shorter than 16 bytes.
    """
    if path is None and (named := os.environ.get(f"{variable}_FILE")):
        path = Path(named)
    if path is not None:
        try:
            content, where = path.read_bytes(), str(path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot read the key: {error.strerror}", _advice()) from None
    elif variable in os.environ:
        content, where = os.environ[variable].encode(), f"environment variable {variable}"
    else:
        return None
    key = Key(content.strip())
    if len(key) < _MIN_BYTES:
        raise ConfigError(f"{where}: a key has at least {_MIN_BYTES} bytes", _advice())
    return key


def require_key(key: Key | None, what: str, variable: str) -> Key:
    """`key`, which `what` cannot do without.

    Raises:
        ConfigError: There is none.
    """
    if not key:
        raise ConfigError(
            f"{what} needs a secret key", f"Set {variable}_FILE to a key file. {_advice()}"
        )
    return key


def keyed_id(prefix: str, key: Key, *parts: str | int) -> str:
    """An id such as `user-9f3c0a1b2d4e5f60` that depends on the key and the parts alone."""
    joined = "\x1f".join([prefix, *map(str, parts)])
    return f"{prefix}-{hmac.new(key, joined.encode(), hashlib.sha256).hexdigest()[:16]}"


def fingerprint(key: Key) -> str:
    """Tells whether two keys are the same; says nothing else about a key."""
    return keyed_id("key", key)


def _advice() -> str:
    return 'Make one: python -c "import secrets; print(secrets.token_hex(32))" > key.txt'
