"""What the readers of public formats make of one row, before it becomes records.

An `Item` is something asked and the answers that the data has for it. The formats'
modules (`instruction_formats`, `preference_formats`, `oasst`) turn rows into items;
`heedful.data.sources` turns items into prompts, demonstrations and rankings.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from heedful.core.records import Example, MadeBy, Turn, UseCase

Row = dict[str, Any]
_ROLES = {"human": "user", "prompter": "user", "developer": "system"}


class FieldError(Exception):
    """A field is missing or cannot be what it should be; the row is unreadable."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


class UnusableError(Exception):
    """The row is well formed but says nothing, such as a preference between equal texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer.

    Attributes:
        rank: 1 is best, None where nobody ranked it.
        author: Who wrote it, where the data says so.
        made_by: None where the format does not say.
        model: Name of the model that wrote it, where the data says so.
    """

    text: str
    rank: int | None = None
    author: str | None = None
    made_by: MadeBy | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something asked, and its answers.

    Attributes:
        key: Tells the items of one row apart.
        author: Who asked, where the data says so.
        group: What must not be torn apart by a split, such as a conversation tree.
        organisation: Of the author, where the data names it.
        application: The application for access whose use case this is.
        licence: Of this item, where the data says so; else the file's.
        source: Where it comes from, when not simply the format and the file.
    """

    instruction: str
    context: str | None = None
    examples: tuple[Example, ...] = ()
    turns: tuple[Turn, ...] = ()
    answers: tuple[Answer, ...] = ()
    key: str = ""
    author: str | None = None
    group: str | None = None
    organisation: str | None = None
    application: str | None = None
    licence: str | None = None
    source: str | None = None
    created_at: datetime | None = None
    use_case: UseCase | None = None
    tags: tuple[str, ...] = ()


ReadRow = Callable[[Row], Iterator[Item]]


def text_field(row: Row, field: str) -> str:
    """A text that must be there and say something."""
    text = optional_text(row, field)
    if field not in row:
        raise FieldError(field, "missing")
    if text is None:
        raise FieldError(field, "empty")
    return text


def optional_text(row: Row, field: str) -> str | None:
    """A text, stripped; None where there is none or it is blank."""
    value = row.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        raise FieldError(field, f"expected text, found {type(value).__name__}")
    return value.strip() or None


def read_turns(value: object, field: str) -> list[Turn]:
    """A list of `{"role": ..., "content": ...}` messages."""
    if not isinstance(value, list):
        raise FieldError(field, f"expected a list of messages, found {type(value).__name__}")
    turns = []
    for place, message in enumerate(value):
        here = f"{field}.{place}"
        if not isinstance(message, dict):
            raise FieldError(here, f"expected a message, found {type(message).__name__}")
        role = message.get("role")
        role = _ROLES.get(role, role) if isinstance(role, str) else role
        if role not in ("system", "user", "assistant"):
            raise FieldError(f"{here}.role", "not system, user or assistant")
        content = message.get("content")
        if not isinstance(content, str):
            raise FieldError(f"{here}.content", "expected text, not images or tool calls")
        turns.append(Turn(role=role, text=content.strip()))
    return turns


def ask_of(turns: list[Turn], field: str) -> tuple[str, tuple[Turn, ...]]:
    """The last message, which must be a user's, and the turns before it."""
    if not turns or turns[-1].role != "user":
        raise FieldError(field, "the message before the answer must be the user's")
    if not turns[-1].text:
        raise FieldError(field, "the user's last message is empty")
    return turns[-1].text, tuple(turns[:-1])
