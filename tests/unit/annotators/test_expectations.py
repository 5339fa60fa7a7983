"""Each kind of expectation: met, half met, not met; and broken ones are refused."""

from collections.abc import Callable

import pytest

from heedful.annotators.expectations import (
    CHECKS,
    contains_phrase,
    content_words,
    degree_met,
    echo_marks,
    is_title,
    num_items,
    num_lines,
    num_sentences,
    own_words,
    validate_expectations,
    words_of,
)
from heedful.core.errors import DataError
from heedful.core.records import Expectation, Prompt

MakePrompt = Callable[..., Prompt]
Value = str | int | tuple[str, ...] | None

# kind, value, a text that meets it, one that does not quite, one that fails
CASES: list[tuple[str, Value, str, str, str]] = [
    ("max_words", 4, "Fresh bread every day", "Fresh warm bread every day", "word " * 9),
    ("min_words", 4, "Fresh bread every day", "Fresh bread", ""),
    ("num_sentences", 1, "It rains.", "It rains. It pours.", "A b. C d. E f. G h. I j."),
    ("max_sentences", 2, "It rains. It pours!", "It rains. It pours. Oh!", "A. B. C. D. E."),
    ("num_items", 3, "Apples, pears and figs", "Apples, pears", "a, b, c, d, e, f"),
    ("num_lines", 2, "One line\nand two", "One line", "a\nb\nc\nd\ne\nf\ng"),
    ("includes", ("wool", "soft"), "Soft wool.", "Soft cotton.", "Hard rock."),
    ("answers", ("goat", "duck"), "A goat and a duck", "A goat", "A horse"),
    ("answer", ("Paris",), "It is Paris.", "Who knows. It may be Paris.", "It is Rome."),
    ("one_of", ("spam", "not spam"), "Not spam", "Spam and not spam", "A letter"),
    ("topic", ("wave", "salt"), "Salt is in every wave.", "A wave broke.", "The cat slept."),
    ("brief", 5, "The sea is blue.", "The sea is blue and very wide", "word " * 500),
    ("careful", None, "Please see a doctor.", "See a doctor.", "Do it."),
    ("language", "fr", "Le chat est sur la chaise.", "Le chat is on the chair", "The cat is here."),
    ("uppercase", None, "KEEP OUT", "KEEP Out", "keep out"),
    ("lowercase", None, "keep out", "keep Out", "KEEP OUT"),
]
YES_OR_NO: list[tuple[str, Value, str, str]] = [
    ("starts_with", "Yesterday", "Yesterday it rained.", "It rained yesterday."),
    ("ends_with", "?", 'He asked: "Why?"', "Why not."),
    ("excludes", ("yellow",), "A sour fruit.", "A yellow fruit."),
]


def degree(prompt: Prompt, kind: str, value: Value, text: str) -> float:
    return degree_met(Expectation(kind=kind, value=value), prompt, text)


@pytest.mark.parametrize(("kind", "value", "good", "middling", "bad"), CASES, ids=str)
def test_degrees_are_graded(
    make_prompt: MakePrompt, kind: str, value: Value, good: str, middling: str, bad: str
) -> None:
    best, half, worst = (degree(make_prompt(), kind, value, t) for t in (good, middling, bad))
    assert best == pytest.approx(1.0)
    assert best > half > worst
    assert worst <= 0.25


@pytest.mark.parametrize(("kind", "value", "good", "bad"), YES_OR_NO)
def test_yes_or_no(make_prompt: MakePrompt, kind: str, value: Value, good: str, bad: str) -> None:
    assert degree(make_prompt(), kind, value, good) == 1.0
    assert degree(make_prompt(), kind, value, bad) == 0.0


def test_every_kind_has_a_case() -> None:
    assert {case[0] for case in CASES} | {case[0] for case in YES_OR_NO} | {"from_context"} == set(
        CHECKS
    )


def test_from_context_counts_words_the_context_has(make_prompt: MakePrompt) -> None:
    prompt = make_prompt("Who won?", context="Nadia finished first, before Omar.")
    assert degree(prompt, "from_context", None, "Nadia finished first.") == 1.0
    assert degree(prompt, "from_context", None, "Nadia beat the dragon.") == pytest.approx(1 / 3)
    assert degree(prompt, "from_context", None, "Paula flew home.") == 0.0


def test_a_wrong_answer_that_resembles_the_right_one_beats_an_unrelated_one(
    make_prompt: MakePrompt,
) -> None:
    prompt = make_prompt("Correct the spelling.", context="I recieved your leter.")
    near = degree(prompt, "answer", ("I received your letter",), "I received your leter.")
    assert 0.5 > near > degree(prompt, "answer", ("I received your letter",), "Yes.")


def test_repeating_the_instruction_earns_little_relevance(make_prompt: MakePrompt) -> None:
    prompt = make_prompt("Write one sentence about a lost dog.")
    topic = ("lost", "dog", "owner", "street")
    own = degree(prompt, "topic", topic, "The dog sat in the street and waited for its owner.")
    assert degree(prompt, "topic", topic, "A lost dog.") < 0.3 < own
    assert degree(prompt, "topic", topic, "Write one sentence about a lost dog.") < 0.3


def test_words_and_counts() -> None:
    assert words_of("It's 5.5 o'clock, Anna-Lena!") == ["it's", "5.5", "o'clock", "anna-lena"]
    assert content_words("The sea was calm") == ["sea", "calm"]
    assert num_sentences('He said "Stop!" and left. Then it rained') == 2 + 1
    assert num_items("1. red\n2. green\n3. blue") == 3
    assert num_lines("a\n\nb") == 2
    assert contains_phrase("Is it not spam?", "not spam")
    assert not contains_phrase("spamming", "spam")


def test_echoes(make_prompt: MakePrompt) -> None:
    assert echo_marks("a b x", "z a b", 2) == [True, True, False]
    assert echo_marks("a", "a b", 2) == [False]
    prompt = make_prompt("Write one sentence about the sea.")
    assert own_words("A sentence about the sea, softly.", prompt).strip(" ,") == "A    , softly."


def test_short_limits_make_a_title(make_prompt: MakePrompt) -> None:
    assert is_title(make_prompt(max_words=8))
    assert not is_title(make_prompt(max_words=20))


def test_unknown_kind_names_prompt_and_nearest(make_prompt: MakePrompt) -> None:
    with pytest.raises(DataError, match=r"maxwords.*\n.*max_words"):
        validate_expectations([make_prompt(maxwords=4)])


@pytest.mark.parametrize(
    ("kind", "value"),
    [("max_words", "four"), ("max_words", 0), ("topic", ()), ("language", "la"), ("careful", 1)],
)
def test_a_value_of_the_wrong_type_is_refused(
    make_prompt: MakePrompt, kind: str, value: Value
) -> None:
    with pytest.raises(DataError, match=kind):
        validate_expectations([make_prompt(**{kind: value})])
