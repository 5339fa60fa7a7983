"""The tables of a benchmark's results: on the terminal, and as Markdown in the documentation."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

GIBIBYTE = 2**30
HEADINGS = ("", "unit", "ours", "peer", "times as fast", "target", "of the peak", "GiB", "ratio")
PICTURES = {
    "sweeps": "Rates of ours and of the peer over batch, length and K",
    "phases": "Shares of an iteration of PPO: rollout, scoring, update",
}
OPERATORS = ("operator", "ms", "share", "calls")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One comparison: rates, the fraction of the measured peak, and memory."""

    title: str
    ours: str
    peer: str
    unit: str
    rates: tuple[float, float]
    fractions: tuple[float, float]
    memory: tuple[float, float]
    at_least: float | None
    aim: float | None

    @property
    def ratio(self) -> float:
        """Ours over the peer's."""
        return self.rates[0] / self.rates[1]

    @property
    def memory_ratio(self) -> float:
        """Ours over the peer's."""
        return self.memory[0] / self.memory[1]

    @property
    def name(self) -> str:
        """The work, and who is compared."""
        return f"{self.title}; {self.ours} / {self.peer}"

    def cells(self) -> list[str]:
        """As `HEADINGS`."""
        return [
            self.name,
            self.unit,
            *map(rate, self.rates),
            f"{self.ratio:.1f}",
            f"{self.at_least:g}, {self.aim:g}" if self.at_least and self.aim else "",
            " / ".join(f"{fraction:.1%}" for fraction in self.fractions),
            " / ".join(f"{value:.1f}" for value in self.memory),
            f"{self.memory_ratio:.2f}",
        ]


def rate(value: float) -> str:
    """Three figures, no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def lines(found: dict[str, Any]) -> Iterator[Line]:
    """The comparisons of the table's rows, in the order they were measured."""
    for group in found["groups"].values():
        if group["in_table"]:
            yield from group_lines(group, found["machine"]["clock"])


def group_lines(group: dict[str, Any], clock: str) -> Iterator[Line]:
    """The comparisons of one group."""
    for one in group["comparisons"]:
        sides = [group["sides"][one["ours"]], group["sides"][one["peer"]]]
        seconds = [side["median" if clock == "wall" else "cpu_median"] for side in sides]
        rates = [group["work"] / taken for taken in seconds]
        fractions = [group["flops"] / taken / group["peak_flops"] for taken in seconds]
        memory = [side["peak_bytes"] / GIBIBYTE for side in sides]
        yield Line(
            title=group["title"],
            ours=one["ours"],
            peer=one["peer"],
            unit=group["unit"],
            rates=(rates[0], rates[1]),
            fractions=(fractions[0], fractions[1]),
            memory=(memory[0], memory[1]),
            at_least=one["at_least"],
            aim=one["aim"],
        )


def comparison_table(found: dict[str, Any]) -> Table:
    """What was compared, for a terminal; a ratio below its target in red."""
    table = Table(title=f"{found['machine']['model']}, {found['machine']['clock']} time")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("", "unit") else "right")
    for line in lines(found):
        cells = line.cells()
        if line.at_least is not None:
            colour = "red" if line.ratio < line.at_least else "green"
            cells[4] = f"[{colour}]{cells[4]}[/{colour}]"
        table.add_row(*cells)
    return table


def profile_table(found: dict[str, Any]) -> Table:
    """The operators of each profiled row, for a terminal."""
    table = Table("row", *OPERATORS, title="One step of ours, operators by their own time")
    for key, rows in found.get("profiles", {}).items():
        for cells in profile_cells(rows):
            table.add_row(key, *cells)
        table.add_section()
    return table


def profile_cells(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """As `OPERATORS`."""
    whole = sum(row["ms"] for row in rows)
    for row in rows:
        share = row["ms"] / whole
        yield row["name"], f"{row['ms']:.0f}", f"{share:.1%}", f"{row['calls']:,}"


def profile_markdown(found: dict[str, Any]) -> Iterator[str]:
    """The same as Markdown, a table a row."""
    for key, rows in found.get("profiles", {}).items():
        yield f"One step of `{key}`:"
        yield ""
        yield f"| {' | '.join(OPERATORS)} |"
        yield "|---|---:|---:|---:|"
        for name, *cells in profile_cells(rows):
            yield f"| `{name}` | {' | '.join(cells)} |"
        yield ""


def step_lines(found: dict[str, Any]) -> list[str]:
    """The step over its own matrix products, a sentence a task."""
    tasks = found.get("steps", {}).get("tasks", {})
    names = {"sft": "SFT", "reward": "reward model"}
    return [
        f"A step of {names[task]} takes {numbers['ratio']:.2f} times its own matrix products "
        f"({numbers['step_ms']:.0f} over {numbers['products_ms']:.0f} ms); at most 2, aim 1.4."
        for task, numbers in tasks.items()
    ]


def markdown(found: dict[str, Any], drawn: Sequence[str] = ()) -> str:
    """The whole table, for docs/performance.md, and the figures that were `drawn`."""
    pictures = [
        f"![{text}](images/{name})\n"
        for name in drawn
        for figure, text in PICTURES.items()
        if name.endswith(f"-{figure}.svg")
    ]
    rows = [" | ".join(HEADINGS), " | ".join(["---", "---", *["---:"] * (len(HEADINGS) - 2)])]
    rows += [" | ".join(line.cells()) for line in lines(found)]
    table = [f"| {row} |" for row in rows]
    parts = [provenance(found), "", *table, "", *notes(found), *pictures]
    return "\n".join([*parts, *profile_markdown(found)])


def short_markdown(found: dict[str, Any]) -> str:
    """What the README shows."""
    rows = ["| | ours | peer | times as fast | memory |", "|---|---:|---:|---:|---:|"]
    rows += [
        f"| {line.name} | {rate(line.rates[0])} {line.unit} | {rate(line.rates[1])} | "
        f"**{line.ratio:.1f}** | {line.memory[0]:.1f} / {line.memory[1]:.1f} GiB |"
        for line in lines(found)
    ]
    return "\n".join([provenance(found), "", *rows])


def provenance(found: dict[str, Any]) -> str:
    """Machine, versions, date: the sentence above each table."""
    machine, groups = found["machine"], found["groups"]
    first = next(iter(groups.values()))
    sides = [side for group in groups.values() for side in group["sides"].values()]
    trl = sorted({side["versions"]["trl"] for side in sides if "trl" in side["versions"]})
    own = next(iter(first["sides"].values()))["versions"]
    peak = sorted(group["peak_flops"] / 1e12 for group in groups.values())[len(groups) // 2]
    return (
        f"{first['at'][:10]}, {machine['model']}, {machine.get('processor', machine['machine'])}, "
        f"{machine['threads']} threads, {machine['device']}; PyTorch {own['torch']}, transformers "
        f"{own['transformers']}, TRL {' and '.join(trl) or 'none'}; a {machine['compute_dtype']} "
        f"product of 2048^3 reaches {peak:.2f} TFLOP/s."
    )


def notes(found: dict[str, Any]) -> list[str]:
    """What stands below the table: the steps' ratios, and where PPO's time goes."""
    found_lines = [f"- {line}" for line in step_lines(found)]
    for label, shares in phases(found).items():
        parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        found_lines.append(f"- An iteration of PPO ({label}): {parts}.")
    return [*found_lines, ""]


def phases(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Shares of an iteration of each of our sides of PPO, from the run's own metrics."""
    groups = [found["groups"].get(key, {"sides": {}}) for key in ("ppo", "ppo-lora")]
    result = {}
    for label, side in [item for group in groups for item in group["sides"].items()]:
        rows = side["result"].get("metrics")
        if rows:
            names = [name for name in rows[0] if name.startswith("time/")]
            totals = {name.removeprefix("time/"): sum(row[name] for row in rows) for name in names}
            whole = sum(side["seconds"])
            rest = {"everything else": max(0.0, whole - sum(totals.values()))}
            result[label] = {name: value / whole for name, value in (totals | rest).items()}
    return result


def between(text: str, marker: str, content: str, path: Path) -> str:
    """`text` with what stands between the two comments called `marker` replaced."""
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"{path} has no lines {begin} and {end}")
    head, tail = text.partition(begin)[0], text.partition(end)[2]
    return f"{head}{begin}\n\n{content.strip()}\n\n{end}{tail}"


def marker_of(found: dict[str, Any]) -> str:
    """What the tables stand between, and figures are called: bfloat16's need no further name."""
    dtype = found["machine"]["compute_dtype"]
    return "benchmark" if dtype == "bfloat16" else f"benchmark-{dtype}"


def render(results: Path, root: Path, console: Console) -> None:
    """Write the tables between their markers, and the figures; the README has bfloat16's."""
    from figures import draw_all

    found = json.loads(results.read_text(encoding="utf-8"))
    console.print(comparison_table(found))
    marker = marker_of(found)
    drawn = draw_all(found, root / "docs" / "images", marker)
    contents = {"docs/performance.md": markdown(found, [path.name for path in drawn])}
    if marker == "benchmark":
        contents["README.md"] = short_markdown(found)
    for name, content in contents.items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        path.write_text(between(text, marker, content, path), encoding="utf-8")
        console.print(f"wrote {path}")
    for path in drawn:
        console.print(f"wrote {path}")
