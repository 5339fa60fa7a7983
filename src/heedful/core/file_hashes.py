"""SHA-256 of files: read at each call, or once while a file stays as it is."""

import hashlib
import time
from pathlib import Path

# A file system's clock ticks: a change within a tick of the one before may have its time.
_TICK_NS = 50_000_000

_known: dict[tuple[int, int, int, int], str] = {}


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path) -> str:
    """As `sha256_file`, but read once in this process while the file stays as it is.

    For weights, which several stages open one after the other. A file is told from others by
    its inode, its size and the time of its last change, so that it may be renamed.
    """
    stat = path.stat()
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    digest = _known.get(key)
    if digest is None:
        digest = sha256_file(path)
        if time.time_ns() - stat.st_mtime_ns > _TICK_NS:
            _known[key] = digest
    return digest
