"""What the page shows, in the page's own terms, and how numbers are written.

Plain text throughout; the template escapes it. Only figures are markup.
"""

import math
from dataclasses import dataclass

from markupsafe import Markup

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_NARROW = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text.

    Attributes:
        numeric: Columns after the first `num_words` are numbers and stand at the right.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numeric: bool = True
    num_words: int = 1
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """A figure, its caption, and the same numbers as a table."""

    key: str
    title: str
    caption: str
    svg: Markup
    table: Table
    simulated: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a text; what is marked stands out."""

    text: str
    marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """One model's completion of a prompt, or one of two texts that are compared.

    Attributes:
        notes: Such as its score, length and verdict.
        pieces: The text again, where parts of it are marked.
    """

    label: str
    series: str
    text: str
    notes: tuple[str, ...]
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptView:
    """A prompt in its parts, (name, text) each, with every model's answer."""

    title: str
    kind: str
    parts: tuple[tuple[str, str], ...]
    answers: tuple[AnswerView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """The card of a run: tables of what it is, what it read, how it was set."""

    title: str
    status: str
    facts: Table
    inputs: Table | None
    settings: Table
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page.

    Attributes:
        collapsed: All prompts are folded; otherwise the first is open.
        missing: What a reader may look for in vain.
    """

    key: str
    title: str
    lead: tuple[str, ...] = ()
    figures: tuple[FigureView, ...] = ()
    tables: tuple[Table, ...] = ()
    prompts: tuple[PromptView, ...] = ()
    runs: tuple[RunView, ...] = ()
    collapsed: bool = False
    missing: tuple[str, ...] = ()


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits, with a real minus sign; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    rounded = float(f"{value:.{digits - 1}e}")  # 0.0999… is 0.100, not 0.1000
    decimals = 0 if rounded == 0 else max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value + 0.0:.{decimals}f}".replace("-", MINUS)  # -0.0 is 0


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.1f}{_NARROW}%"


def with_interval(
    value: float, low: float | None, high: float | None, *, share: bool = False
) -> str:
    """`61.0 % (54.2 to 67.9)` or `4.52 (4.31 to 4.70)`; the value alone without bounds."""
    text = percent(value) if share else number(value)
    if low is None or high is None:
        return text
    if share:
        return f"{text} ({100 * low:.1f} to {100 * high:.1f})"
    return f"{text} ({number(low)} to {number(high)})"


def count(value: float) -> str:
    """`8310`, `12.4 k`, `3.1 M`: a count that a person compares, not copies."""
    if value < 10_000:
        return f"{value:.0f}"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value / 1e3:.1f} k"


def duration(seconds: float) -> str:
    """`8.3 s`, `2 min 05 s`, `1 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def flops(value: float) -> str:
    """Floating-point operations with the unit that fits, `2.31 PFLOP`."""
    for unit, size in (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9)):
        if value >= size:
            return f"{number(value / size)} {unit}"
    return NOTHING if value == 0 else f"{number(value)} FLOP"


def memory(size: int) -> str:
    """Bytes as GiB, or MiB below one GiB."""
    if size == 0:
        return NOTHING
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
