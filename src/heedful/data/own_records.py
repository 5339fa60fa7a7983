"""Folders of our own records: prompts with demonstrations, or with ranked completions.

A folder holds `prompts` and, beside it, `demonstrations`, or `completions` and
`rankings`; each as .jsonl, .jsonl.gz or .parquet. What refers to a record that is not
there is an error. Building records from other formats is `heedful.data.sources`'.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from heedful.core.errors import DataError
from heedful.core.jsonl import OnBadRow, iter_records, read_rows
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, Record

FORMAT = "heedful"
_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_NAMES = ("prompts", "demonstrations", "completions", "rankings")

R = TypeVar("R", bound=Record)


def is_own(path: Path, format_name: str | None) -> bool:
    """Whether `path` is a folder of our records, or one of the files in such a folder."""
    if format_name is not None:
        return format_name == FORMAT
    if path.is_dir():
        return True
    if path.name not in {name + suffix for name in _NAMES for suffix in _SUFFIXES}:
        return False
    return any("schema_version" in row for _, row in islice(read_rows(path), 1))


def read_prompts(path: Path, on_bad_row: OnBadRow) -> list[Prompt]:
    """The prompts of a folder, or of the file itself."""
    file = _file(path, "prompts") if path.is_dir() else path
    return _unique(iter_records(file, Prompt, on_bad_row=on_bad_row), file)


def read_demonstrations(
    path: Path, on_bad_row: OnBadRow
) -> tuple[list[Prompt], list[Demonstration]]:
    """The demonstrations of a folder, and its prompts."""
    folder = path if path.is_dir() else path.parent
    prompts = read_prompts(_file(folder, "prompts"), on_bad_row)
    file = _file(folder, "demonstrations")
    found = _unique(iter_records(file, Demonstration, on_bad_row=on_bad_row), file)
    known = {prompt.id for prompt in prompts}
    for record in found:
        _refer(file, record.id, "prompt_id", [record.prompt_id], known)
    return prompts, found


def read_rankings(
    path: Path, on_bad_row: OnBadRow
) -> tuple[list[Prompt], list[Completion], list[Ranking]]:
    """The rankings of a folder, its completions and its prompts."""
    folder = path if path.is_dir() else path.parent
    prompts = read_prompts(_file(folder, "prompts"), on_bad_row)
    prompt_ids = {prompt.id for prompt in prompts}
    file = _file(folder, "completions")
    completions = _unique(iter_records(file, Completion, on_bad_row=on_bad_row), file)
    of_prompt: dict[str, set[str]] = {prompt_id: set() for prompt_id in prompt_ids}
    for completion in completions:
        _refer(file, completion.id, "prompt_id", [completion.prompt_id], prompt_ids)
        of_prompt[completion.prompt_id].add(completion.id)
    file = _file(folder, "rankings")
    rankings = _unique(iter_records(file, Ranking, on_bad_row=on_bad_row), file)
    for ranking in rankings:
        _refer(file, ranking.id, "prompt_id", [ranking.prompt_id], prompt_ids)
        ranked = ranking.completion_ids
        _refer(file, ranking.id, "completion_ids", ranked, of_prompt[ranking.prompt_id])
    return prompts, completions, rankings


def _file(folder: Path, name: str) -> Path:
    for suffix in _SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise DataError(
        f"{folder}: no {name}.jsonl there",
        f"A folder of records holds {name}.jsonl (or .jsonl.gz, .parquet); to read another "
        "format, name the file itself.",
    )


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
