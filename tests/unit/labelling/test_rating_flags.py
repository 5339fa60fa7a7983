"""The questions about an output: all of the paper's table, told apart, and as records."""

from heedful.core.records import Rating, RatingFlags
from heedful.labelling.rating_flags import FLAGS, THREE_STATE, marked, record_flags


def test_every_question_of_the_record_is_asked_once() -> None:
    assert {flag.name for flag in FLAGS} == set(RatingFlags.model_fields)
    assert len(FLAGS) == 11
    assert len({flag.key for flag in FLAGS}) == len(FLAGS)


def test_two_questions_may_not_apply() -> None:
    assert {"hallucination", "satisfies_constraint"} == THREE_STATE


def test_what_is_not_marked_is_no_or_not_asked() -> None:
    flags = record_flags({"violent_content": True, "hallucination": False})
    assert flags.violent_content is True
    assert flags.hallucination is False
    assert flags.satisfies_constraint is None
    others = set(RatingFlags.model_fields) - {"violent_content"} - THREE_STATE
    assert {getattr(flags, name) for name in others} == {False}


def test_a_no_is_said_only_where_a_question_may_not_apply() -> None:
    rating = Rating(
        id="rating-1",
        prompt_id="prompt-1",
        completion_id="completion-1",
        quality=3,
        flags=record_flags({"harmful_advice": True, "satisfies_constraint": False}),
        labeller_id="labeller-1",
        made_by="person",
    )
    assert marked(rating) == ["Gives harmful advice", "Satisfies the stated constraint: no"]
