"""Texts side by side: what both share is marked, nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from heedful.reports.pairs import MOST_CHARACTERS, one_line, pair_view, shared_words
from heedful.reports.view import Piece


def test_runs_of_three_words_are_marked_whatever_case_and_space() -> None:
    one, other = shared_words("So: write a short STORY now", "please write a  short story. Thanks")
    assert one == (
        Piece("So: ", marked=False),
        Piece("write a short STORY", marked=True),
        Piece(" now", marked=False),
    )
    assert [piece.text for piece in other if piece.marked] == ["write a  short story"]


def test_two_words_in_common_are_chance() -> None:
    assert shared_words("in the end", "in the beginning")[0] == (Piece("in the end", marked=False),)


@given(st.text("ab .\n", max_size=60), st.text("ab .\n", max_size=60))
def test_pieces_put_together_are_the_text(one: str, other: str) -> None:
    pieces = shared_words(one, other)
    assert tuple("".join(piece.text for piece in side) for side in pieces) == (one, other)


def test_a_text_that_is_not_quoted_is_said_to_be_so_and_marks_nothing() -> None:
    view = pair_view(
        kind="set", title="t", sides=(("a", "sft", None, ()), ("b", "ppo", "one two three", ()))
    )
    assert [answer.text for answer in view.answers] == ["(not quoted here)", "one two three"]
    assert not any(answer.pieces for answer in view.answers)


def test_very_long_texts_are_cut() -> None:
    long = "word " * 5000
    view = pair_view(kind="k", title="t", sides=(("a", "sft", long, ()), ("b", "ppo", "x", ())))
    assert len(view.answers[0].text) <= MOST_CHARACTERS
    assert view.answers[0].text.endswith("…")


def test_titles_are_one_line() -> None:
    assert one_line("two\n lines") == "two lines"
    assert len(one_line("word " * 50)) <= 90
