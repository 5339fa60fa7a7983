import hashlib
import os
from pathlib import Path

import pytest

from heedful.core import file_hashes
from heedful.core.file_hashes import known_sha256, sha256_file


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read to be hashed."""
    found: list[Path] = []

    def read(path: Path) -> str:
        found.append(path)
        return sha256_file(path)

    monkeypatch.setattr(file_hashes, "sha256_file", read)
    return found


def write(path: Path, text: str, *, seconds_ago: float) -> Path:
    path.write_text(text)
    changed = path.stat().st_mtime_ns - round(seconds_ago * 1e9)
    os.utime(path, ns=(changed, changed))
    return path


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "text", seconds_ago=0)
    assert sha256_file(path) == known_sha256(path) == hashlib.sha256(b"text").hexdigest()


def test_a_file_is_read_once_while_it_stays_as_it_is(tmp_path: Path, reads: list[Path]) -> None:
    path = write(tmp_path / "a", "first", seconds_ago=9)
    before = known_sha256(path)
    renamed = path.rename(tmp_path / "b")
    assert known_sha256(renamed) == before
    assert reads == [path]
    write(renamed, "other", seconds_ago=5)
    assert known_sha256(renamed) == hashlib.sha256(b"other").hexdigest()
    write(tmp_path / "c", "first", seconds_ago=5)
    assert known_sha256(tmp_path / "c") == before
    assert len(reads) == 3


def test_a_file_changed_just_now_is_read_again(tmp_path: Path, reads: list[Path]) -> None:
    """A second change within a tick of the file system's clock would not be seen."""
    path = write(tmp_path / "a", "first", seconds_ago=-60)
    known_sha256(path)
    stat = path.stat()
    path.write_text("other")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert known_sha256(path) == hashlib.sha256(b"other").hexdigest()
    assert len(reads) == 2
