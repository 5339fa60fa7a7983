"""Labels of a project in the forms that others read: a stream, a folder, Parquet, preferences.

One pass over the labels; a prompt or completion goes out with the first label that needs it,
so that evaluation prompts never end up in a training export. An export is written beside its
place and moved there whole; nothing is ever written over. Which labels there are is
`heedful.store.exports`'; reading them again is `heedful.labelling.imports`'.
"""

import json
import re
import secrets
import shutil
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.jsonl import open_atomic, write_records
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, Rating, Record
from heedful.data.formatting import messages_of, plain_text
from heedful.data.pseudonyms import Key, keyed_id
from heedful.data.record_stream import stream_lines
from heedful.store.contents import CHUNK, chunks
from heedful.store.exports import PAGE, Label, LabelFilter, count_left_out, iter_labels
from heedful.store.tables import CompletionRow, PromptRow

Kind = Literal["demonstrations", "rankings", "ratings", "prompts"]
FileFormat = Literal["jsonl", "parquet"]
PreferenceForm = Literal["conversation", "text"]
LineForm = Literal["stream", "preference", "preference-text"]
LABEL_KINDS: tuple[Kind, ...] = ("demonstrations", "rankings", "ratings")
Labelled = Demonstration | Ranking | Rating
T = TypeVar("T")
_LONGEST_NAME = 80
_NAMES: dict[type[Record], str] = {
    Prompt: "prompts",
    Completion: "completions",
    Demonstration: "demonstrations",
    Ranking: "rankings",
    Rating: "ratings",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What goes out.

    Attributes:
        wanted: Which labels; training labels alone where nothing is said.
        kinds: Which of their records; `prompts` is every prompt of the project, labelled or not.
        key: Labellers go by pseudonyms under this key, in prompts that they wrote too; by
            their account ids where left out.
    """

    wanted: LabelFilter = field(default_factory=lambda: LabelFilter(purposes=("training",)))
    kinds: tuple[Kind, ...] = LABEL_KINDS
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """How many records went out, by kind, and how many submissions did not, by reason."""

    counts: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """One sentence for a log."""
        parts = [f"{count:,} {name}" for name, count in self.counts.items()] or ["nothing"]
        if self.left_out:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
            parts.append(f"left out: {reasons}")
        return "; ".join(parts) + "."


def export_records(session: Session, project_id: str, options: ExportOptions) -> Iterator[Record]:
    """The records, each after those that it refers to; prompts and completions once."""
    sent: set[str] = set()
    if "prompts" in options.kinds:
        for prompt in _prompts(session, PromptRow.project_id == project_id, options.key):
            sent.add(prompt.id)
            yield prompt
    for page in chunks(iter_labels(session, project_id, options.wanted), PAGE):
        records = [record for label in page for record in _records_of(label, options)]
        prompts, completions = _referred(session, records, sent, options.key)
        for record in records:
            ids = [record.prompt_id, *_completion_ids(record)]
            for fresh in [one for one in ids if one not in sent]:
                sent.add(fresh)
                yield prompts[fresh] if fresh in prompts else completions[fresh]
            yield record


def stream_export(session: Session, project_id: str, options: ExportOptions) -> Iterator[bytes]:
    """The lines of a stream that `heedful train` reads, see `heedful.data.record_stream`."""
    return stream_lines(export_records(session, project_id, options))


def export_lines(
    session: Session, project_id: str, options: ExportOptions, form: LineForm, counts: Counter[str]
) -> Iterator[bytes]:
    """The lines of any form that has lines; `counts` says what has gone out so far, by kind."""
    if form == "stream":
        records = export_records(session, project_id, options)
        yield from stream_lines(_counted(records, lambda one: _NAMES[type(one)], counts))
        return
    shape: PreferenceForm = "text" if form == "preference-text" else "conversation"
    rows = export_preferences(session, project_id, options, shape)
    yield from json_lines(_counted(rows, lambda _: "preferences", counts))


def export_preferences(
    session: Session,
    project_id: str,
    options: ExportOptions,
    form: PreferenceForm = "conversation",
) -> Iterator[dict[str, Any]]:
    """Every strict pair of every ranking as TRL reads preferences; ties yield none.

    Args:
        form: `conversation` keeps the turns apart; `text` joins them by the plain template.
    """
    prompts: dict[str, Prompt] = {}
    texts: dict[str, str] = {}
    only = ExportOptions(wanted=options.wanted, kinds=("rankings",), key=options.key)
    for record in export_records(session, project_id, only):
        if isinstance(record, Prompt):
            prompts[record.id] = record
        elif isinstance(record, Completion):
            texts[record.id] = record.text
        elif isinstance(record, Ranking):
            for pair in record.comparisons():
                two = (texts[pair.chosen_id], texts[pair.rejected_id])
                yield _preference(prompts[record.prompt_id], *two, form)


def write_folder(
    session: Session,
    project_id: str,
    folder: Path,
    options: ExportOptions,
    *,
    file_format: FileFormat = "jsonl",
) -> Exported:
    """A new folder of our records, `prompts.jsonl` and so on, or nothing where that fails.

    Raises:
        DataError: There is something of that name.
    """
    refuse_existing(folder)
    by_kind: dict[str, list[Record]] = {name: [] for name in ("prompts", "completions")}
    by_kind |= {kind: [] for kind in options.kinds if kind not in by_kind}
    for record in export_records(session, project_id, options):
        by_kind[_NAMES[type(record)]].append(record)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        for name, records in by_kind.items():
            if records:
                write_records(beside / f"{name}.{file_format}", records)
        beside.mkdir(parents=True, exist_ok=True)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Exported(
        {name: len(records) for name, records in by_kind.items()},
        count_left_out(session, project_id, options.wanted),
    )


def write_zip(
    session: Session,
    project_id: str,
    path: Path,
    options: ExportOptions,
    *,
    file_format: FileFormat = "jsonl",
) -> Exported:
    """`write_folder` in a ZIP file, for a browser to download.

    Raises:
        DataError: There is a file of that name.
    """
    refuse_existing(path)
    folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.folder")
    try:
        exported = write_folder(session, project_id, folder, options, file_format=file_format)
        with open_atomic(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as into:
            for part in sorted(folder.iterdir()):
                into.write(part, f"{path.stem}/{part.name}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return exported


def write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """A new file of these lines, whole or not at all; return how many.

    Raises:
        DataError: There is a file of that name.
    """
    refuse_existing(path)
    with open_atomic(path) as file:
        return sum(1 for line in lines if file.write(line))


def json_lines(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Rows as lines of JSON."""
    return (json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def refuse_existing(path: Path) -> None:
    """Refuse to write over anything.

    Raises:
        DataError: There is something of that name.
    """
    if path.exists() or path.is_symlink():
        raise DataError(f"{path}: exists already", "Choose another name; nothing is overwritten.")


def safe_name(*parts: str) -> str:
    """A file name made of texts that people chose: letters, digits, `-` and `_` alone."""
    plain = unicodedata.normalize("NFKD", "-".join(parts)).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:_LONGEST_NAME].rstrip("-")
    return name or "export"


def _counted(records: Iterable[T], name: Callable[[T], str], counts: Counter[str]) -> Iterator[T]:
    for record in records:
        counts[name(record)] += 1
        yield record


def _records_of(label: Label, options: ExportOptions) -> Iterator[Labelled]:
    """The wanted records of a label, under the name that its labeller goes by."""
    rankings = () if label.ranking is None else (label.ranking,)
    by_kind: dict[Kind, Sequence[Labelled]] = {
        "demonstrations": label.demonstrations,
        "rankings": rankings,
        "ratings": label.ratings,
    }
    for kind in options.kinds:
        for record in by_kind.get(kind, ()):
            if options.key is None:
                yield record
            else:
                name = _pseudonym(options.key, record.labeller_id)
                yield record.model_copy(update={"labeller_id": name})


def _completion_ids(record: Labelled) -> tuple[str, ...]:
    if isinstance(record, Ranking):
        return record.completion_ids
    return (record.completion_id,) if isinstance(record, Rating) else ()


def _referred(
    session: Session, records: Sequence[Labelled], sent: Collection[str], key: Key | None
) -> tuple[dict[str, Prompt], dict[str, Completion]]:
    """The prompts and completions that the records need and that have not been sent."""
    prompt_ids = {record.prompt_id for record in records}.difference(sent)
    completion_ids = {one for record in records for one in _completion_ids(record)}.difference(sent)
    prompts: dict[str, Prompt] = {}
    for some in chunks(sorted(prompt_ids), CHUNK):
        prompts |= {one.id: one for one in _prompts(session, PromptRow.id.in_(some), key)}
    completions: dict[str, Completion] = {}
    for some in chunks(sorted(completion_ids), CHUNK):
        for row in session.scalars(select(CompletionRow).where(CompletionRow.id.in_(some))):
            completions[row.id] = _completion(row, key)
    return prompts, completions


def _prompts(session: Session, which: ColumnElement[bool], key: Key | None) -> Iterator[Prompt]:
    query = select(PromptRow).where(which).order_by(PromptRow.created_at, PromptRow.id)
    for row in session.scalars(query.execution_options(yield_per=PAGE)):
        prompt = Prompt.model_validate(row.record)
        if key is not None and row.author_id is not None:
            prompt = prompt.model_copy(update={"user_id": _pseudonym(key, row.author_id)})
        yield prompt


def _completion(row: CompletionRow, key: Key | None) -> Completion:
    completion = Completion.model_validate(row.record)
    if key is None or row.author_id is None:
        return completion
    # A demonstration among the completions is signed by who wrote it.
    signed = completion.checkpoint_id.replace(row.author_id, _pseudonym(key, row.author_id))
    return completion.model_copy(update={"checkpoint_id": signed})


def _pseudonym(key: Key, account_id: str) -> str:
    return keyed_id("labeller", key, account_id)


def _preference(prompt: Prompt, chosen: str, rejected: str, form: PreferenceForm) -> dict[str, Any]:
    if form == "text":
        # The plain template has a space between its cue and the completion.
        return {
            "prompt": plain_text(prompt),
            "chosen": f" {chosen}",
            "rejected": f" {rejected}",
        }
    return {
        "prompt": [dict(message) for message in messages_of(prompt)],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }
