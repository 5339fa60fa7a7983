"""Two texts side by side, with the words that they share marked.

The texts are strangers' prompts; nothing here makes markup, the template does.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from heedful.data.corpus import normalised
from heedful.reports.view import AnswerView, Piece, PromptView

MOST_CHARACTERS = 3000
_FEWEST_WORDS = 3
_TITLE_LENGTH = 90
_TOKEN = re.compile(r"\w+|[^\w\s]")


Side = tuple[str, str, str | None, tuple[str, ...]]
"""Label, series key, text (None where it is not quoted), notes."""


def pair_view(*, kind: str, title: str, sides: tuple[Side, Side]) -> PromptView:
    """Two sides; `kind` stands before the title of one line."""
    (_, _, one, _), (_, _, other, _) = sides
    pieces: tuple[tuple[Piece, ...], ...] = ((), ())
    if one is not None and other is not None:
        pieces = shared_words(_cut(one), _cut(other))
    answers = tuple(
        AnswerView(
            label=label,
            series=series,
            text="(not quoted here)" if text is None else _cut(text),
            notes=notes,
            pieces=marked,
        )
        for (label, series, text, notes), marked in zip(sides, pieces, strict=True)
    )
    return PromptView(kind=kind, title=title, parts=(), answers=answers)


def shared_words(one: str, other: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces, runs of three words and more that stand in both marked."""
    places_one, places_other = (list(_TOKEN.finditer(text)) for text in (one, other))
    matcher = SequenceMatcher(
        None,
        [normalised(match[0]) for match in places_one],
        [normalised(match[0]) for match in places_other],
        autojunk=False,
    )
    spans_one, spans_other = [], []
    for at_one, at_other, size in matcher.get_matching_blocks():
        if size >= _FEWEST_WORDS:
            last = size - 1
            spans_one.append((places_one[at_one].start(), places_one[at_one + last].end()))
            spans_other.append(
                (places_other[at_other].start(), places_other[at_other + last].end())
            )
    return _pieces(one, spans_one), _pieces(other, spans_other)


def one_line(text: str) -> str:
    """The beginning of a text as a title."""
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1].rstrip() + "…"


def _pieces(text: str, spans: Sequence[tuple[int, int]]) -> tuple[Piece, ...]:
    pieces, place = [], 0
    for start, end in spans:
        pieces += [Piece(text[place:start], marked=False), Piece(text[start:end], marked=True)]
        place = end
    pieces.append(Piece(text[place:], marked=False))
    return tuple(piece for piece in pieces if piece.text)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1].rstrip() + "…"
