"""Rows that hold a chosen and a rejected answer: a ranking of two.

`hh` reads Anthropic's dialogues, written as one text; `preference` reads `prompt`,
`chosen`, `rejected` as TRL has them, in texts or messages.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from heedful.core.records import MadeBy, Turn
from heedful.data.items import (
    Answer,
    FieldError,
    Item,
    Row,
    UnusableError,
    ask_of,
    optional_text,
    read_turns,
    text_field,
)

_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
_ROLES: dict[str, Literal["user", "assistant"]] = {"Human": "user", "Assistant": "assistant"}


def hh(row: Row) -> Iterator[Item]:
    r"""`chosen` and `rejected` dialogues, `\n\nHuman: ... \n\nAssistant: ...`."""
    chosen, rejected = (dialogue(row, field) for field in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise UnusableError("the two dialogues part before the last answer")
    instruction, turns = ask_of(chosen[:-1], "chosen")
    pair = _pair(instruction, turns, chosen[-1].text, rejected[-1].text, made_by="model")
    # One conversation is there several times, cut at different turns (12 % of the rows of
    # the helpful test set begin like another); split apart, they would leak.
    yield replace(pair, group=chosen[0].text)


def dialogue(row: Row, field: str) -> list[Turn]:
    """The turns of an HH dialogue; the last one is the assistant's and may be empty."""
    text = text_field(row, field)
    parts = _SPEAKER.split(text)
    if parts[0].strip() or len(parts) < 3:
        raise FieldError(field, "expected a dialogue that begins with 'Human:'")
    turns = [
        Turn(role=_ROLES[speaker], text=said.strip())
        for speaker, said in zip(parts[1::2], parts[2::2], strict=True)
    ]
    if turns[-1].role != "assistant":
        raise FieldError(field, "the dialogue does not end with an answer of the assistant")
    return turns


def preference(row: Row) -> Iterator[Item]:
    """`chosen` and `rejected`, texts or messages, and a `prompt` unless the messages hold it."""
    (before, chosen), (other, rejected) = (_answer(row, name) for name in ("chosen", "rejected"))
    if before != other:
        raise UnusableError("the two conversations part before the last answer")
    if before:
        instruction, turns = ask_of(before, "chosen")
    elif isinstance(row.get("prompt"), list):
        instruction, turns = ask_of(read_turns(row["prompt"], "prompt"), "prompt")
    else:
        instruction, turns = text_field(row, "prompt"), ()
    yield _pair(instruction, turns, chosen, rejected)


def _answer(row: Row, field: str) -> tuple[list[Turn], str]:
    """The turns that stand in the answer's field before the answer, and the answer."""
    if not isinstance(row.get(field), list):
        if field not in row:
            raise FieldError(field, "missing")
        return [], optional_text(row, field) or ""
    turns = read_turns(row[field], field)
    if not turns or turns[-1].role != "assistant":
        raise FieldError(field, "the last message must be the assistant's")
    return turns[:-1], turns[-1].text


def _pair(
    instruction: str,
    turns: tuple[Turn, ...],
    chosen: str,
    rejected: str,
    made_by: MadeBy | None = None,
) -> Item:
    if chosen == rejected:
        raise UnusableError("both answers are the same")
    answers = tuple(
        Answer(text=text, rank=rank, made_by=made_by)
        for rank, text in enumerate((chosen, rejected), start=1)
    )
    return Item(instruction=instruction, turns=turns, answers=answers)
