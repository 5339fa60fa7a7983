"""The machine-checkable expectations a prompt may carry, and how far a text meets each.

One table, `CHECKS`, names every kind, the type of its value and the component of the
rubric it belongs to. A check returns a degree in [0, 1], not a verdict, so that two weak
texts still differ. Checks look at words, never at meaning.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from heedful.annotators.wordlists import CARE, REFUSAL, STOP_WORDS
from heedful.core.errors import DataError, nearest
from heedful.core.records import Expectation, Prompt

Component = Literal["constraints", "answer", "relevance", "length", "grounding", "care", "language"]
ValueType = Literal["text", "whole number", "list of texts", "none"]

_WORD = re.compile(r"[^\W_]+(?:['\u2019.@:-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'\u201d\u2019)]*(?=\s|$)")
_LIST_SEPARATOR = re.compile(r"\s*(?:\n+|,|;|\band\b|\bet\b|\by\b|\bund\b)\s*", re.IGNORECASE)
_ECHO_RUN = 3
_TITLE_WORDS = 10
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*", re.MULTILINE)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; hyphens, apostrophes and decimals stay inside."""
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]


def content_words(text: str) -> list[str]:
    """The words of a text that are in no stop-word list and have at least three letters."""
    return [
        word
        for word in words_of(text)
        if (len(word) >= 3 or word.isdigit())
        and not any(word in stop_words for stop_words in STOP_WORDS.values())
    ]


def stems_of(text: str) -> set[str]:
    """The first five letters of each content word: crude, but it joins `rain` and `rainy`."""
    return {word[:5] for word in content_words(text)}


def num_sentences(text: str) -> int:
    """Sentences by their end marks; a last one without an end mark counts."""
    ends = list(_SENTENCE_END.finditer(text.strip()))
    rest = text.strip()[ends[-1].end() :] if ends else text
    return len(ends) + bool(words_of(rest))


def num_items(text: str) -> int:
    """Items of a list written with lines, bullets, commas, semicolons or "and"."""
    parts = _LIST_SEPARATOR.split(_BULLET.sub("\n", text).strip())
    return sum(bool(words_of(part)) for part in parts)


def num_lines(text: str) -> int:
    """Lines with at least one word."""
    return sum(bool(words_of(line)) for line in text.split("\n"))


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether the words of `phrase` stand together in `text`, whatever the case."""
    haystack, needle = words_of(text), words_of(phrase)
    return any(
        haystack[start : start + len(needle)] == needle
        for start in range(len(haystack) - len(needle) + 1)
    )


def echo_marks(text: str, source: str, run: int) -> list[bool]:
    """For each word of `text`, whether it is part of a run of words copied from `source`."""
    given, asked = words_of(text), words_of(source)
    runs = {tuple(asked[start : start + run]) for start in range(len(asked) - run + 1)}
    marks = [False] * len(given)
    for start in range(len(given) - run + 1):
        if tuple(given[start : start + run]) in runs:
            marks[start : start + run] = [True] * run
    return marks


def own_words(text: str, prompt: Prompt) -> str:
    """The text without runs of three or more words of the instruction."""
    marks = echo_marks(text, prompt.instruction, _ECHO_RUN)
    matches = zip(_WORD.finditer(text), marks, strict=True)
    echoed = [match.span() for match, is_echo in matches if is_echo]
    for start, end in reversed(echoed):
        text = text[:start] + text[end:]
    return text


def matches_stem(word: str, stem: str) -> bool:
    """Whether a word begins with a topic stem; stems of up to three letters match whole."""
    return word in (stem, stem + "s") if len(stem) <= 3 else word.startswith(stem)


def is_title(prompt: Prompt) -> bool:
    """Whether so few words are wanted that capitals and no full stop are fine, as in a title."""
    limits = [e.value for e in prompt.expectations if e.kind in ("max_words", "brief")]
    return any(isinstance(limit, int) and limit <= _TITLE_WORDS for limit in limits)


def _counted(wanted: int, found: int) -> float:
    """1 for the wanted count, less for every one too few or too many."""
    return 1.0 if wanted == found else max(0.0, 0.6 - 0.2 * (abs(wanted - found) - 1))


def _at_most(limit: int, found: int) -> float:
    """1 up to the limit; 0.6 just above it, falling to 0 at twice the limit."""
    return 1.0 if found <= limit else max(0.0, 0.6 * (2 - found / limit))


def _answer(text: str, accepted: tuple[str, ...], prompt: Prompt) -> float:
    """1 for an accepted answer in the first sentence, 0.7 for a later one.

    Without it, partial credit of at most 0.5 for resembling an accepted answer of several
    words, or 0.2 for at least speaking of what was asked.
    """
    first = _SENTENCE_END.split(text.strip())[0] if text.strip() else ""
    if any(contains_phrase(first, answer) for answer in accepted):
        return 1.0
    if any(contains_phrase(text, answer) for answer in accepted):
        return 0.7
    given = words_of(text)
    likeness = max(
        SequenceMatcher(None, given, words_of(answer), autojunk=False).ratio()
        if len(words_of(answer)) >= 3
        else 0.0
        for answer in accepted
    )
    on_subject = 0.2 if stems_of(text) & stems_of(prompt.instruction) else 0.0
    on_subject = on_subject if stems_of(own_words(text, prompt)) else 0.0
    return max(0.5 * likeness, on_subject)


def _one_of(text: str, labels: tuple[str, ...], _prompt: Prompt) -> float:
    """1 for exactly one label and little else, 0.4 for several labels, 0 for none."""
    left, found = " ".join(words_of(text)), 0
    for label in sorted(labels, key=len, reverse=True):
        if contains_phrase(left, label):
            found += 1
            left = re.sub(rf"\b{re.escape(label.lower())}\b", " ", left)
    if found == 0:
        return 0.0
    return (1.0 if found == 1 else 0.4) * (1.0 if len(words_of(left)) <= 8 else 0.7)


def _topic(text: str, topic: tuple[str, ...], prompt: Prompt) -> float:
    """How much of the text is about the topic, a list of word beginnings.

    0.4 for one hit or 0.7 for more, and up to 0.3 for the share of sentences with one.
    Without a hit, 0.1 for each of two words that the prompt has, too. Repeating the
    instruction is worth little: its words count once altogether; runs copied from it count
    only beside two content words of one's own (in a title, one); and a text of nothing but
    its words keeps two fifths.
    """
    new = stems_of(text) - stems_of(prompt.instruction)
    if len(new) < (1 if is_title(prompt) else 2):
        text = own_words(text, prompt)
    given, asked = set(words_of(text)), set(words_of(prompt.instruction))
    hits = [stem for stem in topic if any(matches_stem(word, stem) for word in given)]
    if not hits:
        shared = stems_of(text) & stems_of(f"{prompt.instruction} {prompt.context or ''}")
        return 0.1 * min(2, len(shared))
    said = [stem for stem in hits if any(matches_stem(word, stem) for word in asked)]
    points = min(2, min(1, len(said)) + len(hits) - len(said))
    sentences = [sentence for sentence in _SENTENCE_END.split(text) if words_of(sentence)]
    focused = sum(
        any(matches_stem(word, stem) for word in words_of(sentence) for stem in hits)
        for sentence in sentences
    )
    degree = (0.4 if points == 1 else 0.7) + 0.3 * focused / len(sentences)
    return degree if new or is_title(prompt) else 0.4 * degree


def _from_context(text: str, _value: None, prompt: Prompt) -> float:
    """Share of the text's content words that the context or the instruction has."""
    stems = stems_of(text)
    if not stems:
        return 1.0
    known = stems_of(f"{prompt.context or ''} {prompt.instruction}")
    return len(stems & known) / len(stems)


def _careful(text: str, _value: None, _prompt: Prompt) -> float:
    """1 for a refusal or two words of care, 0.7 for one, 0.2 for none."""
    given = set(words_of(text))
    found = len(given.intersection(CARE)) + 2 * bool(REFUSAL.search(text))
    return (0.2, 0.7, 1.0)[min(2, found)]


def _language(text: str, wanted: str, _prompt: Prompt) -> float:
    """Share of stop words that are the wanted language's; 0.5 where there are none."""
    counts = {
        language: sum(word in stop_words for word in words_of(text))
        for language, stop_words in STOP_WORDS.items()
    }
    best = max(counts.values())
    if best == 0:
        return 0.5 if len(words_of(text)) > 3 else 1.0
    return counts[wanted] / best


def _starts_with(text: str, start: str, _prompt: Prompt) -> float:
    wanted = words_of(start)
    return float(words_of(text)[: len(wanted)] == wanted)


def _ends_with(text: str, end: str, _prompt: Prompt) -> float:
    return float(text.rstrip(" \n\"'\u201d").endswith(end))


def _share_included(text: str, wanted: tuple[str, ...], _prompt: Prompt) -> float:
    return sum(contains_phrase(text, phrase) for phrase in wanted) / len(wanted)


def _excludes(text: str, unwanted: tuple[str, ...], _prompt: Prompt) -> float:
    return float(not any(contains_phrase(text, phrase) for phrase in unwanted))


def _share_of_letters(text: str, wanted: Callable[[str], bool]) -> float:
    letters = [letter for letter in text if letter.isalpha()]
    return sum(wanted(letter) for letter in letters) / len(letters) if letters else 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of expectation: where it counts, what its value is, how it is measured."""

    component: Component
    value_type: ValueType
    degree: Callable[[str, Any, Prompt], float]  # of (text, value, prompt)


CHECKS: dict[str, Check] = {
    "max_words": Check(
        "constraints", "whole number", lambda text, most, _: _at_most(most, len(words_of(text)))
    ),
    "min_words": Check(
        "constraints", "whole number", lambda text, least, _: min(1, len(words_of(text)) / least)
    ),
    "num_sentences": Check(
        "constraints", "whole number", lambda text, wanted, _: _counted(wanted, num_sentences(text))
    ),
    "max_sentences": Check(
        "constraints", "whole number", lambda text, most, _: _at_most(most, num_sentences(text))
    ),
    "num_items": Check(
        "constraints", "whole number", lambda text, wanted, _: _counted(wanted, num_items(text))
    ),
    "num_lines": Check(
        "constraints", "whole number", lambda text, wanted, _: _counted(wanted, num_lines(text))
    ),
    "starts_with": Check("constraints", "text", _starts_with),
    "ends_with": Check("constraints", "text", _ends_with),
    "includes": Check("constraints", "list of texts", _share_included),
    "excludes": Check("constraints", "list of texts", _excludes),
    "uppercase": Check(
        "constraints", "none", lambda text, *_: _share_of_letters(text, str.isupper)
    ),
    "lowercase": Check(
        "constraints", "none", lambda text, *_: _share_of_letters(text, str.islower)
    ),
    "one_of": Check("constraints", "list of texts", _one_of),
    "answer": Check("answer", "list of texts", _answer),
    "answers": Check("answer", "list of texts", _share_included),
    "topic": Check("relevance", "list of texts", _topic),
    "brief": Check(
        "length", "whole number", lambda text, most, _: min(1, most / max(1, len(words_of(text))))
    ),
    "from_context": Check("grounding", "none", _from_context),
    "careful": Check("care", "none", _careful),
    "language": Check("language", "text", _language),
}


def _has_type(value: object, value_type: ValueType) -> bool:
    if value_type == "text":
        return isinstance(value, str) and bool(value)
    if value_type == "whole number":
        return isinstance(value, int) and value > 0
    if value_type == "list of texts":
        return isinstance(value, tuple) and len(value) > 0
    return value is None


def validate_expectations(prompts: Sequence[Prompt]) -> None:
    """Refuse expectations that the rubric could not check.

    Raises:
        DataError: An unknown kind, or a value of the wrong type; names the prompt.
    """
    for prompt in prompts:
        for expectation in prompt.expectations:
            check = CHECKS.get(expectation.kind)
            where = f"prompt {prompt.id}: expectation {expectation.kind!r}"
            if check is None:
                near = nearest(expectation.kind, CHECKS)
                raise DataError(
                    f"{where} is unknown",
                    f"Did you mean {near!r}?" if near else f"Known kinds: {', '.join(CHECKS)}.",
                )
            if not _has_type(expectation.value, check.value_type):
                raise DataError(
                    f"{where} has the value {expectation.value!r}",
                    f"This kind takes: {check.value_type}.",
                )
            if expectation.kind == "language" and expectation.value not in STOP_WORDS:
                raise DataError(
                    f"{where} names the language {expectation.value!r}",
                    f"Known languages: {', '.join(STOP_WORDS)}.",
                )


def degree_met(expectation: Expectation, prompt: Prompt, text: str) -> float:
    """How far `text` meets one expectation, from 0 (not at all) to 1."""
    return CHECKS[expectation.kind].degree(text, expectation.value, prompt)
