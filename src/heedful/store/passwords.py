"""Passwords: what is accepted, and argon2id over it.

Nothing here touches the database, so that the slow part is done outside of transactions.
"""

import threading
import unicodedata
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from heedful.core.errors import DataError

MIN_LENGTH = 12
MAX_LENGTH = 256
_MIN_DISTINCT = 5
# Above the floor that OWASP names for argon2id (46 MiB, one pass), for one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)
# A burst of sign-ins must not take the memory of the machine: 46 MiB each.
_AT_ONCE = threading.BoundedSemaphore(4)


@dataclass(frozen=True, slots=True)
class HashedPassword:
    """A password that passed the rules, as what is stored of it."""

    argon2id: str


def hashed(password: str, *, login: str) -> HashedPassword:
    """Check a new password against the rules and hash it (tens of milliseconds).

    Raises:
        DataError: It is too short, too long, too plain or the login itself.
    """
    plain = unicodedata.normalize("NFKC", password)
    if not MIN_LENGTH <= len(plain) <= MAX_LENGTH:
        raise DataError(
            f"the password has {len(plain)} characters",
            f"Choose one of {MIN_LENGTH} to {MAX_LENGTH}; several words together do well.",
        )
    if len(set(plain)) < _MIN_DISTINCT or plain.lower() == login.lower():
        raise DataError(
            "that password is too easy to guess", "Choose one that is neither a pattern nor a name."
        )
    with _AT_ONCE:
        return HashedPassword(_HASHER.hash(_bytes(plain)))


def matches(stored: str | None, password: str) -> bool:
    """Whether `password` is the stored one; as much work where nothing is stored."""
    plain = _bytes(password[: MAX_LENGTH + 1])
    with _AT_ONCE:
        try:
            _HASHER.verify(_hash_of_nobody() if stored is None else stored, plain)
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a stored hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def rehashed(password: str) -> str:
    """The hash of a password that was just verified, with today's parameters."""
    with _AT_ONCE:
        return _HASHER.hash(_bytes(password))


def _bytes(password: str) -> bytes:
    """What is hashed: however a keyboard composed its characters, the same bytes."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@cache
def _hash_of_nobody() -> str:
    return _HASHER.hash("the password of an account that does not exist")
