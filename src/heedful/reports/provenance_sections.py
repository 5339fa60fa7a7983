"""Sections about where the numbers come from: stages, cost, runs, who made the labels."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from heedful.core.run import Cost, RunCard
from heedful.reports.palette import SERIES, assign_series
from heedful.reports.project import Project, Run
from heedful.reports.view import NOTHING, RunView, Section, Table, count, duration, flops, memory


def stages(project: Project) -> Section:
    """What the quickstart did, in order, and on how much data."""
    if project.quickstart is None:
        return Section(
            key="stages",
            title="How it was made",
            missing=("No list of stages: the folder was not made by the quickstart.",),
        )
    rows = tuple(
        (
            SERIES[stage.name].label if stage.name in SERIES else stage.name.replace("_", " "),
            stage.why,
            stage.status,
            NOTHING if stage.seconds is None else duration(stage.seconds),
        )
        for stage in project.quickstart.stages
    )
    tables = [Table(columns=("Stage", "why", "status", "time"), rows=rows, numeric=False)]
    for caption, values in (("Sizes", project.quickstart.sizes), ("Split", project.split)):
        if values:
            tables.append(settings_table(values, caption, ("What", "value")))
    return Section(key="stages", title="How it was made", tables=tuple(tables))


def cost(project: Project) -> Section:
    """Time, tokens, floating-point operations and memory, stage by stage."""
    if not project.runs:
        return Section(key="cost", title="Cost", missing=("No cost: there are no runs.",))
    rows = [(_label(run), *_cost_cells(run.card.cost)) for run in project.runs]
    total = Cost()
    for run in project.runs:
        part = run.card.cost
        total.seconds += part.seconds
        total.generated_tokens += part.generated_tokens
        total.scored_tokens += part.scored_tokens
        total.trained_tokens += part.trained_tokens
        total.flops += part.flops
        total.peak_memory_bytes = max(total.peak_memory_bytes, part.peak_memory_bytes)
    if len(rows) > 1:
        rows.append(("All runs", *_cost_cells(total)))
    columns = ("Run", "time", "tokens generated", "scored", "trained", "operations", "peak memory")
    lead = (
        "Operations are estimated: 2 N for a token passed forward, 6 N for a token trained, N the "
        "parameters in matrix products. Peak memory is the largest resident size of the process; "
        "for all runs, the largest of them.",
    )
    table = Table(columns=columns, rows=tuple(rows))
    return Section(key="cost", title="Cost", lead=lead, tables=(table,))


def _cost_cells(part: Cost) -> tuple[str, ...]:
    return (
        duration(part.seconds),
        count(part.generated_tokens),
        count(part.scored_tokens),
        count(part.trained_tokens),
        flops(part.flops),
        memory(part.peak_memory_bytes),
    )


def lineage(project: Project) -> Section:
    """The card of every run: identity, inputs, parents, versions, all settings."""
    if not project.runs:
        return Section(
            key="lineage",
            title="Configuration and lineage",
            missing=("No run cards: no folder here has a run.json.",),
        )
    unfinished = [
        f"{_label(run)} has not finished (status: {run.card.status}); its numbers are partial."
        for run in project.runs
        if run.card.status != "finished"
    ]
    return Section(
        key="lineage",
        title="Configuration and lineage",
        runs=tuple(_run_view(run, project.path) for run in project.runs),
        missing=tuple(unfinished),
    )


def _run_view(run: Run, root: Path) -> RunView:
    card = run.card
    facts = [("Folder", run.name), ("Kind", card.kind), ("Status", card.status)]
    facts += [("Seed", f"{card.seed}"), ("Settings hash", card.config_hash)]
    facts.append(("Started", f"{card.started_at:%Y-%m-%d %H:%M %Z}"))
    if card.finished_at is not None:
        facts.append(("Finished", f"{card.finished_at:%Y-%m-%d %H:%M %Z}"))
    facts.append(("Source revision", card.git_revision or "unknown"))
    facts += [(f"Parent: {role}", identity) for role, identity in card.parents.items()]
    facts.append(("Labels", "some simulated" if card.simulated else "none simulated"))
    facts += [("Versions", _joined(card.versions)), ("Hardware", _joined(card.hardware))]
    inputs = None
    if card.inputs:
        rows = tuple(
            (name, relative_name(read.path, root), read.sha256)
            for name, read in card.inputs.items()
        )
        columns = ("Input", "file", "SHA-256")
        inputs = Table(columns=columns, rows=rows, numeric=False, caption="Read")
    return RunView(
        title=_label(run),
        status=card.status,
        facts=Table(columns=("", ""), rows=tuple(facts), numeric=False),
        inputs=inputs,
        settings=settings_table(run.config, "Settings", ("Setting", "value")),
        notes=tuple(card.notes),
    )


def labels(project: Project) -> Section:
    """Who made the labels, and what is simulated."""
    groups: tuple[tuple[str, Sequence[Any]], ...] = (
        ("Demonstrations", project.demonstrations),
        ("Rankings", project.rankings),
        ("Ratings", project.ratings),
        ("Verdicts", project.verdicts),
    )
    rows = []
    for name, records in groups:
        makers = Counter(record.made_by for record in records)
        if records:
            cells = (f"{makers[kind]}" for kind in ("person", "simulated", "model"))
            rows.append((name, *cells))
    simulated_runs = [_label(run) for run in project.runs if run.card.simulated]
    lead = []
    if project.simulated:
        lead.append(
            "Simulated labels come from programs with a rubric, weights and noise, not from "
            "people. They show that the method works; they say nothing about what people prefer."
        )
    if simulated_runs:
        lead.append("Runs made from simulated labels: " + ", ".join(simulated_runs) + ".")
    if not project.simulated:
        lead.append("Nothing here says that it was made from simulated labels.")
    table = Table(columns=("Labels", "by people", "simulated", "by a model"), rows=tuple(rows))
    missing = () if rows else ("No label files lie in this folder, so they are not counted.",)
    return Section(
        key="labels",
        title="Who made the labels",
        lead=tuple(lead),
        tables=(table,) if rows else (),
        missing=missing,
    )


def when_and_where(cards: Sequence[RunCard]) -> str:
    """`22 November 2026, seed 0, revision 7e77cb7`: from the cards, never from a clock."""
    if not cards:
        return ""
    ended = max(card.finished_at or card.started_at for card in cards)
    seeds = sorted({card.seed for card in cards})
    revisions = sorted({card.git_revision for card in cards if card.git_revision})
    parts = [f"{ended.day} {ended:%B %Y}"]
    parts.append(("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds)))
    if revisions:
        parts.append("revision " + ", ".join(revisions))
    return " · ".join(parts)


def _label(run: Run) -> str:
    return assign_series([run.name])[run.name].label


def relative_name(path: str, root: Path) -> str:
    """Inside the project the path from its folder, elsewhere the file's name alone."""
    candidate = Path(path)
    for base in (root, root.resolve()):
        if candidate.is_relative_to(base):
            return str(candidate.relative_to(base))
    return candidate.name


def _joined(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "unknown"


def settings_table(values: dict[str, Any], caption: str, columns: tuple[str, str]) -> Table:
    """Nested settings with a row for each leaf, named by its path."""
    rows = tuple((name, _plain(value)) for name, value in _leaves(values))
    return Table(columns=columns, rows=rows, caption=caption, numeric=False)


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return NOTHING if value is None else json.dumps(value, ensure_ascii=False)
