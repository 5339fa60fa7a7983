"""The labeller survey: what is asked, what an answer may be, and what is shown of it.

The questions are those of the paper's survey (appendix B.3) in our words: who the labellers
are, and how they find the work. It is optional and anonymous; an answer is linked to its
labeller only with their consent, so that agreement can be shown by group. A group of fewer
than three is never shown.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from heedful.labelling.form_values import FormReader
from heedful.store.survey_records import SurveyAnswer

LEAST_SHOWN = 3
_MAX_TEXT = 60
_AGREE = (
    ("5", "Agree fully"),
    ("4", "Agree"),
    ("3", "Neither"),
    ("2", "Disagree"),
    ("1", "Disagree fully"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question; every one may be left out.

    Attributes:
        kind: `one` of the options, `many` of them, or a short `text`.
        options: (stored, shown).
    """

    key: str
    text: str
    kind: Literal["one", "many", "text"]
    options: tuple[tuple[str, str], ...] = ()


ABOUT_YOU = (
    Question(
        key="gender",
        text="What gender do you identify with?",
        kind="one",
        options=(
            ("woman", "Woman"),
            ("man", "Man"),
            ("non_binary", "Non-binary"),
            ("other", "Another"),
        ),
    ),
    Question(
        key="background",
        text="Which ethnic backgrounds do you identify with?",
        kind="many",
        options=(
            ("black", "African or Black"),
            ("east_asian", "East Asian"),
            ("indigenous", "Indigenous or native people"),
            ("latin_american", "Latin American or Hispanic"),
            ("middle_eastern", "Middle Eastern or North African"),
            ("pacific", "Pacific Islander"),
            ("south_asian", "South Asian"),
            ("southeast_asian", "Southeast Asian"),
            ("white", "White or European"),
            ("other", "Another"),
        ),
    ),
    Question(key="nationality", text="What is your nationality?", kind="text"),
    Question(
        key="age",
        text="How old are you?",
        kind="one",
        options=(
            *((band, band) for band in ("18-24", "25-34", "35-44", "45-54", "55-64")),
            ("65+", "65 or older"),
        ),
    ),
    Question(
        key="education",
        text="What is the highest degree you hold?",
        kind="one",
        options=(
            ("none", "None, or less than secondary school"),
            ("secondary", "Secondary school"),
            ("vocational", "Vocational training"),
            ("bachelor", "Bachelor's degree"),
            ("master", "Master's degree"),
            ("doctorate", "Doctorate"),
        ),
    ),
)
ABOUT_THE_WORK = tuple(
    Question(key=key, text=text, kind="one", options=_AGREE)
    for key, text in (
        ("clear", "The instructions told me clearly what to do."),
        ("interesting", "I found the tasks interesting."),
        ("repetitive", "The tasks were repetitive."),
        ("paid_fairly", "I was paid fairly for my time."),
        ("heard", "When I had questions, I got answers that helped."),
        ("upsetting", "Some of the content was upsetting to read."),
        ("glad", "All in all, I am glad that I did this work."),
    )
)
QUESTIONS = (*ABOUT_YOU, *ABOUT_THE_WORK)
_BY_KEY = {question.key: question for question in QUESTIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown of the answers to a question.

    Attributes:
        counts: (shown name, how many) of each answer that three people or more gave.
        num_fewer: Answers that fewer than three gave, together; None where these, too, are
            fewer than three.
        answered: How many answered; None below three.
    """

    question: Question
    counts: tuple[tuple[str, int], ...]
    num_fewer: int | None
    answered: int | None


def read_survey(form: FormReader) -> dict[str, Any]:
    """The answers of a form that was sent; what was left empty is left out."""
    answers: dict[str, Any] = {}
    for question in QUESTIONS:
        known = dict(question.options)
        if question.kind == "text":
            answer: Any = " ".join(form.text(question.key, question.text, most=_MAX_TEXT).split())
        elif question.kind == "many":
            answer = sorted(set(form.many(question.key, question.text, known)))
        else:
            answer = form.optional(question.key, question.text, known)
        if answer:
            answers[question.key] = answer
    return answers


def survey_results(answers: Sequence[SurveyAnswer]) -> list[Shown]:
    """What may be shown of each question."""
    return [_shown(question, answers) for question in QUESTIONS]


def groups(answers: Sequence[SurveyAnswer], key: str) -> dict[str, list[str]]:
    """The labellers who linked their answers, by their answer to a question about them.

    Only groups of three or more. Of a question that allows several answers, a labeller is
    in the group of each.
    """
    found: dict[str, list[str]] = {}
    for one in answers:
        if one.respondent is not None:
            for name in _names(_BY_KEY[key], one.answers.get(key)):
                found.setdefault(name, []).append(one.respondent)
    return {name: sorted(who) for name, who in sorted(found.items()) if len(who) >= LEAST_SHOWN}


def _shown(question: Question, answers: Sequence[SurveyAnswer]) -> Shown:
    given = [_names(question, one.answers.get(question.key)) for one in answers]
    answered = sum(bool(names) for names in given)
    counts = Counter(name for names in given for name in names)
    enough = {name: number for name, number in counts.items() if number >= LEAST_SHOWN}
    fewer = sum(counts.values()) - sum(enough.values())
    order = [shown for _, shown in question.options] or sorted(enough, key=lambda n: -enough[n])
    return Shown(
        question=question,
        counts=tuple((name, enough[name]) for name in order if name in enough),
        num_fewer=fewer if fewer >= LEAST_SHOWN or fewer == 0 else None,
        answered=answered if answered >= LEAST_SHOWN else None,
    )


def _names(question: Question, answer: Any) -> list[str]:
    """The shown names of an answer; texts are compared without regard to capitals."""
    if answer is None:
        return []
    if question.kind == "text":
        return [str(answer).title()]
    shown = dict(question.options)
    return [shown[one] for one in ([answer] if isinstance(answer, str) else answer) if one in shown]
