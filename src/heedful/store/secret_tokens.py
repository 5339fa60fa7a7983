"""Random tokens that prove who somebody is, and what is stored of them.

A token has 256 random bits, so a plain SHA-256 of it is safe to keep.
"""

import hashlib
import secrets

MAX_TOKEN_LENGTH = 200


def new_token(prefix: str = "") -> str:
    """A fresh token."""
    return prefix + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
