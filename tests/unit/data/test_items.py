"""Fields of foreign rows."""

from typing import Any

import pytest

from heedful.core.records import Turn
from heedful.data.items import FieldError, ask_of, optional_text, read_turns, text_field


def test_texts() -> None:
    row: dict[str, Any] = {"a": " x\n", "blank": " ", "none": None, "number": 7}
    assert text_field(row, "a") == "x"
    assert optional_text(row, "blank") is optional_text(row, "none") is None
    assert optional_text(row, "absent") is None
    for field, reason in [("absent", "missing"), ("blank", "empty"), ("number", "found int")]:
        with pytest.raises(FieldError, match=f"{field}: .*{reason}"):
            text_field(row, field)


def test_turns() -> None:
    messages = [
        {"role": "developer", "content": "s"},
        {"role": "human", "content": " u "},
        {"role": "assistant", "content": ""},
    ]
    turns = read_turns(messages, "messages")
    assert [(turn.role, turn.text) for turn in turns] == [
        ("system", "s"),
        ("user", "u"),
        ("assistant", ""),
    ]


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ("text", "m"),
        (["text"], r"m\.0"),
        ([{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}], r"m\.1\.role"),
        ([{"role": None, "content": "a"}], r"m\.0\.role"),
        ([{"role": ["user"], "content": "a"}], r"m\.0\.role"),
        ([{"role": "user", "content": [{"type": "image"}]}], r"m\.0\.content"),
        ([{"role": "user"}], r"m\.0\.content"),
    ],
)
def test_broken_messages(messages: Any, field: str) -> None:
    with pytest.raises(FieldError, match=f"^{field}: "):
        read_turns(messages, "m")


def test_the_ask() -> None:
    first, answer, last = (
        Turn(role="user", text="a"),
        Turn(role="assistant", text="b"),
        Turn(role="user", text="c"),
    )
    assert ask_of([first, answer, last], "m") == ("c", (first, answer))
    for turns in ([], [first, answer], [Turn(role="user", text="")]):
        with pytest.raises(FieldError):
            ask_of(turns, "m")
