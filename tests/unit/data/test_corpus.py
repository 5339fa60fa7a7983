"""Canonical order, normal form and words of the texts that are compared."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from heedful.core.records import Example, Prompt, Turn
from heedful.data.corpus import Corpus, normalised, prompt_text, words


def prompt(name: str, text: str, day: int | None = None, **fields: object) -> Prompt:
    return Prompt(
        id=name,
        text_hash="-",
        instruction=text,
        source="test",
        user_id="u",
        consent=True,
        created_at=None if day is None else datetime(2026, 1, day, tzinfo=UTC),
        **fields,  # type: ignore[arg-type]
    )


def test_the_text_has_every_part_in_reading_order() -> None:
    asked = prompt(
        "p",
        "now",
        context="beside",
        turns=(Turn(role="user", text="before"),),
        examples=(Example(prompt="one", completion="two"),),
    )
    assert prompt_text(asked) == "before\none\ntwo\nbeside\nnow"


def test_normal_form() -> None:
    assert normalised("  \uff37hat\tis\nthe STRASSE \ufb01ne? ") == "what is the strasse fine?"


def test_words_leave_punctuation_out_and_cut_what_has_no_spaces() -> None:
    assert words("don't stop, snake_case: 3.5!") == ["don't", "stop", "snake", "case", "3", "5"]
    assert words("日本語 text") == ["日", "本", "語", "text"]


@given(st.permutations(range(5)))
def test_the_order_is_canonical(order: list[int]) -> None:
    rows = [
        prompt("e", "late", 9),
        prompt("d", "early", 1),
        prompt("b", "same"),
        prompt("a", "same"),
        prompt("c", "other"),
    ]
    corpus = Corpus.of([rows[place] for place in order])
    assert list(corpus.ids) == ["d", "e", "c", "a", "b"]
    assert len(corpus) == 5
    assert list(corpus.select([3, 0]).ids) == ["d", "a"]
    assert corpus.words[0] == ["early"]
