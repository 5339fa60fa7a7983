"""Files of a run that may be absent; one that is there must be whole."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from heedful.core.errors import DataError
from heedful.core.jsonl import read_records

M = TypeVar("M", bound=BaseModel)


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`, or None where there is no such file."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}", "The file is damaged.") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: holds {type(found).__name__}, not an object")
    return found


def read_json(path: Path, model: type[M]) -> M | None:
    """The object in `path` as a `model`, or None where there is no such file."""
    found = read_object(path)
    if found is None:
        return None
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}, field `{field}`: {first['msg']}") from None


def read_rows(path: Path, model: type[M]) -> list[M]:
    """The rows of `path`; none where there is no such file."""
    return read_records(path, model) if path.exists() else []
