"""The word lists catch what they should and leave everyday text alone."""

import pytest

from heedful.annotators.wordlists import DEBRIS, MORAL, OPINION, PREAMBLE, REFUSAL, STOP_WORDS


@pytest.mark.parametrize(
    "text",
    ["### Answer", "<|im_start|>", "Instruction: write", "Dear [Your Name],", "```python"],
)
def test_debris_is_recognised(text: str) -> None:
    assert DEBRIS.search(text)


@pytest.mark.parametrize(
    "text", ["The answer is Paris.", "Meet at 10:30 at the door.", "It cost 5 euros (or 6)."]
)
def test_plain_sentences_are_no_debris(text: str) -> None:
    assert not DEBRIS.search(text)


@pytest.mark.parametrize(
    "text", ["Sure, I can do that.", "Here is a sentence:", "This sentence is about dogs."]
)
def test_preambles_are_recognised(text: str) -> None:
    assert PREAMBLE.search(text)


def test_a_text_that_merely_mentions_them_is_no_preamble() -> None:
    assert not PREAMBLE.search("The dog sat here and was sure of its dinner.")


def test_refusals_opinions_and_moral_judgements() -> None:
    assert REFUSAL.search("I can't help with that.")
    assert OPINION.search("I think dogs are kind.")
    assert MORAL.search("That would be wrong.")
    assert not OPINION.search("Dogs have four legs.")


def test_no_language_is_without_stop_words() -> None:
    assert {language: len(words) > 40 for language, words in STOP_WORDS.items()} == {
        "en": True,
        "fr": True,
        "es": True,
        "de": True,
    }
