"""Records to and from files: JSONL, JSONL.gz and Parquet, written atomically.

A broken row is a `RowError` that names file, line and field. `read_rows` gives the raw
rows of any public data file (CSV and JSON arrays too) for `heedful.data.sources`.
Appending metrics line by line is the metric logger's; this module only writes whole files.
"""

import csv
import gzip
import io
import json
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from heedful.core.errors import DataError, nearest

R = TypeVar("R", bound=BaseModel)
Row = dict[str, Any]
_AS_JSON = {b"heedful": b"json"}
# UTF-8 has no surrogates; only an escape brings one into a row.
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class RowError(DataError):
    """One row of a file cannot be used.

    Args:
        path: The file.
        line: Its line, counted from 1; the row's number in a Parquet file.
        field: The field at fault, or None where the whole row is.
        reason: What is wrong with it.
        hint: What to do about it.
    """

    def __init__(
        self,
        path: Path,
        line: int,
        field: str | None,
        reason: str,
        hint: str = "Correct that line or remove it.",
    ) -> None:
        self.path, self.line, self.field, self.reason = path, line, field, reason
        unit = "row" if _suffix(path) == ".parquet" else "line"
        where = f"{path}, {unit} {line}" + (f", field `{field}`" if field else "")
        super().__init__(f"{where}: {reason}", hint)


OnBadRow = Callable[[RowError], None]


def refuse(error: RowError) -> None:
    """The default for a bad row: raise."""
    raise error


def read_records(path: Path, record_type: type[R], *, limit: int | None = None) -> list[R]:
    """The first `limit` records of `path`, or all.

    Raises:
        RowError: A line is not JSON, or not such a record.
        DataError: The file is missing or damaged.
    """
    records: list[R] = []
    for record in iter_records(path, record_type):
        if limit is not None and len(records) >= limit:
            break
        records.append(record)
    return records


def iter_records(path: Path, record_type: type[R], *, on_bad_row: OnBadRow = refuse) -> Iterator[R]:
    """The records of `path` one by one; bad rows go to `on_bad_row`."""
    for line, row in read_rows(path, on_bad_row=on_bad_row):
        try:
            yield record_type.model_validate(row)
        except ValidationError as error:
            on_bad_row(validation_error(path, line, record_type, error))


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Replace `path` by `records` (JSONL, JSONL.gz or Parquet by suffix); return how many."""
    suffix = _suffix(path)
    if suffix not in {".jsonl", ".parquet"}:
        raise DataError(f"{path}: cannot write records there", "Use .jsonl, .jsonl.gz or .parquet.")
    with open_atomic(path) as file:
        if suffix == ".parquet":
            return _write_parquet(file, [record.model_dump(mode="json") for record in records])
        # No time of writing in the header: the same records give the same bytes.
        target = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.suffix == ".gz" else file
        num_records = 0
        for record in records:
            target.write(record.model_dump_json().encode() + b"\n")
            num_records += 1
        if target is not file:
            target.close()
        return num_records


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends without an error.

    Whoever reads `path` sees the old content or the new, also after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_text_atomic(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8."""
    with open_atomic(path) as file:
        file.write(text.encode())


def write_json_atomic(path: Path, value: object) -> None:
    """Replace `path` by `value` as indented JSON."""
    write_text_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_rows(path: Path, *, on_bad_row: OnBadRow = refuse) -> Iterator[tuple[int, Row]]:
    """The rows of a data file as (line number, row), whatever their columns.

    Reads .jsonl, .json (an array, or one object a line), .csv, .tsv and .parquet, all but
    the last also as .gz. A byte order mark, CRLF and blank lines are tolerated.

    Raises:
        RowError: A row cannot be read, unless `on_bad_row` takes the error.
        DataError: The file is missing, damaged, or of another kind.
    """
    readers = {
        ".jsonl": _jsonl_rows,
        ".json": _json_rows,
        ".csv": _csv_rows,
        ".tsv": _csv_rows,
        ".parquet": _parquet_rows,
    }
    reader = readers.get(_suffix(path))
    if reader is None:
        known = ", ".join(readers)
        raise DataError(f"{path}: unknown kind of data file", f"Use one of {known}.")
    if not path.is_file():
        raise DataError(f"{path}: no such file", "Check the path.")
    try:
        yield from reader(path, on_bad_row)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: the file is damaged: {error}", "Fetch or write it again."
        ) from error


def _suffix(path: Path) -> str:
    """The suffix that says what is in the file, `.gz` set aside."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _jsonl_rows(path: Path, on_bad_row: OnBadRow) -> Iterator[tuple[int, Row]]:
    with _open(path) as file:
        for line, content in enumerate(file, start=1):
            if line == 1:
                content = content.removeprefix(b"\xef\xbb\xbf")
            if not content.strip():
                continue
            try:
                row = json.loads(content.rstrip(b"\r\n").decode())
            except UnicodeDecodeError as error:
                reason = f"not UTF-8 at byte {error.start + 1}"
            except json.JSONDecodeError as error:
                reason = f"not valid JSON at column {error.colno}: {error.msg}"
            except RecursionError:
                reason = "nested too deeply"
            else:
                escaped = _HALF_PAIR.search(content) is not None
                if (fault := _unusable(path, line, row, escaped)) is None:
                    yield line, row
                else:
                    on_bad_row(fault)
                continue
            on_bad_row(RowError(path, line, None, reason))


def _json_rows(path: Path, on_bad_row: OnBadRow) -> Iterator[tuple[int, Row]]:
    """The elements of a JSON array, with the lines where they begin; or JSONL after all."""
    with _open(path) as file:
        start = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith(b"["):
        yield from _jsonl_rows(path, on_bad_row)
        return
    with _open(path) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}") from error
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        # An array is all or nothing: after a syntax error no element can be told apart.
        reason = f"not valid JSON at column {error.colno}: {error.msg}"
        raise RowError(path, error.lineno, None, reason) from error
    escaped = _HALF_PAIR.search(text.encode()) is not None
    decoder = json.JSONDecoder()
    place, line = text.index("[") + 1, 1 + text[: text.index("[")].count("\n")
    for row in rows:
        begin = place
        while text[begin] in ", \t\r\n":
            begin += 1
        line += text.count("\n", place, begin)
        _, place = decoder.raw_decode(text, begin)
        if (fault := _unusable(path, line, row, escaped)) is None:
            yield line, row
        else:
            on_bad_row(fault)
        line += text.count("\n", begin, place)


def _csv_rows(path: Path, on_bad_row: OnBadRow) -> Iterator[tuple[int, Row]]:
    delimiter = "\t" if _suffix(path) == ".tsv" else ","
    with _open(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names: list[str] | None = None
        line = 1
        try:
            for cells in reader:
                begin, line = line, reader.line_num + 1
                if not cells:
                    continue
                if names is None:
                    names = cells
                elif len(cells) != len(names):
                    reason = f"{len(cells)} cells for {len(names)} columns"
                    on_bad_row(RowError(path, begin, None, reason))
                else:
                    yield begin, dict(zip(names, cells, strict=True))
        except csv.Error as error:
            raise RowError(
                path, line, None, f"not valid CSV: {error}", "Correct it, or convert it to JSONL."
            ) from error
        except UnicodeDecodeError as error:
            raise RowError(path, line, None, "not UTF-8", "Save the file as UTF-8.") from error


def _parquet_rows(path: Path, _on_bad_row: OnBadRow) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            as_json = [field.name for field in schema if field.metadata == _AS_JSON]
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    for name in as_json:
                        row[name] = json.loads(row[name])
                    yield number, row
    except pa.ArrowException as error:
        raise DataError(f"{path}: not readable as Parquet: {error}", "Write it again.") from error


def _write_parquet(file: IO[bytes], rows: list[Row]) -> int:
    """Write rows; a column that Arrow has no plain type for is stored as JSON text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays, fields = [], []
    for name in rows[0] if rows else []:
        values = [row[name] for row in rows]
        metadata = None
        try:
            if any(_is_nested(value) for value in values):
                raise pa.ArrowInvalid(name)
            array = pa.array(values)
        except pa.ArrowException:
            array = pa.array([json.dumps(value, ensure_ascii=False) for value in values])
            metadata = _AS_JSON
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=metadata))
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), file)
    return len(rows)


def _is_nested(value: object) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, list | dict) for item in value)
    return isinstance(value, dict)


def validation_error(
    path: Path, line: int, record_type: type[BaseModel], error: ValidationError
) -> RowError:
    """The first of pydantic's complaints about a row, in our words."""
    first, *others = error.errors(include_url=False, include_input=False)
    field = ".".join(str(part) for part in first["loc"]) or None
    reason = first["msg"].removeprefix("Value error, ")
    hint = "Correct that line or remove it."
    if first["type"] == "extra_forbidden":
        reason = f"a {record_type.__name__} has no such field"
        likely = nearest(str(first["loc"][-1]), record_type.model_fields)
        if likely is not None and len(first["loc"]) == 1:
            hint = f"Did you mean `{likely}`? {hint}"
    elif first["type"] == "missing":
        reason = f"missing; every {record_type.__name__} has it"
    if others:
        reason += f" (and {len(others)} more in this row)"
    return RowError(path, line, field, reason, hint)


def _unusable(path: Path, line: int, row: object, escaped: bool) -> RowError | None:
    """What is wrong with a JSON value as a row, if anything; `escaped`: it may hold surrogates."""
    if not isinstance(row, dict):
        return RowError(path, line, None, f"expected a JSON object, found {_json_kind(row)}")
    for name, value in row.items() if escaped else ():
        # Half of an escaped surrogate pair passes as JSON, yet no file can hold it.
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return RowError(path, line, ascii(name)[1:-1], "holds half a surrogate pair")
    return None


def _json_kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut; Windows cannot and need not."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
