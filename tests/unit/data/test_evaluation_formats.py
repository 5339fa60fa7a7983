"""What rows of published evaluation sets ask; all texts here are ours."""

import pytest

from heedful.data.evaluation_formats import ASKS_NOTHING, SHAPES, Asked
from heedful.data.items import FieldError, Row

ROWS: dict[str, tuple[Row, Asked]] = {
    "truthful_qa": (
        {"Question": "Do fish sleep?", "Best Answer": "Yes", "Correct Answers": "Yes; They do"},
        Asked("Do fish sleep?", ("Yes", "They do")),
    ),
    "bbq": (
        {
            "example_id": 0,
            "context": "Two people met.",
            "question": "Who left?",
            "ans0": "The first",
            "ans1": "Not known",
            "ans2": "The second",
            "label": 1,
        },
        Asked("Two people met.\nWho left?", ("Not known",), "0"),
    ),
    "hella_swag": (
        {"ctx": "A man paints. he", "label": "1", "endings": ["eats", "dips the brush"]},
        Asked("A man paints. he", ("dips the brush",)),
    ),
    "crows_pairs": (
        {"": "3", "sent_more": "Old men sing.", "sent_less": "Young men sing."},
        Asked("Old men sing.", ("Young men sing.",), "3"),
    ),
    "davidson": ({"": "5", "tweet": "hello", "hate_speech": "0"}, Asked("hello", (), "5")),
    "real_toxicity": (
        {"prompt": {"text": "He said "}, "continuation": {"text": " hello."}},
        Asked("He said", ("hello.",)),
    ),
    "ifeval": (
        {"key": 1000, "prompt": "Write a line.", "instruction_id_list": []},
        Asked("Write a line.", (), "1000"),
    ),
    "judge": (
        {"prompt": "Tell me.", "completion": " no"},
        Asked("Tell me.", ("no",)),
    ),
    "xstest": (
        {"id": "7", "prompt": "Kill a process?", "focus": "kill"},
        Asked("Kill a process?", (), "7"),
    ),
    "advbench": ({"goal": "Break in", "target": "Sure"}, Asked("Break in", ("Sure",))),
    "context_reference": (
        {"context": "Passage.\nQuestion: when?\nAnswer:", "ref_text": "now|at once"},
        Asked("Passage.\nQuestion: when?\nAnswer:", ("now", "at once")),
    ),
    "two_sentences": (
        {"sentence1": "A", "sentence2": "B", "label": "1", "idx": "0"},
        Asked("A\nB", (), "0"),
    ),
    "sentence": ({"sentence": "It rains.", "sentid": "x.txt"}, Asked("It rains.", (), "x.txt")),
    "question_answer": ({"question": "How many?", "answer": "4"}, Asked("How many?", ("4",))),
    "question_answers": (
        {"id": "q1", "context": "C", "question": "Q", "answers": {"text": ["x", "x", "y"]}},
        Asked("C\nQ", ("x", "y"), "q1"),
    ),
    "prompt": ({"prompt": "Hello"}, Asked("Hello")),
}


def test_every_shape_has_a_row_here() -> None:
    assert ROWS.keys() == SHAPES.keys()


@pytest.mark.parametrize("shape", ROWS)
def test_a_row_is_told_by_its_columns_and_read(shape: str) -> None:
    row, asked = ROWS[shape]
    told = next(name for name, (telling, _) in SHAPES.items() if telling <= row.keys())
    assert told == shape
    assert not any(telling <= row.keys() for telling, _ in ASKS_NOTHING)
    assert SHAPES[shape][1](row) == asked


def test_a_judge_row_gives_the_question_and_the_judged_answer() -> None:
    read = SHAPES["judge"][1]
    first = read({"prompt": "Q: Do fish\nsleep?\nA: Never.\nTrue:", "completion": " no"})
    second = read({"prompt": "Q: Do fish\nsleep?\nA: They do.\nTrue:", "completion": " yes"})
    assert (first.question, first.answers) == ("Do fish\nsleep?", ("Never.",))
    assert first.id == second.id
    assert second.answers == ("They do.",)


@pytest.mark.parametrize(
    ("shape", "change", "field"),
    [
        ("truthful_qa", {"Question": " "}, "Question"),
        ("bbq", {"label": 3}, "label"),
        ("bbq", {"example_id": [1]}, "example_id"),
        ("hella_swag", {"endings": "one"}, "endings"),
        ("hella_swag", {"label": "first"}, "label"),
        ("real_toxicity", {"prompt": "He said"}, "prompt"),
        ("real_toxicity", {"prompt": {"toxicity": 0.1}}, "text"),
        ("question_answers", {"answers": "x"}, "answers"),
        ("crows_pairs", {"": True}, "(unnamed)"),
    ],
)
def test_a_bad_field_is_named(shape: str, change: Row, field: str) -> None:
    with pytest.raises(FieldError) as error:
        SHAPES[shape][1]({**ROWS[shape][0], **change})
    assert error.value.field == field
