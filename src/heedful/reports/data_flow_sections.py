"""Sections about what the data room did: what came out, what was dropped, how it was set."""

from collections.abc import Mapping

from heedful.core.records import Split
from heedful.data.lineage import Manifest
from heedful.reports.bars import flow_chart
from heedful.reports.charts import Caption
from heedful.reports.data_run import DataRun
from heedful.reports.palette import DROPPED, KEPT
from heedful.reports.provenance_sections import relative_name, settings_table
from heedful.reports.view import MINUS, NOTHING, RunView, Section, Table, percent

STAGE_TITLES = {
    "read": "Reading",
    "dedup": "Deduplication",
    "cap": "Caps",
    "split": "Split",
    "result": "Result",
    "contamination": "Contamination",
    "distribution": "Distribution",
}


def headline(run: DataRun) -> tuple[str, str]:
    """How much is left, and whether it can be trusted."""
    shaping = run.shaping
    if shaping:
        came, left = shaping[0].counts.num_in, shaping[-1].counts.num_out
        title = f"{left:,} of {came:,} prompts are left"
        if run.proof is not None:
            title += f", in {_number_of_splits(run.proof.num_prompts)}"
    else:
        title = "A report of the data room"
    said = []
    if run.proof is not None:
        said.append(
            "No user, organisation, exact or near duplicate is in two splits."
            if run.proof.holds
            else "The split leaks: see below what is in two splits."
        )
    if run.contamination is not None:
        dirty = sum(found.num_dirty for found in run.contamination.sets)
        items = sum(found.num_items for found in run.contamination.sets)
        if items:
            said.append(
                f"{dirty:,} of {items:,} evaluation items ({_rounded(dirty / items)}) overlap with "
                "training data."
            )
    return title, " ".join(said) or "What was done here follows."


def hero(run: DataRun) -> Section:
    """The flow of prompts through the stages, beside the headline."""
    steps = [
        (_title(stage.stage), stage.counts.num_in, stage.counts.num_out) for stage in run.shaping
    ]
    if not any(came for _, came, _ in steps):
        return Section(key="flow-figure", title="Flow")
    caption = Caption(
        key="flow-of-prompts",
        title="Prompts through the stages",
        text="The number at each bar is what the stage let out.",
        simulated=False,
    )
    return Section(
        key="flow-figure", title="Flow", figures=(flow_chart(caption, steps, KEPT, DROPPED),)
    )


def dropped(run: DataRun) -> Section | None:
    """Every stage's counts, and its drops by reason."""
    rows = []
    for stage in run.shaping:
        counts = stage.counts
        rows.append((_title(stage.stage), "", f"{counts.num_in:,}", f"{counts.num_out:,}", ""))
        rows += [
            ("", reason.replace("_", " "), "", f"{MINUS}{number:,}", _share(number, counts.num_in))
            for reason, number in sorted(counts.dropped.items(), key=lambda item: -item[1])
        ]
    if not rows:
        return None
    columns = ("Stage", "dropped because", "in", "out", "of those in")
    lead = (
        "Any record that was dropped can be asked about: “heedful data why ID” names the stage, "
        "the reason, and the record that it was dropped for.",
    )
    return Section(
        key="dropped",
        title="What was dropped, and why",
        lead=lead,
        tables=(Table(columns=columns, rows=tuple(rows), num_words=2),),
    )


def personal_data(run: DataRun) -> Section | None:
    """What was masked, by kind."""
    report = run.personal_data
    if report is None:
        return None
    share = _share(report.num_with, report.num_records)
    lead = (
        f"{report.num_with:,} of {report.num_records:,} records ({share}) held personal data. It "
        "was replaced by typed placeholders before anything was written.",
        "How much a search like this misses is measured on labelled snippets, not on these "
        "records.",
    )
    ordered = sorted(report.counts.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple(
        (kind.replace("_", " ").lower(), f"<{kind}_1>", f"{number:,}") for kind, number in ordered
    )
    columns = ("Kind", "placeholder", "passages masked")
    tables = (Table(columns=columns, rows=rows, num_words=2),) if rows else ()
    return Section(key="personal-data", title="Personal data", lead=lead, tables=tables)


def caps(run: DataRun) -> Section | None:
    """Users and organisations that wrote more than they may."""
    stage = run.manifests.get("cap")
    if stage is None:
        return None
    limits = {name.removeprefix("per_"): value for name, value in stage.settings.items()}
    rows = tuple(
        (
            name,
            f"{limits[name]:,}",
            f"{stage.counts.dropped.get(name, 0):,}",
            _share(stage.counts.dropped.get(name, 0), stage.counts.num_in),
        )
        for name in ("user", "organisation")
        if name in limits
    )
    lead = (
        "Which of a user's prompts stay is drawn by a hash of the seed and the prompt's id; an "
        "organisation's prompts are counted after its users were capped.",
    )
    columns = ("One", "most prompts", "dropped", "of those in")
    tables = (Table(columns=columns, rows=rows),) if rows else ()
    return Section(key="caps", title="Caps", lead=lead, tables=tables)


def lineage(run: DataRun) -> Section:
    """The manifest of every stage."""
    return Section(
        key="lineage",
        title="Lineage and settings",
        lead=("A stage is not run again while its inputs and settings stay as they are.",),
        runs=tuple(_stage_view(run, stage) for stage in run.manifests.values()),
    )


def _stage_view(run: DataRun, stage: Manifest) -> RunView:
    facts = [("In", f"{stage.counts.num_in:,}"), ("Out", f"{stage.counts.num_out:,}")]
    facts += [
        (name.replace("_", " ").capitalize(), f"{number:,}")
        for name, number in stage.numbers.items()
    ]
    inputs = None
    if stage.inputs:
        rows = tuple((relative_name(path, run.path), sha) for path, sha in stage.inputs.items())
        inputs = Table(columns=("Read", "SHA-256"), rows=rows, numeric=False)
    return RunView(
        title=_title(stage.stage),
        status="finished",
        facts=Table(columns=("", ""), rows=tuple(facts), numeric=False),
        inputs=inputs,
        settings=settings_table(stage.settings, "Settings", ("Setting", "value")),
        notes=(),
    )


def _title(stage: str) -> str:
    return STAGE_TITLES.get(stage, stage.replace("_", " ").capitalize())


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else NOTHING


def _rounded(share: float) -> str:
    """A share that is not 0 never reads 0.0 %."""
    return f"under {percent(0.001)}" if 0 < share < 0.0005 else percent(share)


def _number_of_splits(sizes: Mapping[Split, int]) -> str:
    filled = sum(size > 0 for size in sizes.values())
    return {1: "one split", 2: "two splits", 3: "three splits"}.get(filled, f"{filled} splits")
