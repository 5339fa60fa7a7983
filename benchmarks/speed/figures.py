"""The figures of a benchmark's results: rates over batch, length and K; the phases of PPO.

Drawn in the report's colours. Each file carries both schemes and takes the reader's, so one
picture serves a light and a dark page.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from report import phases, rate

from heedful.reports.palette import SERIES, Series, variables
from heedful.reports.svg import INK, MUTED, SURFACE, new_figure, to_svg

SWEEPS = {
    "generation": ("Generation", "batch"),
    "ppo": ("PPO", "batch"),
    "sft": ("SFT", "tokens of an example"),
    "reward": ("Reward model", "completions ranked, K"),
}
OURS, PEER = SERIES["sft"], SERIES["ppo"]
PHASES = ("sft", "ppo", "reward", "start")
FONT = "system-ui, sans-serif"
_WIDE = 8  # rates that span more than this are drawn on a logarithmic axis


def draw_all(found: dict[str, Any], folder: Path, name: str) -> list[Path]:
    """Write every figure that the results have numbers for, as `name`-FIGURE.svg."""
    clock = "median" if found["machine"]["clock"] == "wall" else "cpu_median"
    sweeps = {name: list(points(found, name, clock)) for name in SWEEPS}
    drawn = []
    if all(len(found_points) > 1 for found_points in sweeps.values()):
        drawn.append(_write(folder / f"{name}-sweeps.svg", *sweeps_figure(sweeps, found)))
    if shares := phases(found):
        drawn.append(_write(folder / f"{name}-phases.svg", *phases_figure(shares)))
    return drawn


def points(
    found: dict[str, Any], sweep: str, clock: str
) -> Iterator[tuple[float, dict[str, float]]]:
    """Of each point its place on the axis, and our rate and the peer's, in order."""
    groups = [group for group in found["groups"].values() if group["sweep"] == sweep]
    for group in sorted(groups, key=lambda group: group["point"]):
        for one in group["comparisons"][:1]:
            sides = {label: group["sides"][label] for label in (one["ours"], one["peer"])}
            yield (
                group["point"],
                {name: group["work"] / side[clock] for name, side in sides.items()},
            )


def sweeps_figure(sweeps: dict[str, list[Any]], found: dict[str, Any]) -> tuple[str, str, str]:
    """Four panels, each with our rates and the peer's, logarithmic where rates span much."""
    units = {group["sweep"]: group["unit"] for group in found["groups"].values()}
    key = "benchmark-sweeps"
    with new_figure(key, 720, 560) as figure:
        panels = figure.subplots(2, 2).flatten()
        for panel, (name, (title, axis)) in zip(panels, SWEEPS.items(), strict=True):
            _panel(panel, sweeps[name])
            panel.set_title(title, loc="left", color=INK, fontsize=13)
            panel.set(xlabel=axis, ylabel=units[name])
        title = "Rates of ours and of the peer over batch, length and K"
        text = "; ".join(
            f"{SWEEPS[name][0]}: "
            + ", ".join(
                f"{place:g}: " + " and ".join(f"{label} {rate(r)}" for label, r in rates.items())
                for place, rates in found_points
            )
            for name, found_points in sweeps.items()
        )
        return key, title, _standalone(str(to_svg(figure, key, title, text)), 720, 560)


def _panel(panel: Axes, found: list[tuple[float, dict[str, float]]]) -> None:
    places = [place for place, _ in found]
    for look, label in zip((OURS, PEER), found[0][1], strict=False):
        values = [rates[label] for _, rates in found]
        panel.semilogx(
            places,
            values,
            color=look.colour.light,
            marker=look.marker,
            markersize=7,
            markeredgecolor=SURFACE,
            label=label,
        )
    panel.set_xticks(places, [f"{place:g}" for place in places])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.margins(x=0.08, y=0.25)
    every = [value for _, rates in found for value in rates.values()]
    if max(every) > _WIDE * min(every):
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_minor_locator(NullLocator())
    else:
        panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.grid(axis="y")
    panel.legend(loc="best", labelcolor=INK, fontsize=12)


def phases_figure(shares: dict[str, dict[str, float]]) -> tuple[str, str, str]:
    """A bar for each way to run PPO, in shares of an iteration."""
    key, height = "benchmark-phases", 96 + 44 * len(shares)
    looks = [SERIES[name] for name in PHASES]
    with new_figure(key, 720, height) as figure:
        axes = figure.subplots()
        names = list(next(iter(shares.values())))
        for row, found in enumerate(shares.values()):
            _stack(axes, row, list(found.values()), looks)
        for name, look in zip(names, looks, strict=True):
            axes.plot([], [], "s", color=look.colour.light, label=name, markersize=9)
        axes.legend(ncols=len(names), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
        axes.set_yticks(range(len(shares)), list(shares))
        axes.set_ylim(len(shares) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=13)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        axes.set_xlabel("of an iteration", color=MUTED)
        axes.spines["left"].set_visible(False)
        title = "Where an iteration of PPO goes"
        text = "; ".join(
            f"{label}: " + ", ".join(f"{name} {share:.0%}" for name, share in found.items())
            for label, found in shares.items()
        )
        return key, title, _standalone(str(to_svg(figure, key, title, text)), 720, height)


def _stack(axes: Axes, row: int, values: Sequence[float], looks: Sequence[Series]) -> None:
    start = 0.0
    for value, look in zip(values, looks, strict=True):
        axes.barh(row, value, left=start, height=0.62, color=look.colour.light, edgecolor=SURFACE)
        if value > 0.05:
            axes.text(
                start + value / 2, row, f"{value:.0%}", ha="center", va="center", color=SURFACE
            )
        start += value


def _standalone(svg: str, width: int, height: int) -> str:
    """The element as a file: a background, both schemes' colours, and a font."""
    light, dark = (
        "".join(f"--{name}:{getattr(colour, scheme)};" for name, colour in variables().items())
        for scheme in ("light", "dark")
    )
    style = (
        f"<style>svg{{{light}font-family:{FONT};fill:var(--ink)}}"
        f"@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
        '<rect width="100%" height="100%" style="fill:var(--surface)"/>'
    )
    head, _, body = svg.partition(">")
    size = f' xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    return f"{head}{size}>{style}{body}\n"


def _write(path: Path, _key: str, _title: str, svg: str) -> Path:
    path.write_text(svg, encoding="utf-8")
    return path
