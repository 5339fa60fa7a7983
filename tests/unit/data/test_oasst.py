"""OpenAssistant trees."""

from typing import Any

import pytest

from heedful.data.items import FieldError, Item
from heedful.data.oasst import read_tree, trees_of_messages


def message(name: str, *replies: dict[str, Any], **fields: Any) -> dict[str, Any]:
    role = "prompter" if name.startswith("p") else "assistant"
    base = {"message_id": name, "text": f"text {name}", "role": role, "lang": "en"}
    return {**base, "replies": list(replies), **fields}


def tree(root: dict[str, Any]) -> dict[str, Any]:
    return {"message_tree_id": "t", "prompt": root}


TREE = tree(
    message(
        "p1",
        message("a1", message("p2", message("a4", rank=0)), rank=1, user_id="u1"),
        message("a2", rank=0, synthetic=True, model_name="m"),
        message("a3", message("p3"), deleted=True),
        user_id="u0",
        created_date="2023-02-05T14:00:20+00:00",
    )
)


def asked(items: list[Item]) -> dict[str, list[str]]:
    return {item.key: [answer.text for answer in item.answers] for item in items}


def test_every_prompters_message_is_an_item() -> None:
    items = list(read_tree(TREE))
    assert asked(items) == {"p1": ["text a1", "text a2"], "p2": ["text a4"]}
    first, second = items
    assert [answer.rank for answer in first.answers] == [2, 1]
    assert [answer.made_by for answer in first.answers] == ["person", "model"]
    assert (first.answers[0].author, first.answers[1].model) == ("u1", "m")
    assert (first.author, first.group, first.tags) == ("u0", "t", ("language:en",))
    assert first.created_at is not None
    assert first.created_at.year == 2023
    assert [(turn.role, turn.text) for turn in second.turns] == [
        ("user", "text p1"),
        ("assistant", "text a1"),
    ]


def test_what_is_left_out_takes_its_subtree_along() -> None:
    assert list(read_tree(tree(message("p1", deleted=True)))) == []
    refused = tree(message("p1", message("a1", message("p2"), review_result=False)))
    assert asked(list(read_tree(refused))) == {"p1": []}
    german = tree(message("p1", message("a1", message("p2"), lang="de"), message("a2")))
    assert asked(list(read_tree(german, {"en"}))) == {"p1": ["text a2"]}
    assert list(read_tree(german, {"de"})) == []
    assert len(list(read_tree(german))) == 2


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"message_tree_id": "t", "prompt": "text"}, "prompt"),
        ({"prompt": message("p1")}, "message_tree_id"),
        (tree(message("p1", text=None)), "text"),
        (tree(message("p1", role="king")), "role"),
        (tree(message("p1", message("a1", rank=-1))), "rank"),
        (tree(message("p1", message("a1", rank="first"))), "rank"),
        (tree(message("p1", created_date="soon")), "created_date"),
        (tree({**message("p1"), "replies": "none"}), "replies"),
    ],
)
def test_broken_trees(row: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError, match=f"^{field}: "):
        list(read_tree(row))


def test_a_very_deep_conversation() -> None:
    root = message("p0")
    below = root
    for depth in range(1, 3001):
        reply = message(f"{'ap'[depth % 2 == 0]}{depth}")
        below["replies"] = [reply]
        below = reply
    assert sum(1 for _ in read_tree(tree(root))) == 1501


def flat(name: str, parent: str | None, **fields: Any) -> dict[str, Any]:
    row = message(name, **fields)
    del row["replies"]
    return {**row, "parent_id": parent, "message_tree_id": "t"}


def test_flat_messages_become_the_tree_again() -> None:
    rows = [
        flat("a1", "p1", rank=1.0),
        flat("p1", None),
        flat("p2", "a1"),
        flat("a2", "p1", rank=0.0),
        flat("p9", "withheld"),
    ]
    errors: list[tuple[int, FieldError]] = []
    numbered = enumerate([*rows, {"text": "no id"}], start=1)
    trees = list(trees_of_messages(numbered, lambda line, error: errors.append((line, error))))
    assert [line for line, _ in trees] == [2]
    assert [(line, error.field) for line, error in errors] == [(6, "message_id")]
    items = list(read_tree(trees[0][1]))
    assert asked(items) == {"p1": ["text a1", "text a2"], "p2": []}
    assert [answer.rank for answer in items[0].answers] == [2, 1]
