"""Reading what a form sent: typed values, and for each field that cannot be, why.

A `FormReader` never raises over a value: a page shows the form again with everything that
is wrong with it at once. What the values mean is the pages' business.
"""

import math
from collections.abc import Collection
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from heedful.core.errors import HeedfulError

Choice = TypeVar("Choice", bound=str)


class FormReader:
    """The fields of a form or of a query.

    Attributes:
        errors: Field name to what is wrong with it, in the order of reading.
    """

    def __init__(self, fields: FormData) -> None:
        self._fields = fields
        self.errors: dict[str, str] = {}

    @property
    def values(self) -> dict[str, str]:
        """The texts as they were sent, to fill the form in again."""
        return {name: value for name, value in self._fields.items() if isinstance(value, str)}

    def text(self, name: str, label: str, *, most: int = 200, required: bool = False) -> str:
        """A text without spaces around it; line ends as one character."""
        value = self.raw(name).replace("\r\n", "\n").strip()
        if required and not value:
            self.errors[name] = f"{label} is missing."
        elif len(value) > most:
            self.errors[name] = f"{label} has {len(value):,} characters; at most {most:,} fit."
        return value

    def number(
        self, name: str, label: str, *, low: int, high: int, otherwise: int | None = None
    ) -> int:
        """A whole number from `low` to `high`; `otherwise` where the field is empty."""
        value = self.raw(name).strip()
        fallback = low if otherwise is None else otherwise
        if not value and otherwise is not None:
            return otherwise
        # isdecimal also takes digits of other scripts, which int reads as well.
        digits = value.removeprefix("-")
        found = int(value) if digits.isdecimal() and len(digits) < 12 else None
        if found is None or not low <= found <= high:
            self.errors[name] = f"{label} is a whole number from {low:,} to {high:,}."
            return fallback
        return found

    def amount(
        self, name: str, label: str, *, low: float, high: float, required: bool = False
    ) -> float | None:
        """A number that may have decimals, with a point or a comma; None where it is empty."""
        value = self.raw(name).strip().replace(",", ".")
        if not value and not required:
            return None
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if not low <= found <= high:
            self.errors[name] = f"{label} is a number from {low:g} to {high:g}."
            return None
        return found

    def choice(
        self, name: str, label: str, allowed: Collection[Choice], *, otherwise: Choice | None = None
    ) -> Choice:
        """One of `allowed`; `otherwise`, or the first, where the field is empty or wrong."""
        value = self.raw(name)
        fallback = next(iter(allowed)) if otherwise is None else otherwise
        if value in allowed:
            return cast(Choice, value)
        if value or otherwise is None:
            self.errors[name] = f"{label}: choose one of the list."
        return fallback

    def optional(self, name: str, label: str, allowed: Collection[Choice]) -> Choice | None:
        """One of `allowed`, or None where nothing was chosen or it is wrong."""
        if not self.raw(name):
            return None
        chosen = self.choice(name, label, allowed)
        return None if name in self.errors else chosen

    def many(self, name: str, label: str, allowed: Collection[Choice]) -> tuple[Choice, ...]:
        """Those of `allowed` that were ticked."""
        values = [str(value) for value in self._fields.getlist(name) if value]
        if any(value not in allowed for value in values):
            self.errors[name] = f"{label}: choose from the list."
        return tuple(cast(Choice, value) for value in values if value in allowed)

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.raw(name))

    def file(self, name: str) -> UploadFile | None:
        """A file that was sent, None where none was chosen."""
        value = self._fields.get(name)
        return value if isinstance(value, UploadFile) and value.filename else None

    def raw(self, name: str) -> str:
        """A field as it was sent, or nothing."""
        value = self._fields.get(name)
        return value if isinstance(value, str) else ""


async def _sent_form(request: Request) -> FormReader:
    # Closed, with its files, by `heedful.labelling.protection`, which opens it first.
    return FormReader(await request.form())


def query_reader(**values: str) -> FormReader:
    """A reader of query parameters, which a route must declare one by one."""
    return FormReader(FormData(list(values.items())))


Form = Annotated[FormReader, Depends(_sent_form)]


def told(error: HeedfulError) -> str:
    """An error in one line, to stand at a field."""
    what = error.what
    # A sentence begins with a capital; the name of a file stays as it is.
    if what.partition(" ")[0].isalpha():
        what = what[0].upper() + what[1:]
    end = "" if what.endswith((".", "!", "?", ":")) else "."
    return f"{what}{end} {error.hint or ''}".rstrip()


def page_number(value: str) -> int:
    """The page that a list was asked for; the first where the query makes no sense."""
    return max(1, int(value)) if value.isdecimal() and len(value) < 7 else 1
