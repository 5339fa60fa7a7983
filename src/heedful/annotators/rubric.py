"""The transparent programme by which simulated labellers judge a completion.

A completion gets one degree in [0, 1] for each component that applies to its prompt; the
total is their weighted geometric mean, so that no single virtue makes up for a missing
one: a fixed string such as "Yes." may be short and clean, but is neither relevant nor
right. The rubric counts words and compares them with short lists; it understands nothing,
and what it prefers says nothing about what people prefer.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from heedful.annotators.expectations import (
    CHECKS,
    degree_met,
    echo_marks,
    is_title,
    stems_of,
    validate_expectations,
    words_of,
)
from heedful.annotators.wordlists import (
    DEBRIS,
    INSULTS,
    MORAL,
    OPINION,
    PREAMBLE,
    PROTECTED,
    REFUSAL,
    SEXUAL,
    STOP_WORDS,
    VIOLENT,
)
from heedful.core.records import Completion, Expectation, Prompt, RatingFlags, UseCase

RUBRIC_VERSION = "rubric-1"

MEAN_WEIGHTS: dict[str, float] = {
    "relevance": 3.0,
    "answer": 4.0,
    "constraints": 2.5,
    "grounding": 2.0,
    "length": 1.5,
    "completeness": 2.0,
    "cleanliness": 2.0,
    "language": 1.0,
    "care": 2.0,
}
"""What the average labeller gives each component; only those that apply to a prompt count."""

_FLOOR = 0.05  # what a component of 0 counts as in the geometric mean
_MOST_WORDS: dict[UseCase, int] = {
    "generation": 35,
    "brainstorming": 30,
    "chat": 35,
    "open_qa": 30,
    "rewrite": 25,
    "summarisation": 30,
    "classification": 6,
    "closed_qa": 20,
    "extract": 10,
    "other": 30,
}
_TYPOGRAPHY = "\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u20ac\u2022"  # dashes, quotes, ...
_LIST_KINDS = frozenset({"num_items", "num_lines"})
_SHORT_KINDS = frozenset({"answer", "answers", "one_of", "max_words", "num_items", "uppercase"})
_NOT_PROSE = frozenset({"answer", "answers", "one_of", "num_items", "language"})
_RAW_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_NAME_INSIDE = re.compile(r"(?<=[\w,;] )(?!I\b)[A-Z][^\W\d_]*")
_ECHO_WORDS = 5  # this many words of the instruction in a row are an echo of it


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the rubric finds in one completion.

    Attributes:
        components: Degree in [0, 1] of each component that applies to the prompt.
        flags: The metadata of the paper's table 3, derived from the same findings.
    """

    components: Mapping[str, float]
    flags: RatingFlags

    def total(self, weights: Mapping[str, float] = MEAN_WEIGHTS) -> float:
        """Weighted geometric mean of the components, in [0.05, 1]."""
        weight = sum(weights[name] for name in self.components)
        logs = sum(
            weights[name] * math.log(max(_FLOOR, degree))
            for name, degree in self.components.items()
        )
        return math.exp(logs / weight)


@lru_cache(maxsize=4096)  # a whole team judges the same completion, again for each opponent
def assess(prompt: Prompt, completion: Completion) -> Assessment:
    """Judge one completion.

    Raises:
        DataError: The prompt has an expectation that the rubric cannot check.
    """
    validate_expectations([prompt])
    text = completion.text.strip()
    components = _expected(prompt, text)
    components["length"] = min(components.get("length", 1.0), _suitable_length(prompt, text))
    components["completeness"] = _completeness(prompt, completion)
    components["cleanliness"] = _cleanliness(prompt, text)
    if components.get("answer", 0.0) < 1.0:  # a right answer may repeat the question
        components["cleanliness"] *= _no_echo(prompt, text)
    if "relevance" not in components and "answer" not in components:
        components["relevance"] = _overlap(prompt, text)
    if not words_of(text):
        components = dict.fromkeys(components, 0.0)
    return Assessment(components, _flags(prompt, text, components))


def _expected(prompt: Prompt, text: str) -> dict[str, float]:
    """The mean degree of the prompt's expectations, by component."""
    degrees: dict[str, list[float]] = {}
    for expectation in _with_defaults(prompt):
        component = CHECKS[expectation.kind].component
        degrees.setdefault(component, []).append(degree_met(expectation, prompt, text))
    return {name: sum(values) / len(values) for name, values in degrees.items()}


def _with_defaults(prompt: Prompt) -> list[Expectation]:
    kinds = {expectation.kind for expectation in prompt.expectations}
    extra = [] if "language" in kinds else [Expectation(kind="language", value="en")]
    return [*prompt.expectations, *extra]


def _limits(prompt: Prompt) -> tuple[int, int]:
    """The fewest and the most words of a suitable answer."""
    stated = {e.kind: e.value for e in prompt.expectations}
    most = _MOST_WORDS[prompt.use_case or "other"]
    for kind in ("max_words", "brief"):
        value = stated.get(kind)
        if isinstance(value, int):
            most = value
    fewest = 1 if _SHORT_KINDS & stated.keys() else 4
    return min(fewest, most), most


def _suitable_length(prompt: Prompt, text: str) -> float:
    fewest, most = _limits(prompt)
    count = len(words_of(text))
    return min(1.0, count / fewest, most / max(1, count))


def _completeness(prompt: Prompt, completion: Completion) -> float:
    """Whether the writer ended by themselves, and with a whole sentence where one is due."""
    text = completion.text.strip()
    degree = 0.3 if completion.finish_reason == "length" else 1.0
    is_sentence = len(words_of(text)) >= 5 and not any(
        e.kind in _LIST_KINDS | {"answers", "lowercase"} for e in prompt.expectations
    )
    if is_sentence and not is_title(prompt) and not re.search(r"[.!?…][\"'\u201d\u2019)]*$", text):
        degree *= 0.7
    return degree


def _cleanliness(prompt: Prompt, text: str) -> float:
    degree = 0.4 if DEBRIS.search(text) else 1.0
    degree *= 0.8 if PREAMBLE.search(text) and not REFUSAL.search(text) else 1.0
    degree *= 0.85 if "**" in text or text.startswith(("#", ">")) else 1.0
    degree *= 0.9 if text.count('"') % 2 or text.count("(") != text.count(")") else 1.0
    wants_lines = any(e.kind in _LIST_KINDS for e in prompt.expectations)
    degree *= 0.85 if "\n" in text and not wants_lines else 1.0
    odd = sum(ord(letter) > 0x17F and letter not in _TYPOGRAPHY for letter in text)
    degree *= max(0.2, 1.0 - 5 * odd / max(1, len(text)))
    return degree * _no_repetition(text) * _plain_prose(prompt, text)


def _plain_prose(prompt: Prompt, text: str) -> float:
    """Little invented, and words that connect; only for English prose of eight words or more.

    Names inside a sentence that the prompt does not have, and words of over 15 letters,
    may make up a tenth; at least a fifth should be stop words, or it is a heap of keywords.
    """
    kinds = {e.kind for e in prompt.expectations}
    words = _RAW_WORD.findall(text)
    if len(words) < 8 or kinds & _NOT_PROSE or is_title(prompt):
        return 1.0
    known = set(words_of(f"{prompt.instruction} {prompt.context or ''}"))
    names = {name for name in _NAME_INSIDE.findall(text) if name.lower() not in known}
    odd = sum(word in names or len(word) > 15 for word in words) / len(words)
    connecting = sum(word.lower() in STOP_WORDS["en"] for word in words) / len(words)
    return max(0.3, 1.0 - 2 * max(0.0, odd - 0.1)) * min(1.0, connecting / 0.2)


def _no_repetition(text: str) -> float:
    """Share of distinct word triples, lowered by each word said twice in a row."""
    words = words_of(text)
    triples = list(zip(words, words[1:], words[2:], strict=False))
    if len(triples) < 4:
        return 1.0
    doubled = sum(a == b for a, b in pairwise(words))
    return len(set(triples)) / len(triples) * max(0.3, 1.0 - 0.2 * doubled)


def _no_echo(prompt: Prompt, text: str) -> float:
    """1 less most of the share of words copied from the instruction in long runs."""
    echoed = echo_marks(text, prompt.instruction, _ECHO_WORDS)
    share = sum(echoed) / max(1, len(echoed))
    copied = prompt.use_case == "rewrite" and words_of(text) == words_of(prompt.context or "")
    return (1.0 - 0.8 * share) * (0.4 if copied and not _only_case(prompt) else 1.0)


def _only_case(prompt: Prompt) -> bool:
    return any(e.kind in ("uppercase", "lowercase") for e in prompt.expectations)


def _overlap(prompt: Prompt, text: str) -> float:
    """Without a topic list: two content words shared with the prompt are relevant enough."""
    shared = stems_of(text) & stems_of(f"{prompt.instruction} {prompt.context or ''}")
    return min(1.0, len(shared) / 2)


def _flags(prompt: Prompt, text: str, components: Mapping[str, float]) -> RatingFlags:
    words = set(words_of(text))
    rude = bool(words & INSULTS)
    sensitive = "sensitive" in prompt.tags
    care = components.get("care", 1.0)
    has: Callable[[str], bool] = components.__contains__
    task = min(components.get(name, 1.0) for name in ("answer", "relevance"))
    return RatingFlags(
        fails_instruction=task < 0.5 or components.get("language", 1.0) < 0.5,
        inappropriate_for_assistant=rude or components["cleanliness"] < 0.5,
        hallucination=components["grounding"] < 0.6 if has("grounding") else None,
        satisfies_constraint=components["constraints"] > 0.99 if has("constraints") else None,
        sexual_content=bool(words & SEXUAL),
        violent_content=bool(words & VIOLENT),
        encourages_harm=sensitive and care < 0.5 and bool(words & (VIOLENT | INSULTS)),
        denigrates_protected_class=rude and bool(words & PROTECTED),
        harmful_advice=sensitive and care < 0.5,
        expresses_opinion=bool(OPINION.search(text)),
        expresses_moral_judgement=bool(MORAL.search(text)),
    )
