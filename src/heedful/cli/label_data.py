"""`heedful label import` and `agreement`: what comes in, and how far labellers agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heedful.cli.label_batches import Purpose
from heedful.cli.label_export import MadeBy
from heedful.cli.label_options import (
    DEFAULT_DATABASE,
    DatabaseName,
    ProjectName,
    opened,
    project_named,
)
from heedful.core.errors import DataError

if TYPE_CHECKING:
    from heedful.core.records import Ranking
    from heedful.core.statistics import Interval
    from heedful.labelling.agreement import Agreement, AgreementReport

Ties = Literal["exact", "strict", "half"]


def import_file(
    path: Annotated[Path, typer.Argument(help="A data file, a folder of records, or a stream.")],
    format_name: Annotated[
        str | None, typer.Option("--format", help="Of the file; told by its columns if left out.")
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels", help="Take its demonstrations, rankings and ratings too, as closed batches."
        ),
    ] = False,
    purpose: Annotated[Purpose, typer.Option(help="Of those batches.")] = "training",
    made_by: Annotated[
        MadeBy, typer.Option(help="Who labelled, where the file does not say.")
    ] = "person",
    licence: Annotated[str | None, typer.Option(help="Kept with each prompt.")] = None,
    max_rejects: Annotated[
        int, typer.Option(min=0, help="Unreadable rows to set aside before the file is refused.")
    ] = 0,
    rejects: Annotated[
        Path | None, typer.Option(help="New file for where and why rows were left out.")
    ] = None,
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Add prompts and completions to a project, and on wish labels: all of a file or nothing."""
    from heedful.data.sources import write_rejects
    from heedful.labelling.exports import refuse_existing
    from heedful.labelling.imports import ImportOptions, read_import, store_import

    if rejects is not None:
        refuse_existing(rejects)
    with opened(database) as found:
        with found.read() as session:
            where = project_named(session, project).id
        read = read_import(
            path,
            ImportOptions(
                format=format_name,
                labels=labels,
                purpose=purpose,
                made_by=made_by,
                licence=licence,
                max_rejects=max_rejects,
            ),
        )
        with found.write() as session:
            imported = store_import(session, where, read, by=None)
    for line in imported.lines():
        typer.echo(line)
    if rejects is not None:
        write_rejects(rejects, imported.rejects)


def agreement(
    path: Annotated[
        Path | None,
        typer.Argument(help="Rankings: our records, any format of `heedful data`, or WMT's CSV."),
    ] = None,
    ties: Annotated[
        Ties, typer.Option(help="How ties count; see the page on agreement.")
    ] = "exact",
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Print how far labellers agree, with 95 % intervals: of a file, or of a project."""
    from heedful.labelling.agreement import agreement_report
    from heedful.labelling.team_agreement import team_report
    from heedful.store.quality_queries import judgements, members

    if path is not None:
        report = agreement_report(_rankings(path), ties=ties)
    else:
        with opened(database) as found, found.read() as session:
            where = project_named(session, project).id
            report = team_report(judgements(session, where), members(session, where), ties=ties)
    for line in _lines(report, ties):
        typer.echo(line)


def _lines(report: "AgreementReport", ties: Ties) -> list[str]:
    parts = {
        "different labellers": report.overall[ties],
        "the same labeller again": report.within,
        "with researchers": report.researchers,
        "training labellers": report.training,
        "held-out labellers": report.held_out,
        "training with held-out": report.between,
    }
    compared = {name: found for name, found in parts.items() if found.num_ranking_pairs}
    lines = [f"{name}: {_told(found)}" for name, found in compared.items()]
    first = f"{report.num_rankings:,} rankings; ties: {ties}"
    return [first, *(lines or ["Nothing was ranked twice, so nothing can be compared."])]


def _told(found: "Agreement") -> str:
    def number(name: str, value: "Interval | None") -> str:
        if value is None:
            return f"{name} not defined"
        if value.low is None or value.high is None:
            return f"{name} {value.value:.3f} (no interval)"
        return f"{name} {value.value:.3f} ({value.low:.3f} to {value.high:.3f})"

    counts = f"{found.agreed:,.10g} of {found.compared:,} pairs"
    parts = (
        number("agreement", found.pairwise),
        number("tau-b", found.tau),
        number("alpha", found.alpha),
    )
    return "; ".join((counts, *parts))


def _rankings(path: Path) -> "list[Ranking]":
    from heedful.data.sources import load_everything
    from heedful.labelling.wmt import read_wmt_rankings

    found = read_wmt_rankings(path) if path.suffix == ".csv" else load_everything(path).rankings
    if not found:
        raise DataError(f"{path}: holds no rankings", "Check that this is the file you meant.")
    return found
