"""Our own records, in a folder or a stream: prompts with demonstrations, or ranked completions.

A folder holds `prompts` and, beside it, `demonstrations`, or `completions` and
`rankings`; each as .jsonl, .jsonl.gz or .parquet. A stream (`heedful.data.record_stream`)
holds them all in one file. What refers to a record that is not there is an error. Building
records from other formats is `heedful.data.sources`'.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from heedful.core.errors import DataError
from heedful.core.jsonl import OnBadRow, iter_records, read_rows
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, Record
from heedful.data.record_stream import KINDS, Parcel, is_stream, read_stream

FORMAT = "heedful"
_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_KINDS: dict[str, type[Record]] = {f"{name}s": kind for name, kind in KINDS.items()}
_NAMES = tuple(_KINDS)
_FOLDER = (
    "A folder of records holds some of prompts, completions, demonstrations, rankings and "
    "ratings, as .jsonl, .jsonl.gz or .parquet; to read another format, name the file itself."
)

R = TypeVar("R", bound=Record)


def is_own(path: Path, format_name: str | None) -> bool:
    """Whether `path` is a folder of our records, one of the files in such a folder, or a stream."""
    if format_name is not None:
        return format_name == FORMAT
    if path.is_dir() or is_stream(path):
        return True
    if path.name not in {name + suffix for name in _NAMES for suffix in _SUFFIXES}:
        return False
    return any("schema_version" in row for _, row in islice(read_rows(path), 1))


def read_prompts(path: Path, on_bad_row: OnBadRow) -> list[Prompt]:
    """The prompts of a folder or stream, or of the file itself."""
    if is_stream(path):
        return _unique(read_stream(path, on_bad_row).prompts, path)
    file = _file(path, "prompts") if path.is_dir() else path
    return _read(file, Prompt, on_bad_row)


def read_parcel(path: Path, on_bad_row: OnBadRow) -> Parcel:
    """Everything in a folder or a stream; of a single file, what its name says.

    What the records refer to need not be there: it may be where they are going.
    """
    if is_stream(path):
        return read_stream(path, on_bad_row)
    files = [path] if path.is_file() else [*filter(None, (_find(path, name) for name in _KINDS))]
    if not files:
        raise DataError(f"{path}: no records there", _FOLDER)
    found = Parcel()
    for file in files:
        name = next((name for name in _KINDS if file.name.startswith(f"{name}.")), "prompts")
        records: list[Record] = getattr(found, name)
        records += _read(file, _KINDS[name], on_bad_row)
    return found


def read_demonstrations(
    path: Path, on_bad_row: OnBadRow
) -> tuple[list[Prompt], list[Demonstration]]:
    """The demonstrations of a folder or stream, and its prompts."""
    if is_stream(path):
        streamed = read_stream(path, on_bad_row)
        file, found = path, _some(streamed.demonstrations, path, "demonstrations")
        prompts = _unique(streamed.prompts, path)
    else:
        folder = path if path.is_dir() else path.parent
        prompts = read_prompts(_file(folder, "prompts"), on_bad_row)
        file = _file(folder, "demonstrations")
        found = _read(file, Demonstration, on_bad_row)
    known = {prompt.id for prompt in prompts}
    for record in found:
        _refer(file, record.id, "prompt_id", [record.prompt_id], known)
    return prompts, found


def read_rankings(
    path: Path, on_bad_row: OnBadRow
) -> tuple[list[Prompt], list[Completion], list[Ranking]]:
    """The rankings of a folder or stream, its completions and its prompts."""
    if is_stream(path):
        streamed = read_stream(path, on_bad_row)
        prompts = _unique(streamed.prompts, path)
        file_of = {Completion: path, Ranking: path}
        completions = _unique(streamed.completions, path)
        rankings = _some(streamed.rankings, path, "rankings")
    else:
        folder = path if path.is_dir() else path.parent
        prompts = read_prompts(_file(folder, "prompts"), on_bad_row)
        file_of = {Completion: _file(folder, "completions"), Ranking: _file(folder, "rankings")}
        completions = _read(file_of[Completion], Completion, on_bad_row)
        rankings = _read(file_of[Ranking], Ranking, on_bad_row)
    prompt_ids = {prompt.id for prompt in prompts}
    of_prompt: dict[str, set[str]] = {prompt_id: set() for prompt_id in prompt_ids}
    for completion in completions:
        file = file_of[Completion]
        _refer(file, completion.id, "prompt_id", [completion.prompt_id], prompt_ids)
        of_prompt[completion.prompt_id].add(completion.id)
    for ranking in rankings:
        file = file_of[Ranking]
        _refer(file, ranking.id, "prompt_id", [ranking.prompt_id], prompt_ids)
        ranked = ranking.completion_ids
        _refer(file, ranking.id, "completion_ids", ranked, of_prompt[ranking.prompt_id])
    return prompts, completions, rankings


def _read(file: Path, kind: type[R], on_bad_row: OnBadRow) -> list[R]:
    return _unique(iter_records(file, kind, on_bad_row=on_bad_row), file)


def _find(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def _file(folder: Path, name: str) -> Path:
    if (file := _find(folder, name)) is not None:
        return file
    raise DataError(
        f"{folder}: no {name}.jsonl there",
        f"A folder of records holds {name}.jsonl (or .jsonl.gz, .parquet); to read another "
        "format, name the file itself.",
    )


def _some(records: list[R], path: Path, name: str) -> list[R]:
    """The records of a stream, which may hold any kinds but should hold these."""
    if not records:
        raise DataError(f"{path}: holds no {name}", "Check that this is the stream you meant.")
    return _unique(records, path)


def _unique(records: Iterable[R], file: Path) -> list[R]:
    by_id: dict[str, R] = {}
    for record in records:
        record_id: str = record.id  # type: ignore[attr-defined]
        if record_id in by_id:
            raise DataError(f"{file}: the id {record_id} is there twice", "Make ids unique.")
        by_id[record_id] = record
    return list(by_id.values())


def _refer(file: Path, record_id: str, name: str, wanted: Sequence[str], known: set[str]) -> None:
    missing = [item for item in wanted if item not in known]
    if missing:
        raise DataError(
            f"{file}, record {record_id}, field `{name}`: there is no {missing[0]}",
            "The files of a folder belong together; copy them from the same place.",
        )
