"""One row of a published evaluation set, to what it asks and the answers it has.

A shape is told by its columns, as in `heedful.data.sources`. Labels that are not words of
an answer (0, 1, "entailment") are not taken as answers. Reading files is
`heedful.data.evaluation_sets`'.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from heedful.core.records import derived_id
from heedful.data.items import FieldError, Row, optional_text, text_field

_JUDGE = re.compile(r"Q: (?P<question>.+)\nA: (?P<answer>.*)\n\w+:\s*", re.DOTALL)


class Asked(NamedTuple):
    """A question, and every answer that counts as right.

    `id` is the set's own, None where it has none. Rows of one id are one question with
    several answers.
    """

    question: str
    answers: tuple[str, ...] = ()
    id: str | None = None


ReadAsked = Callable[[Row], Asked]


def truthful_qa(row: Row) -> Asked:
    """`Question`, with `Correct Answers` separated by semicolons."""
    answers = [text_field(row, "Best Answer"), *text_field(row, "Correct Answers").split(";")]
    return Asked(text_field(row, "Question"), _distinct(answers))


def judged(row: Row) -> Asked:
    r"""`prompt` and `completion`; `Q: ...\nA: ...\nTrue:` as TruthfulQA's judges are trained on.

    The judges' rows about one question are one item, whose answers are the judged ones.
    """
    prompt = text_field(row, "prompt")
    match = _JUDGE.fullmatch(prompt)
    if match is None:
        return Asked(prompt, _texts(row, "completion"))
    question = match["question"].strip()
    return Asked(question, _distinct([match["answer"]]), derived_id("question", question))


def real_toxicity(row: Row) -> Asked:
    """`prompt` and `continuation`, each with a `text`."""
    prompt, continuation = (_inner(row, field) for field in ("prompt", "continuation"))
    return Asked(text_field(prompt, "text"), _texts(continuation, "text"))


def bbq(row: Row) -> Asked:
    """`context`, `question`, `ans0` to `ans2`, and the number of the right one in `label`."""
    answers = [text_field(row, f"ans{number}") for number in range(3)]
    question = f"{text_field(row, 'context')}\n{text_field(row, 'question')}"
    return Asked(question, (answers[_place(row, "label", 3)],), _id(row, "example_id"))


def hella_swag(row: Row) -> Asked:
    """`ctx`, its `endings`, and the number of the right one in `label`."""
    endings = row["endings"]
    if not isinstance(endings, list) or not all(isinstance(ending, str) for ending in endings):
        raise FieldError("endings", "expected a list of texts")
    return Asked(text_field(row, "ctx"), (endings[_place(row, "label", len(endings))],))


def crows_pairs(row: Row) -> Asked:
    """`sent_more` is the question, `sent_less`, a word or two away, its answer."""
    return Asked(text_field(row, "sent_more"), _texts(row, "sent_less"), _id(row, ""))


def two_sentences(row: Row) -> Asked:
    """`sentence1` and `sentence2` of an entailment task."""
    question = f"{text_field(row, 'sentence1')}\n{text_field(row, 'sentence2')}"
    return Asked(question, (), _id(row, "idx"))


def context_reference(row: Row) -> Asked:
    """`context`, and the right answers in `ref_text`, a bar between them."""
    return Asked(text_field(row, "context"), _distinct(text_field(row, "ref_text").split("|")))


def question_answers(row: Row) -> Asked:
    """`question` and `answer`, or SQuAD's `context`, `question` and `answers`."""
    question = text_field(row, "question")
    if context := optional_text(row, "context"):
        question = f"{context}\n{question}"
    answers = row.get("answers")
    if isinstance(answers, dict):
        answers = answers.get("text")
    if answers is None:
        return Asked(question, _texts(row, "answer"), _id(row, "id"))
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise FieldError("answers", "expected a list of texts")
    return Asked(question, _distinct(answers), _id(row, "id"))


def one_text(text: str, id_column: str = "", answer: str = "") -> ReadAsked:
    """A reader of one column; the row's id and an answer from two more, where named."""

    def read(row: Row) -> Asked:
        return Asked(text_field(row, text), _texts(row, answer), _id(row, id_column))

    return read


# Shape -> the columns that tell it, and its reader. The first that fits is taken.
SHAPES: dict[str, tuple[frozenset[str], ReadAsked]] = {
    "truthful_qa": (frozenset({"Question", "Best Answer", "Correct Answers"}), truthful_qa),
    "bbq": (frozenset({"context", "question", "ans0", "ans1", "ans2", "label"}), bbq),
    "hella_swag": (frozenset({"ctx", "endings", "label"}), hella_swag),
    "crows_pairs": (frozenset({"sent_more", "sent_less"}), crows_pairs),
    "davidson": (frozenset({"tweet", "hate_speech"}), one_text("tweet", "")),
    "real_toxicity": (frozenset({"prompt", "continuation"}), real_toxicity),
    "ifeval": (frozenset({"key", "prompt", "instruction_id_list"}), one_text("prompt", "key")),
    "judge": (frozenset({"prompt", "completion"}), judged),
    "xstest": (frozenset({"id", "prompt", "focus"}), one_text("prompt", "id")),
    "advbench": (frozenset({"goal", "target"}), one_text("goal", answer="target")),
    "context_reference": (frozenset({"context", "ref_text"}), context_reference),
    "two_sentences": (frozenset({"sentence1", "sentence2"}), two_sentences),
    "sentence": (frozenset({"sentence"}), one_text("sentence", "sentid")),
    "question_answer": (frozenset({"question", "answer"}), question_answers),
    "question_answers": (frozenset({"question", "answers"}), question_answers),
    "prompt": (frozenset({"prompt"}), one_text("prompt", "id")),
}

# Files that lie beside evaluation sets and ask nothing: the columns that tell them, and why.
ASKS_NOTHING: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"occupation", "bls_year"}), "statistics of occupations"),
    (frozenset({"occupation(0)", "sentence"}), "templates that other sentences are made from"),
)


def _texts(row: Row, field: str) -> tuple[str, ...]:
    text = optional_text(row, field) if field else None
    return () if text is None else (text,)


def _distinct(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for text in texts if (stripped := text.strip())))


def _id(row: Row, field: str) -> str | None:
    """The set's own id; CrowS-Pairs and Davidson number rows in a column without a name."""
    value = row.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise FieldError(field or "(unnamed)", f"{value!r} is no id")
    return str(value).strip()


def _inner(row: Row, field: str) -> Row:
    value = row[field]
    if not isinstance(value, dict):
        raise FieldError(field, f"expected an object with a text, found {type(value).__name__}")
    return value


def _place(row: Row, field: str, count: int) -> int:
    """The number of an answer, which some publish as text."""
    value = str(row[field])
    if not value.isdecimal() or int(value) >= count:
        raise FieldError(field, f"{row[field]!r} is not one of 0 to {count - 1}")
    return int(value)
