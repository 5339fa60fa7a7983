"""The self-assessment is read as it was sent, or refused by field."""

from fastapi.datastructures import FormData

from heedful.labelling.form_values import FormReader
from heedful.labelling.self_assessment import MAX_NOTE, read_self_assessment, topic_names


def form(*fields: tuple[str, str]) -> FormReader:
    return FormReader(FormData(list(fields)))


def test_it_is_read() -> None:
    sent = form(("topics", "religion"), ("topics", "age"), ("confidence", "6"), ("note", " Thai "))
    answers = read_self_assessment(sent)
    assert answers == {"topics": ["age", "religion"], "confidence": 6, "note": "Thai"}
    assert topic_names(answers) == ["Age", "Religion and belief"]
    assert sent.errors == {}


def test_no_topic_is_an_answer_but_no_confidence_is_not() -> None:
    sent = form()
    assert read_self_assessment(sent)["topics"] == []
    assert set(sent.errors) == {"confidence"}


def test_what_does_not_fit_is_an_error() -> None:
    sent = form(("topics", "x"), ("confidence", "8"), ("note", "n" * (MAX_NOTE + 1)))
    read_self_assessment(sent)
    assert set(sent.errors) == {"topics", "confidence", "note"}
