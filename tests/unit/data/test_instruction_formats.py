"""Instruction formats, row by row."""

from typing import Any

import pytest

from heedful.data import instruction_formats as formats
from heedful.data.items import FieldError, Item, ReadRow


def one(read: ReadRow, row: dict[str, Any]) -> Item:
    (item,) = read(row)
    return item


def texts(item: Item) -> list[str]:
    return [answer.text for answer in item.answers]


def test_prompt_completion_in_texts() -> None:
    item = one(formats.prompt_completion, {"prompt": "a\n", "completion": " b<|endoftext|>"})
    assert (item.instruction, texts(item)) == ("a", ["b"])
    assert one(formats.prompt_completion, {"prompt": "a", "completion": None}).answers == ()
    assert one(formats.prompt_completion, {"prompt": "a", "template": "t"}).tags == ("t",)
    with pytest.raises(FieldError, match="completion: expected a list of messages, found int"):
        one(formats.prompt_completion, {"prompt": "a", "completion": 1})


def test_prompt_completion_in_messages() -> None:
    row = {
        "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
        "completion": [{"role": "assistant", "content": "b"}],
    }
    item = one(formats.prompt_completion, row)
    assert (item.instruction, len(item.turns), texts(item)) == ("a", 1, ["b"])
    with pytest.raises(FieldError, match="exactly one message"):
        one(formats.prompt_completion, {**row, "completion": row["prompt"]})
    with pytest.raises(FieldError, match="must be the user's"):
        one(formats.prompt_completion, {**row, "prompt": row["completion"]})


def test_messages() -> None:
    user, assistant = {"role": "user", "content": "u"}, {"role": "assistant", "content": "v"}
    item = one(formats.messages, {"messages": [user, assistant, user, assistant]})
    assert (item.instruction, len(item.turns), texts(item)) == ("u", 2, ["v"])
    assert one(formats.messages, {"messages": [user]}).answers == ()
    for broken in ([assistant], [user, assistant, assistant], []):
        with pytest.raises(FieldError):
            one(formats.messages, {"messages": broken})


def test_alpaca_and_dolly() -> None:
    item = one(formats.alpaca, {"instruction": "i", "input": "", "output": "o"})
    assert (item.instruction, item.context, texts(item)) == ("i", None, ["o"])
    assert one(formats.alpaca, {"instruction": "i", "input": "x", "output": "o"}).context == "x"
    row = {"instruction": "i", "context": "c", "response": "r", "category": "summarization"}
    item = one(formats.dolly, row)
    assert (item.context, texts(item), item.use_case) == ("c", ["r"], "summarisation")
    with pytest.raises(FieldError, match="response: missing"):
        one(formats.dolly, {"instruction": "i"})


def test_self_instruct() -> None:
    instances = [{"input": "", "output": "o"}, {"input": "x", "output": "p"}]
    row = {"instruction": "i", "instances": instances, "is_classification": True}
    first, second = formats.self_instruct(row)
    assert (first.context, second.context) == (None, "x")
    assert (texts(first), texts(second)) == (["o"], ["p"])
    assert first.key != second.key
    assert first.use_case == "classification"
    for broken in ([], "x", [1]):
        with pytest.raises(FieldError, match=r"^instances"):
            list(formats.self_instruct({**row, "instances": broken}))


def test_question_answer_and_instruction_only() -> None:
    item = one(formats.question_answer, {"question": "q", "answer": "#### 1"})
    assert (item.instruction, texts(item)) == ("q", ["#### 1"])
    item = one(formats.instruction_only, {"instruction": "i", "context": "c"})
    assert (item.instruction, item.context, item.answers) == ("i", "c", ())
