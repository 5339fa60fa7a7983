"""Figures of counts: bars side by side, kept against dropped, and histograms of sizes.

Like `heedful.reports.charts`, each carries its numbers as a table and knows nothing of
what it shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from heedful.reports.charts import WIDTH, Caption, as_view, legend
from heedful.reports.palette import Series
from heedful.reports.svg import INK, MUTED, new_figure, to_svg
from heedful.reports.view import FigureView, Table, count, percent

_MOST_TICKS = 8
_LONGEST_LABEL = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """One row of a histogram chart.

    Attributes:
        counts: How many numbers have 0, 1, 2, ... bits: 0, then 1, then 2 to 3, 4 to 7, ...
        median: Of the numbers.
        cells: Of the row in the table, as the caller wrote them.
    """

    series: Series
    counts: Sequence[int]
    median: float
    cells: tuple[str, ...]


def bar_chart(
    caption: Caption, names: Sequence[str], groups: Sequence[tuple[Series, Sequence[float]]]
) -> FigureView:
    """Shares as bars, a row for each name, the groups beneath each other in it."""
    thick = 0.7 / len(groups)
    with new_figure(caption.key, WIDTH, 40 + (14 + 18 * len(groups)) * len(names)) as figure:
        axes = figure.subplots()
        for turn, (series, shares) in enumerate(groups):
            for row, share in enumerate(shares):
                at = row + (turn - (len(groups) - 1) / 2) * thick
                axes.barh(at, share, height=0.86 * thick, color=series.colour.light)
                _beside(axes, share, at, percent(share), size=12 if len(groups) > 1 else 13)
        _rows(axes, names)
        if len(groups) > 1:
            legend(axes, [series for series, _ in groups], markers=False)
        columns = ("", *(series.label for series, _ in groups))
        rows = tuple(
            (name, *(percent(shares[row]) for _, shares in groups))
            for row, name in enumerate(names)
        )
        told = "; ".join(f"{row[0]} {', '.join(row[1:])}" for row in rows)
        svg = to_svg(figure, caption.key, caption.title, f"{caption.title}: {told}.")
    return as_view(caption, svg, Table(columns=columns, rows=rows))


def flow_chart(
    caption: Caption,
    steps: Sequence[tuple[str, int, int]],
    kept: Series,
    dropped: Series,
) -> FigureView:
    """What was kept and dropped, (name, in, out) a step, drawn to one scale."""
    with new_figure(caption.key, WIDTH, 44 + 34 * len(steps)) as figure:
        axes = figure.subplots()
        for row, (_, came, went) in enumerate(steps):
            axes.barh(row, went, height=0.55, color=kept.colour.light)
            if came > went:
                axes.barh(row, came - went, left=went, height=0.55, color=dropped.colour.light)
            _beside(axes, came, row, count(went))
        _rows(axes, [name for name, _, _ in steps])
        legend(axes, [kept, dropped], markers=False)
        rows = tuple(
            (name, f"{came:,}", f"{went:,}", f"{came - went:,}") for name, came, went in steps
        )
        told = "; ".join(f"{name}: {went} of {came}" for name, came, went, _ in rows)
        svg = to_svg(figure, caption.key, caption.title, f"{caption.title}: {told}.")
    return as_view(caption, svg, Table(columns=("Stage", "in", "out", "dropped"), rows=rows))


def histogram_chart(
    caption: Caption, rows: Sequence[Histogram], *, axis: str, columns: tuple[str, ...]
) -> FigureView:
    """One histogram a row over a shared axis that doubles, a tick at each median."""
    low = min(next(n for n, c in enumerate(row.counts) if c) for row in rows)
    high = max(len(row.counts) for row in rows)
    with new_figure(caption.key, WIDTH, 62 + 46 * len(rows)) as figure:
        axes = figure.subplots()
        tallest = max(max(row.counts) / sum(row.counts) for row in rows)
        for place, row in enumerate(rows):
            base, total = len(rows) - 1 - place, sum(row.counts)
            heights = [0.82 * n / total / tallest for n in row.counts]
            tops = [base + height for height in heights]
            edges = list(range(len(tops) + 1))
            colour = row.series.colour.light
            axes.stairs(tops, edges, baseline=base, fill=True, color=colour, alpha=0.35)
            axes.stairs(tops, edges, baseline=base, color=colour, linewidth=1.4)
            at = _bits(row.median)
            axes.plot([at, at], [base, base + 0.86], color=INK, linewidth=2)
        middles = [len(rows) - 1 - place + 0.3 for place in range(len(rows))]
        axes.set_yticks(middles, [_shortened(row.series.label) for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=13)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-0.06, len(rows) - 0.05)
        axes.set_xlim(low - 0.1, high + 0.1)
        step = -(-(high - low) // _MOST_TICKS)
        ticks = range(low, high + 1, step)
        axes.set_xticks(list(ticks), [count(1 << (n - 1)) if n else "0" for n in ticks])
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        told = "; ".join(f"{row.series.label}, median {row.median:g}" for row in rows)
        svg = to_svg(figure, caption.key, caption.title, f"Distributions of {axis}: {told}.")
    table = Table(columns=columns, rows=tuple((row.series.label, *row.cells) for row in rows))
    return as_view(caption, svg, table)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Named rows from the top, without a scale: every bar has its number."""
    axes.set_yticks(range(len(names)), [_shortened(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=13)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_color(MUTED)
    axes.margins(x=0.22)
    axes.set_xlim(left=0)


def _shortened(name: str) -> str:
    """A long name without its middle; the table beside the figure has it whole."""
    if len(name) <= _LONGEST_LABEL:
        return name
    half = _LONGEST_LABEL // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def _beside(axes: Axes, value: float, row: float, text: str, *, size: int = 13) -> None:
    axes.annotate(
        text,
        (value, row),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        fontsize=size,
    )


def _bits(value: float) -> float:
    """Where a number lies on the axis: straight between the powers of two."""
    if value < 1:
        return value
    bits = int(value).bit_length()
    floor = 1 << (bits - 1)
    return bits + (value - floor) / floor
