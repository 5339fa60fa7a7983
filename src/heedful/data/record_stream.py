"""Records of several kinds in one stream of lines, so that programs can be joined by a pipe.

A line is an object with one key, the kind, such as `{"prompt": {...}}`; a record comes after
those that it refers to. The last line is `{"end": {"records": 42}}`: a stream that ends
without it was cut off, and nothing of it is used. `heedful label export` writes this;
whatever reads data files reads it too, as a file or on standard input.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from heedful.core.errors import DataError, nearest
from heedful.core.jsonl import OnBadRow, Row, RowError, read_rows, validation_error
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, Rating, Record

KINDS: dict[str, type[Record]] = {
    "prompt": Prompt,
    "completion": Completion,
    "demonstration": Demonstration,
    "ranking": Ranking,
    "rating": Rating,
}
_NAMES: dict[type[Record], str] = {kind: name for name, kind in KINDS.items()}
_END = "end"
_WHOLE = "Write it again; the program that wrote it has said why it stopped."


@dataclass(frozen=True, slots=True)
class Parcel:
    """Records of all kinds that belong together, each kind in its order."""

    prompts: list[Prompt] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    demonstrations: list[Demonstration] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    ratings: list[Rating] = field(default_factory=list)


def stream_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """The lines of a stream, each with its line end, the closing one last."""
    count = 0
    for record in records:
        yield f'{{"{_NAMES[type(record)]}":{record.model_dump_json()}}}\n'.encode()
        count += 1
    yield closing_line(count)


def closing_line(num_records: int) -> bytes:
    """The last line of a stream of so many records."""
    return json.dumps({_END: {"records": num_records}}).encode() + b"\n"


def record_in(row: Row) -> Row:
    """The record that a line of a stream holds; any other row as it is."""
    kind = _kind(row)
    return row if kind is None or kind == _END else dict(row[kind])


def is_closing(row: Row) -> bool:
    """Whether a row is the last line of a stream."""
    return _kind(row) == _END


def is_stream(path: Path) -> bool:
    """Whether the file `path` begins as a stream does."""
    if not path.name.removesuffix(".gz").endswith(".jsonl") or not path.is_file():
        return False
    rows = read_rows(path, on_bad_row=lambda _: None)
    return any(_kind(row) is not None for _, row in islice(rows, 1))


def read_stream(path: Path, on_bad_row: OnBadRow) -> Parcel:
    """Everything in the stream at `path`; that the records fit together is for the reader.

    Raises:
        RowError: A line is no record, unless `on_bad_row` takes the error.
        DataError: The stream was cut off.
    """
    found = Parcel()
    lists = dict(zip(KINDS, (getattr(found, name) for name in Parcel.__slots__), strict=True))
    rejected: list[RowError] = []

    def reject(error: RowError) -> None:
        rejected.append(error)
        on_bad_row(error)

    promised: int | None = None
    for line, row in read_rows(path, on_bad_row=reject):
        if promised is not None:
            raise RowError(path, line, None, "comes after the end of the stream", _WHOLE)
        kind = _kind(row)
        if kind == _END:
            promised = row[_END].get("records")
            if not isinstance(promised, int):
                raise RowError(path, line, "end.records", "expected a number", _WHOLE)
        elif kind is None:
            reject(_unknown(path, line, row))
        else:
            try:
                lists[kind].append(KINDS[kind].model_validate(row[kind]))
            except ValidationError as error:
                reject(validation_error(path, line, KINDS[kind], error))
    if promised != sum(map(len, lists.values())) + len(rejected):
        what = "without its last line" if promised is None else "with lines missing"
        raise DataError(f"{path}: the stream ended {what}: it was cut off", _WHOLE)
    return found


def _kind(row: Row) -> str | None:
    """The kind that a line holds; None where it is no line of a stream."""
    if len(row) != 1:
        return None
    name, value = next(iter(row.items()))
    return name if isinstance(value, dict) and (name in KINDS or name == _END) else None


def _unknown(path: Path, line: int, row: Row) -> RowError:
    reason = f'expected one record, such as {{"prompt": {{...}}}}, of {", ".join(KINDS)}'
    likely = nearest(next(iter(row), ""), KINDS)
    hint = f"Did you mean `{likely}`? " if likely and likely not in row else ""
    return RowError(path, line, None, reason, f"{hint}Correct that line or remove it.")
