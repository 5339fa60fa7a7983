"""Preference pairs: HH dialogues and TRL's columns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data.items import FieldError, Item, UnusableError
from heedful.data.preference_formats import dialogue, hh, preference

START = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why: a\n\nb?"


def one(items: Any) -> Item:
    (item,) = items
    assert isinstance(item, Item)
    return item


def test_hh() -> None:
    item = one(hh({"chosen": f"{START}\n\nAssistant: Good.", "rejected": f"{START}\n\nAssistant:"}))
    assert item.instruction == "Why: a\n\nb?"
    assert [(turn.role, turn.text) for turn in item.turns] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
    ]
    answers = [(answer.text, answer.rank, answer.made_by) for answer in item.answers]
    assert answers == [("Good.", 1, "model"), ("", 2, "model")]
    assert item.group == "Hi"


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (f"{START}\n\nAssistant: a", f"{START}\n\nAssistant: a ", "the same"),
        (f"{START}\n\nAssistant: a", "\n\nHuman: Hi\n\nAssistant: b", "part before"),
        (f"{START}\n\nAssistant: a", f"{START}!\n\nAssistant: b", "part before"),
    ],
)
def test_hh_without_a_preference(chosen: str, rejected: str, reason: str) -> None:
    with pytest.raises(UnusableError, match=reason):
        list(hh({"chosen": chosen, "rejected": rejected}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Hello", "begins with 'Human:'"),
        ("Hello\n\nHuman: a\n\nAssistant: b", "begins with 'Human:'"),
        (START, "does not end with an answer"),
        ("\n\nAssistant: b", "must be the user's"),
    ],
)
def test_hh_that_is_no_dialogue(text: str, reason: str) -> None:
    with pytest.raises(FieldError, match=reason):
        list(hh({"chosen": text, "rejected": text + "!"}))


said = st.text(alphabet="ab :\n", min_size=1).map(str.strip).filter(bool)


@given(st.lists(st.tuples(said, said), min_size=1))
def test_dialogues_round_trip(exchanges: list[tuple[str, str]]) -> None:
    text = "".join(f"\n\nHuman: {ask}\n\nAssistant: {reply}" for ask, reply in exchanges)
    turns = dialogue({"chosen": text}, "chosen")
    assert [turn.text for turn in turns] == [part for pair in exchanges for part in pair]


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def test_preference_in_texts() -> None:
    item = one(preference({"prompt": "p", "chosen": "c", "rejected": "r"}))
    assert (item.instruction, item.turns) == ("p", ())
    assert [(answer.text, answer.rank) for answer in item.answers] == [("c", 1), ("r", 2)]
    assert item.answers[0].made_by is None
    with pytest.raises(FieldError, match="prompt: missing"):
        list(preference({"chosen": "c", "rejected": "r"}))
    with pytest.raises(FieldError, match="rejected: missing"):
        list(preference({"prompt": "p", "chosen": "c"}))
    with pytest.raises(UnusableError):
        list(preference({"prompt": "p", "chosen": "c", "rejected": "c"}))


def test_preference_in_messages() -> None:
    asked = [message("system", "s"), message("user", "u")]
    chosen, rejected = message("assistant", "c"), message("assistant", "r")
    explicit = {"prompt": asked, "chosen": [chosen], "rejected": [rejected]}
    implicit = {"chosen": [*asked, chosen], "rejected": [*asked, rejected]}
    both = {"prompt": "u", **implicit}
    items = [one(preference(row)) for row in (explicit, implicit, both)]
    assert items[0] == items[1] == items[2]
    assert items[0].instruction == "u"
    assert items[0].turns[0].role == "system"
    with pytest.raises(UnusableError, match="part before"):
        list(preference({**implicit, "rejected": [message("user", "x"), rejected]}))
    with pytest.raises(FieldError, match="chosen: the last message must be the assistant's"):
        list(preference({"prompt": "u", "chosen": asked, "rejected": [rejected]}))
