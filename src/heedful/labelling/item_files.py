"""Items of a batch from a JSONL file, and completions that somebody made elsewhere.

For selections that no filter describes, and models that Heedful cannot open. Ids of
completions follow from what they hold, so that a file can be read again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError, iter_records, read_rows, validation_error
from heedful.core.records import Completion, Prompt, derived_id
from heedful.store.batches import ItemSpec


class ItemLine(BaseModel):
    """One line of a file of items; see `heedful.store.work_tables.ItemRow`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt_id: str | None = None
    completion_ids: list[str] = []
    brief: dict[str, Any] | None = None
    gold: dict[str, Any] | None = None
    adjudicates: str | None = None


class CompletionLine(BaseModel):
    """One line of a file of completions: of which prompt, by its id or its text.

    Attributes:
        model: Written into the completion as its checkpoint; the file's name if left out.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt_id: str | None = None
    prompt: str | None = None
    completion: str
    model: str | None = None


def read_items(path: Path) -> list[ItemSpec]:
    """The items of a file, in its order.

    Raises:
        RowError: A line is no item; names line and field.
        DataError: There is none.
    """
    items = [
        ItemSpec(
            prompt_id=line.prompt_id,
            completion_ids=tuple(line.completion_ids),
            brief=line.brief,
            gold=line.gold,
            adjudicates=line.adjudicates,
        )
        for line in iter_records(path, ItemLine)
    ]
    if not items:
        raise DataError(f"{path}: holds no items", "Write one JSON object a line.")
    return items


def read_completions(path: Path, prompts: Sequence[Prompt]) -> list[Completion]:
    """The completions of a file, of prompts that are in the project.

    Our own `Completion` records are taken as they are.

    Raises:
        RowError: A line is no completion, or of no prompt of the project.
    """
    by_id = {prompt.id for prompt in prompts}
    by_text: dict[str, list[str]] = {}
    for prompt in prompts:
        by_text.setdefault(prompt.instruction.strip(), []).append(prompt.id)
    found: dict[str, Completion] = {}
    times: dict[tuple[str, ...], int] = {}
    for number, row in read_rows(path):
        kind = Completion if "schema_version" in row else CompletionLine
        try:
            line = kind.model_validate(row)
        except ValidationError as error:
            raise validation_error(path, number, kind, error) from None
        if isinstance(line, Completion):
            if line.prompt_id not in by_id:
                raise _unknown(path, number, "prompt_id")
            found[line.id] = line
            continue
        assert isinstance(line, CompletionLine)
        prompt_id = _prompt_of(path, number, line, by_id, by_text)
        what = (line.model or path.name, prompt_id, line.completion)
        # The same text twice is two completions, as two samples are.
        times[what] = times.get(what, 0) + 1
        completion = Completion(
            id=derived_id("completion", *what, times[what]),
            prompt_id=prompt_id,
            text=line.completion,
            checkpoint_id=line.model or path.name,
        )
        found[completion.id] = completion
    if not found:
        raise DataError(f"{path}: holds no completions", "Write one JSON object a line.")
    return list(found.values())


def _prompt_of(
    path: Path,
    number: int,
    line: CompletionLine,
    by_id: set[str],
    by_text: Mapping[str, list[str]],
) -> str:
    if line.prompt_id is not None:
        if line.prompt_id not in by_id:
            raise _unknown(path, number, "prompt_id")
        return line.prompt_id
    if line.prompt is None:
        raise RowError(path, number, "prompt_id", "missing, and so is `prompt`")
    ids = by_text.get(line.prompt.strip(), [])
    if len(ids) > 1:
        reason = f"{len(ids)} prompts of the project have this text"
        raise RowError(path, number, "prompt", reason, "Name the one by `prompt_id`.")
    if not ids:
        raise _unknown(path, number, "prompt")
    return ids[0]


def _unknown(path: Path, number: int, field: str) -> RowError:
    hint = "Import the prompts first: `heedful label import`."
    return RowError(path, number, field, "no such prompt in the project", hint)
