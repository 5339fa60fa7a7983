"""Files without a person: what of a file stays, kind by kind of file.

Rows that stay keep their bytes in JSONL and their columns in Parquet. Nothing is replaced
here: the new content is written beside the old, for `heedful.data.withdraw` to put all in
place at once.
"""

import contextlib
import csv
import gzip
import html
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heedful.core.errors import DataError
from heedful.core.jsonl import read_rows
from heedful.data.record_stream import closing_line, is_closing, record_in
from heedful.data.traces import WITHDRAWN, Traces, says_whose

ROW_SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")
_TEXT_SUFFIXES = (".md", ".txt", ".log", ".toml", ".yaml", ".yml")
_PAGE_SUFFIXES = (".html", ".htm")
# Weights are read by nobody here; who trained them is told by their cards.
_WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".gguf", ".npy", ".npz")
_BETWEEN_TAGS = re.compile(r"<[^>]*>")


class UnknownKindError(Exception):
    """The file holds the person, and is of a kind that cannot be changed here."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A file's content without the person.

    Attributes:
        content: None where the file is to go: a page, which can be made again.
        removed: Rows that go, or 1 for another change.
    """

    content: bytes | None
    removed: int


def kind_of(path: Path) -> str:
    """The suffix that tells what is in the file, `.gz` set aside."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a data file that can be read; of a damaged file, those before the damage."""
    try:
        for _, row in read_rows(path, on_bad_row=lambda _: None):
            yield record_in(row)
    except DataError:
        return


def clean_file(path: Path, traces: Traces) -> Cleaned | None:
    """The file without the person; None where it does not hold them.

    Raises:
        UnknownKindError: It holds the person and is of no kind that can be changed.
    """
    kind = kind_of(path)
    if path.name.endswith(".tmp") or path.is_symlink():
        kind = ""
    if kind == ".jsonl":
        return _packed(path, _clean_jsonl(_content(path), traces))
    if kind == ".parquet":
        return _clean_parquet(path, traces)
    if kind in _WEIGHT_SUFFIXES:
        return None
    content = _content(path)
    try:
        if kind == ".json":
            return _packed(path, _clean_json(content, traces))
        if kind in (".csv", ".tsv"):
            return _packed(path, _clean_csv(content, traces, "\t" if kind == ".tsv" else ","))
        if kind in _TEXT_SUFFIXES:
            text = content.decode()
            cleaned = traces.without(text)
            return None if cleaned == text else _packed(path, Cleaned(cleaned.encode(), 1))
        if kind in _PAGE_SUFFIXES:
            return Cleaned(None, 1) if _shows(content.decode(), traces) else None
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError):
        pass  # Not what its name says; looked at as bytes below.
    if traces.is_in_bytes(content):
        raise UnknownKindError(str(path))
    return None


def _shows(page: str, traces: Traces) -> bool:
    """Whether a page shows the person; its texts may be cut short."""
    parts = (html.unescape(part).strip() for part in _BETWEEN_TAGS.split(page))
    return traces.without(page) != page or any(map(traces.shown_in, parts))


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".gz":
        with contextlib.suppress(OSError, EOFError, zlib.error):
            return gzip.decompress(content)
    return content


def _packed(path: Path, cleaned: Cleaned | None) -> Cleaned | None:
    if cleaned is None or cleaned.content is None or path.suffix != ".gz":
        return cleaned
    return Cleaned(gzip.compress(cleaned.content, mtime=0), cleaned.removed)


def _clean_jsonl(content: bytes, traces: Traces) -> Cleaned | None:
    kept: list[bytes] = []
    changed = 0
    for line in content.splitlines(keepends=True):
        new = _clean_line(line, traces)
        changed += new != line
        if new is not None:
            kept.append(new)
    if changed and kept and _is_closing(kept[-1]):
        kept[-1] = closing_line(sum(1 for line in kept if line.strip()) - 1)
    return Cleaned(b"".join(kept), changed) if changed else None


def _is_closing(line: bytes) -> bool:
    if not line.startswith(b'{"end"'):
        return False
    row = json.loads(line)
    return isinstance(row, dict) and is_closing(row)


def _clean_line(line: bytes, traces: Traces) -> bytes | None:
    """The line, changed where it only refers to the person; None where it goes."""
    try:
        row = json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):
        return None if traces.is_in_bytes(line) else line
    if not isinstance(row, dict):
        return line
    if traces.is_theirs(record_in(row)):
        return None
    if says_whose(record_in(row)):
        return line
    cleaned, hit = traces.clean(row)
    if not hit and cleaned == row:
        return line
    if hit and cleaned.get("because_of") != WITHDRAWN:
        return None
    # That another person's record was dropped because of one of theirs is still told.
    return json.dumps(cleaned, ensure_ascii=False).encode() + b"\n"


def _clean_json(content: bytes, traces: Traces) -> Cleaned | None:
    value = json.loads(content)
    cleaned, hit = traces.clean(value)
    if cleaned == value and not hit:
        return None
    text = json.dumps(cleaned, indent=2, ensure_ascii=False)
    return Cleaned(text.encode() + b"\n", 1)


def _clean_csv(content: bytes, traces: Traces, delimiter: str) -> Cleaned | None:
    text = content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    kept = [row for row in rows if not _is_theirs(rows[0], row, traces)]
    if len(kept) == len(rows):
        return None
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(kept)
    return Cleaned(written.getvalue().encode(), len(rows) - len(kept))


def _is_theirs(names: list[str], cells: list[str], traces: Traces) -> bool:
    row = dict(zip(names, cells, strict=False))
    if says_whose(row):
        return traces.is_theirs(row)
    return any(map(traces.shown_in, cells))


def _clean_parquet(path: Path, traces: Traces) -> Cleaned | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def goes(row: dict[str, Any]) -> bool:
        if says_whose(row) or traces.is_theirs(row):
            return traces.is_theirs(row)
        return traces.clean(row)[1]

    kept = [not goes(row) for row in rows_of(path)]
    if all(kept):
        return None
    table = pq.read_table(path).filter(pa.array(kept))
    written = io.BytesIO()
    pq.write_table(table, written)
    return Cleaned(written.getvalue(), kept.count(False))
