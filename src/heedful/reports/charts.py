"""The four kinds of figure of the report, each with its numbers as a table.

A chart takes plain numbers and knows nothing of runs or models; what a figure is about
stands in the sections that call it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from heedful.core.statistics import CalibrationBin, wilson_interval
from heedful.reports.palette import Series
from heedful.reports.svg import INK, MUTED, RULE, SURFACE, new_figure, to_svg
from heedful.reports.view import FigureView, Table, number, percent, with_interval

# CSS pixels; drawn for a phone's width, so that text stays readable there.
WIDTH = 350
_PERCENT = FuncFormatter(lambda value, _: f"{round(100 * value, 3):g} %")
_STEPS = [1, 2, 5, 10]
_MAX_TABLE_ROWS = 40
_DASHES = (0, (4, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What every figure has: its key on the page and its words."""

    key: str
    title: str
    text: str
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One row of an interval chart; without bounds only the point is drawn."""

    series: Series
    value: float
    low: float | None = None
    high: float | None = None
    label: str | None = None

    @property
    def name(self) -> str:
        """What stands beside the row."""
        return self.label or self.series.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve; None is a gap. Held-out data is dashed."""

    series: Series
    steps: Sequence[float]
    values: Sequence[float | None]
    held_out: bool = False

    @property
    def name(self) -> str:
        """What the table and the description call it."""
        return f"{self.series.label}, held out" if self.held_out else self.series.label


def interval_chart(
    caption: Caption,
    estimates: Sequence[Estimate],
    *,
    axis: str,
    reference: float | None = None,
    share: bool = False,
) -> FigureView:
    """Points with their intervals, one row each, and a line at `reference`."""
    height = 62 + 34 * len(estimates)
    with new_figure(caption.key, WIDTH, height) as figure:
        axes = figure.subplots()
        if reference is not None:
            axes.axvline(reference, color=MUTED, linewidth=1, dashes=(4, 3), zorder=1)
        for row, estimate in enumerate(estimates):
            colour = estimate.series.colour.light
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=3)
            axes.plot(
                [estimate.value],
                [row],
                color=colour,
                marker=estimate.series.marker,
                markersize=9,
                markeredgecolor=SURFACE,
                zorder=3,
            )
            text = percent(estimate.value) if share else number(estimate.value)
            axes.annotate(
                text,
                (1, row),
                xycoords=("axes fraction", "data"),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                color=INK,
            )
        axes.set_yticks(range(len(estimates)), [estimate.name for estimate in estimates])
        axes.set_ylim(len(estimates) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=13)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        axes.margins(x=0.06)
        if share:
            axes.xaxis.set_major_formatter(_PERCENT)
        rows = tuple(
            (e.name, with_interval(e.value, e.low, e.high, share=share)) for e in estimates
        )
        told = "; ".join(f"{name} {value}" for name, value in rows)
        svg = to_svg(figure, caption.key, caption.title, f"{axis}: {told}.")
    table = Table(columns=("", f"{axis} (95 % interval)"), rows=rows)
    return as_view(caption, svg, table)


def curve_chart(
    caption: Caption, lines: Sequence[Line], *, axis: str, share: bool = False
) -> FigureView:
    """Curves over steps in one pair of axes."""
    with new_figure(caption.key, WIDTH, 270) as figure:
        axes = figure.subplots()
        for line in lines:
            values = [math.nan if value is None else value for value in line.values]
            axes.plot(
                line.steps,
                values,
                color=line.series.colour.light,
                linestyle=_DASHES if line.held_out else "-",
                marker=line.series.marker,
                markersize=5,
                markevery=max(1, len(values) // 8),
            )
        axes.grid(axis="y")
        axes.set_xlabel(axis)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=_STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        if share:
            axes.yaxis.set_major_formatter(_PERCENT)
        looks = list({line.series.key: line.series for line in lines}.values())
        legend(axes, looks, markers=True, held_out=any(line.held_out for line in lines))
        ends = [(line.name, _ends(line.values)) for line in lines]
        told = "; ".join(
            f"{label} from {number(first)} to {number(last)}" for label, (first, last) in ends
        )
        svg = to_svg(figure, caption.key, caption.title, f"{caption.title}: {told}.")
    return as_view(caption, svg, _curve_table(lines, axis, share=share))


def distribution_chart(
    caption: Caption, groups: Sequence[tuple[Series, Sequence[float]]], *, axis: str
) -> FigureView:
    """One histogram a row over a shared axis, heights as shares, a tick at each mean."""
    everything = [value for _, values in groups for value in values]
    low, high = min(everything), max(everything)
    width = (high - low or 1.0) / 24
    edges = [low + width * n for n in range(25)]
    with new_figure(caption.key, WIDTH, 62 + 46 * len(groups)) as figure:
        axes = figure.subplots()
        tallest = 0.0
        shares: list[list[float]] = []
        for _, values in groups:
            counts = [0] * 24
            for value in values:
                counts[min(int((value - low) / width), 23)] += 1
            shares.append([n / len(values) for n in counts])
            tallest = max(tallest, *shares[-1])
        for row, ((series, values), heights) in enumerate(zip(groups, shares, strict=True)):
            colour, base = series.colour.light, len(groups) - 1 - row
            tops = [base + 0.82 * height / tallest for height in heights]
            axes.stairs(tops, edges, baseline=base, fill=True, color=colour, alpha=0.35)
            axes.stairs(tops, edges, baseline=base, color=colour, linewidth=1.4)
            mean = math.fsum(values) / len(values)
            axes.plot([mean, mean], [base, base + 0.86], color=INK, linewidth=2)
        names = [series.label for series, _ in groups]
        axes.set_yticks([len(groups) - 1 - row + 0.3 for row in range(len(groups))], names)
        axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=13)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-0.06, len(groups) - 0.05)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        rows = tuple((series.label, *_five_numbers(values)) for series, values in groups)
        told = "; ".join(f"{name}, mean {mean}" for name, _, mean, *_ in rows)
        svg = to_svg(figure, caption.key, caption.title, f"Distributions of {axis}: {told}.")
    columns = ("", "n", "mean", "lowest", "quartile", "median", "quartile", "highest")
    return as_view(caption, svg, Table(columns=columns, rows=rows))


def reliability_chart(
    caption: Caption, bins: Sequence[CalibrationBin], series: Series
) -> FigureView:
    """Predicted against observed shares with Wilson intervals; calibrated is the diagonal."""
    with new_figure(caption.key, WIDTH, 340) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, dashes=(4, 3))
        colour = series.colour.light
        rows = []
        for inside in bins:
            interval = wilson_interval(round(inside.accuracy * inside.count), inside.count)
            at = inside.mean_probability
            if interval.low is not None and interval.high is not None:
                axes.plot([at, at], [interval.low, interval.high], color=colour, linewidth=2)
            axes.plot([at], [inside.accuracy], color=colour, marker="o", markersize=7)
            rows.append(
                (
                    f"{100 * inside.low:.0f} to {100 * inside.high:.0f} %",
                    f"{inside.count}",
                    percent(at),
                    with_interval(inside.accuracy, interval.low, interval.high, share=True),
                )
            )
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.grid(color=RULE)
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.yaxis.set_major_formatter(_PERCENT)
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("observed share")
        told = "; ".join(f"predicted {row[2]}, observed {row[3]}" for row in rows)
        svg = to_svg(figure, caption.key, caption.title, f"Calibration: {told}.")
    columns = ("Bin", "pairs", "predicted", "observed (95 % interval)")
    return as_view(caption, svg, Table(columns=columns, rows=tuple(rows)))


def as_view(caption: Caption, svg: Markup, table: Table) -> FigureView:
    """What a chart gives back."""
    return FigureView(
        key=caption.key,
        title=caption.title,
        caption=caption.text,
        svg=svg,
        table=table,
        simulated=caption.simulated,
    )


def legend(axes: Axes, looks: Sequence[Series], *, markers: bool, held_out: bool = False) -> None:
    """Above the axes, where it hides no data: each series, then what dashes mean.

    Args:
        axes: To write above.
        looks: Those drawn, each once.
        markers: They are lines with markers; otherwise areas.
        held_out: Dashed lines are drawn too.
    """
    handles: list[Artist] = [
        Line2D([], [], color=look.colour.light, marker=look.marker, markersize=5)
        if markers
        else Patch(color=look.colour.light)
        for look in looks
    ]
    names = [look.label for look in looks]
    if held_out:
        handles.append(Line2D([], [], color=MUTED, linestyle=_DASHES))
        names.append("held out")
    pixels = sum(44 + 7 * len(name) for name in names)
    axes.legend(
        handles=handles,
        labels=names,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        borderpad=0.2,
        ncols=len(names) if pixels < WIDTH - 40 else 1,
        handlelength=1.8 if markers else 1.0,
        columnspacing=1.2,
    )


def _ends(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    present = [value for value in values if value is not None]
    return (present[0], present[-1]) if present else (None, None)


def _curve_table(lines: Sequence[Line], axis: str, *, share: bool) -> Table:
    """Every line's values by step; of many steps, evenly spaced ones with both ends."""
    steps = sorted({step for line in lines for step in line.steps})
    caption = ""
    if len(steps) > _MAX_TABLE_ROWS:
        caption = f"{_MAX_TABLE_ROWS} of {len(steps)} steps"
        last = len(steps) - 1
        picked = {round(n * last / (_MAX_TABLE_ROWS - 1)) for n in range(_MAX_TABLE_ROWS)}
        steps = [steps[n] for n in sorted(picked)]
    lookups = [dict(zip(line.steps, line.values, strict=True)) for line in lines]
    write = percent if share else number
    rows = tuple((f"{step:g}", *(write(lookup.get(step)) for lookup in lookups)) for step in steps)
    return Table(columns=(axis, *(line.name for line in lines)), rows=rows, caption=caption)


def _five_numbers(values: Sequence[float]) -> tuple[str, ...]:
    ordered = sorted(values)
    quantiles = [ordered[round(q * (len(ordered) - 1))] for q in (0, 0.25, 0.5, 0.75, 1)]
    mean = math.fsum(values) / len(values)
    return (f"{len(values)}", number(mean), *(number(value) for value in quantiles))
