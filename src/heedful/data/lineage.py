"""What became of every record: a manifest and a list of drops beside each stage's output.

A manifest says what a stage read (by hash), with which settings, and how many records came
in and went out, by reason. `why` follows one id through the stages of a run folder. This
module never decides what is dropped.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from heedful.core.errors import DataError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import write_json_atomic, write_records
from heedful.core.records import Record

MANIFEST = "manifest.json"
DROPPED = "dropped.jsonl"
RESULT = "result"


class Dropped(Record):
    """A record that a stage left out.

    Attributes:
        id: Of the record; `file:line` of a row that never became one.
        reason: A policy's name, or a few words.
        because_of: The record that this one says nothing new beside, or hangs together with.
        detail: More in words, without any of the text.
    """

    id: str
    stage: str
    reason: str
    because_of: str | None = None
    detail: str | None = None


class Counts(Record):
    """Records that came in, went out, and were dropped by reason."""

    num_in: int = Field(ge=0)
    num_out: int = Field(ge=0)
    dropped: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, num_out: int, dropped: Iterable[Dropped]) -> Self:
        """The counts of a stage, which drops what it does not let out."""
        reasons = Counter(record.reason for record in dropped)
        return cls(
            num_in=num_out + reasons.total(), num_out=num_out, dropped=dict(sorted(reasons.items()))
        )


class Manifest(Record):
    """What a stage did.

    Attributes:
        inputs: SHA-256 of every file that it read, by path.
        settings: What decided the result besides.
        counts: Of prompts; of rows and prompts where rows are read.
        numbers: What else the stage counted, by name.
    """

    schema_version: int = 1
    stage: str
    inputs: dict[str, str]
    settings: dict[str, Any]
    counts: Counts
    numbers: dict[str, int] = Field(default_factory=dict)


class Step(Record):
    """What happened to a record in a stage: `{id} {what}` is a sentence."""

    id: str
    stage: str
    what: str


def write_stage(
    folder: Path,
    *,
    inputs: Sequence[Path],
    settings: Mapping[str, Any],
    num_out: int,
    dropped: Sequence[Dropped] = (),
    orphans: Sequence[Dropped] = (),
    numbers: Mapping[str, int] | None = None,
) -> Manifest:
    """Write the manifest of the stage in `folder`, and what it dropped, in order of the ids.

    Args:
        folder: The stage's, which has its name.
        inputs: The files that it read.
        settings: See `Manifest`.
        num_out: Prompts that go on.
        dropped: Prompts, and rows that never became any; they are counted.
        orphans: Records of other kinds that went with their prompts; listed, not counted.
        numbers: See `Manifest`.
    """
    manifest = Manifest(
        stage=folder.name,
        inputs={str(path): sha256_file(path) for path in inputs},
        settings=dict(settings),
        counts=Counts.of(num_out, dropped),
        numbers=dict(numbers or {}),
    )
    in_order: list[Dropped] = sorted(
        [*dropped, *orphans], key=lambda record: (record.id, record.reason)
    )
    write_records(folder / DROPPED, in_order)
    write_json_atomic(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def read_manifests(folder: Path) -> dict[str, Manifest]:
    """The manifests of the stages in a run folder, by stage.

    Raises:
        DataError: There is none, or one is damaged.
    """
    found = {}
    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        try:
            found[path.parent.name] = Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise DataError(
                f"{path}: not a stage's manifest", "Run `heedful data prepare` again."
            ) from error
    if not found:
        raise DataError(
            f"{folder}: no stage of a data room has run there",
            "Give the run.dir of `heedful data prepare`.",
        )
    return found


def why(folder: Path, record_id: str) -> list[Step]:
    """What became of a record, and of the records that it was dropped because of.

    Raises:
        DataError: No stage of the run in `folder` has seen such an id.
    """
    read_manifests(folder)
    steps: list[Step] = []
    following = [record_id]
    followed: set[str] = set()
    while following:
        current = following.pop()
        if current in followed:
            continue
        followed.add(current)
        for path in sorted(folder.glob(f"*/{DROPPED}")):
            for row in _rows_of(path, current):
                dropped = Dropped.model_validate(row)
                steps.append(Step(id=current, stage=dropped.stage, what=_as_sentence(dropped)))
                following += [dropped.because_of] if dropped.because_of else []
        for path in sorted((folder / RESULT).glob("*.jsonl")):
            if path.name == DROPPED:
                continue
            for row in _rows_of(path, current):
                split = f", split {row['split']}" if row.get("split") else ""
                what = f"is in {path.parent.name}/{path.name}{split}"
                steps.append(Step(id=current, stage=RESULT, what=what))
    if not any(step.id == record_id for step in steps):
        raise DataError(
            f"{folder}: no record {record_id} was dropped there or is in the result",
            "Ids are in the field `id` of the run's files; a rejected row is FILE:LINE.",
        )
    return steps


def _rows_of(path: Path, record_id: str) -> Iterator[dict[str, Any]]:
    """The rows with that id; the others are not even parsed."""
    quoted = json.dumps(record_id, ensure_ascii=False).encode()
    with path.open("rb") as file:
        for line in file:
            if quoted in line:
                row = json.loads(line)
                if row.get("id") == record_id:
                    yield row


def _as_sentence(dropped: Dropped) -> str:
    because = f", because of {dropped.because_of}" if dropped.because_of else ""
    detail = f" ({dropped.detail})" if dropped.detail else ""
    return f"was dropped: {dropped.reason}{because}{detail}"
