"""What a survey answer may be, and that fewer than three are never shown."""

from fastapi.datastructures import FormData

from heedful.labelling.form_values import FormReader
from heedful.labelling.survey import QUESTIONS, groups, read_survey, survey_results
from heedful.store.survey_records import SurveyAnswer


def form(*fields: tuple[str, str]) -> FormReader:
    return FormReader(FormData(list(fields)))


def answer(who: str | None = None, **answers: object) -> SurveyAnswer:
    return SurveyAnswer(respondent=who, answers=dict(answers))


def test_every_question_may_be_left_out() -> None:
    assert read_survey(form()) == {}
    assert read_survey(form(("gender", ""), ("nationality", "  "))) == {}


def test_answers_are_read_by_kind() -> None:
    sent = form(
        ("gender", "woman"),
        ("background", "white"),
        ("background", "black"),
        ("nationality", "  New   Zealander "),
        ("clear", "5"),
    )
    assert read_survey(sent) == {
        "gender": "woman",
        "background": ["black", "white"],
        "nationality": "New Zealander",
        "clear": "5",
    }
    assert sent.errors == {}


def test_what_is_no_option_is_an_error() -> None:
    sent = form(("gender", "x"), ("background", "x"), ("nationality", "n" * 61), ("clear", "6"))
    read_survey(sent)
    assert set(sent.errors) == {"gender", "background", "nationality", "clear"}


def shown(answers: list[SurveyAnswer], key: str) -> tuple[object, object, object]:
    one = survey_results(answers)[[question.key for question in QUESTIONS].index(key)]
    return one.counts, one.num_fewer, one.answered


def test_fewer_than_three_are_not_shown() -> None:
    women = [answer(gender="woman") for _ in range(3)]
    assert shown(women, "gender") == ((("Woman", 3),), 0, 3)
    # One man: neither what he said nor how many said something else.
    assert shown([*women, answer(gender="man")], "gender") == ((("Woman", 3),), None, 4)
    others = [answer(gender=one) for one in ("man", "man", "other")]
    assert shown([*women, *others], "gender") == ((("Woman", 3),), 3, 6)
    assert shown(women[:2], "gender") == ((), None, None)


def test_texts_are_counted_without_regard_to_capitals() -> None:
    given = [answer(nationality=one) for one in ("dutch", "Dutch", "DUTCH", "Thai")]
    assert shown(given, "nationality") == ((("Dutch", 3),), None, 4)


def test_groups_are_of_those_who_agreed_and_of_three_or_more() -> None:
    linked = [answer(f"a{n}", gender="woman", background=["white"]) for n in range(3)]
    linked += [answer(f"b{n}", gender="man", background=["white", "black"]) for n in range(2)]
    anonymous = [answer(gender="man") for _ in range(5)]
    assert groups([*linked, *anonymous], "gender") == {"Woman": ["a0", "a1", "a2"]}
    assert set(groups(linked, "background")) == {"White or European"}
    assert groups(anonymous, "age") == {}
