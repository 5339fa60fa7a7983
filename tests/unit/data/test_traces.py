"""What is a person's is told by ids; what quotes them by texts, in reports alone."""

from typing import Any

import pytest

from heedful.data.traces import WITHDRAWN, Traces, says_whose

TEXT = "Where did I leave the keys to the shed?"
RECORD = {"schema_version": 1, "id": "prompt-12345", "user_id": "user-ada", "instruction": TEXT}


@pytest.fixture
def traces() -> Traces:
    found = Traces({"user-ada", "ada"})
    found.learn(RECORD)
    return found


def test_learning_takes_ids_of_records_and_what_people_said(traces: Traces) -> None:
    assert (traces.ids, traces.texts) == ({"prompt-12345"}, {TEXT})
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "So?"}]
    traces.learn({"id": "1", "messages": turns, "pairs": [{"prompt": "p", "completion": "c"}]})
    assert traces.ids == {"prompt-12345"}
    assert traces.texts == {TEXT, "So?", "p", "c"}


ROWS: list[tuple[dict[str, Any], bool]] = [
    (RECORD, True),
    ({"user": "ada"}, True),
    ({"labeller_id": "user-ada"}, True),
    ({"id": "prompt-12345"}, True),
    ({"prompt_id": "prompt-12345", "user": "bob"}, True),
    ({"completion_ids": ["a", "prompt-12345"]}, True),
    ({"user": ["ada"], "id": 7, "completion_ids": None}, False),
    ({**RECORD, "id": "prompt-2", "user_id": "user-bob"}, False),
    ({"role": "ada"}, False),
]


@pytest.mark.parametrize(("row", "theirs"), ROWS)
def test_rows(traces: Traces, row: dict[str, Any], theirs: bool) -> None:
    assert traces.is_theirs(row) is theirs


STRINGS = [
    (TEXT, True),
    (TEXT.upper(), True),
    (f"He asked: {TEXT} And left.", True),
    ("Where did I leave the keys\u2026", True),
    ("Where did I\u2026", False),
    ("prompt-12345", True),
    ("user-ada", True),
    ("ada", False),
    ("another text of enough characters", False),
]


@pytest.mark.parametrize(("said", "shown"), STRINGS)
def test_strings(traces: Traces, said: str, shown: bool) -> None:
    assert traces.shown_in(said) is shown


def test_reports_keep_their_shape(traces: Traces) -> None:
    other = {**RECORD, "id": "prompt-2", "user_id": "user-bob"}
    report = {
        "count": 2,
        "examples": [{"id": "prompt-12345"}, {"id": "prompt-2"}, [TEXT, "x"], TEXT],
        "prompts": [RECORD, other],
        "worst": RECORD,
        "longest": TEXT,
        "by": {"user-ada": 1, "user-bob": 2},
    }
    assert traces.clean(report) == (
        {
            "count": 2,
            "examples": [{"id": "prompt-2"}, [WITHDRAWN, "x"], WITHDRAWN],
            "prompts": [other],
            "worst": None,
            "longest": WITHDRAWN,
            "by": {"user-bob": 2},
        },
        True,
    )
    assert traces.clean({"prompts": [other], "n": None}) == ({"prompts": [other], "n": None}, False)


def test_free_text(traces: Traces) -> None:
    text = f"one\nuser-ada did it\nada did it\nuser-adamant\nquote: {TEXT}!\n"
    cleaned = f"one\nada did it\nuser-adamant\nquote: {WITHDRAWN}!\n"
    assert traces.without(text) == cleaned
    assert traces.without(cleaned) == cleaned
    assert traces.is_in_bytes(b"\x00user-ada\x00")
    assert not traces.is_in_bytes(b"\x00ada\x00")


def test_who_says_whose_they_are() -> None:
    assert says_whose(RECORD)
    assert says_whose({"labeller": "x"})
    assert not says_whose({"schema_version": 1, "kind": "sft"})
    assert not says_whose({"user": None, "text": "x"})
