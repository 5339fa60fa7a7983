"""What every section of a settings file is built on: frozen, checked, spelt as TOML can.

The sections themselves are in `heedful.core.settings` and beside what they configure.
"""

import os
import re
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Settings(BaseModel):
    """Base of all sections: frozen, unknown keys refused, defaults validated."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _none(cls, value: object, info: ValidationInfo) -> object:
        """`none` unsets a setting that may be left out; TOML has no word for it."""
        allowed = cls._types(info)
        return None if value == "none" and type(None) in allowed else value

    @field_validator("*", mode="before")
    @classmethod
    def _tuple(cls, value: object, info: ValidationInfo) -> object:
        """TOML's arrays are lists, and strict validation takes none for a tuple."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        origins = [get_origin(candidate) for candidate in (annotation, *get_args(annotation))]
        return tuple(value) if isinstance(value, list) and tuple in origins else value

    @field_validator("*", mode="before")
    @classmethod
    def _expand(cls, value: object, info: ValidationInfo) -> object:
        """`${NAME}` in a path, or in one of several, is the environment variable of that name."""
        if Path not in cls._types(info):
            return value
        return [*map(_expanded, value)] if isinstance(value, list) else _expanded(value)

    @classmethod
    def _types(cls, info: ValidationInfo) -> tuple[object, ...]:
        annotation = cls.model_fields[info.field_name or ""].annotation
        return get_args(annotation) or (annotation,)


def _expanded(value: object) -> object:
    if not isinstance(value, str):
        return value
    missing = [name for name in _VARIABLE.findall(value) if not os.environ.get(name)]
    if missing:
        raise ValueError(
            f"environment variable {missing[0]} is not set: export it, or write out the path"
        )
    return _VARIABLE.sub(lambda found: os.environ[found[1]], value)
