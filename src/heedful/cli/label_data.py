"""`heedful label import`, `export`, `sample` and `agreement`: data in, data out, and what it says.

`add_to` puts them beside the other commands, since they have no name of their own between
`label` and themselves.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from heedful.cli.label_batches import Purpose, batch_named
from heedful.cli.label_options import (
    DEFAULT_DATABASE,
    DatabaseName,
    ProjectName,
    opened,
    project_named,
)
from heedful.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from heedful.core.records import Prompt, Ranking
    from heedful.core.statistics import Interval
    from heedful.labelling.agreement import Agreement
    from heedful.store.database import Database

MadeBy = Literal["person", "simulated", "model"]
Form = Literal["stream", "folder", "parquet", "preference", "preference-text"]
Adjudicated = Literal["replace", "keep", "leave-out"]
Ties = Literal["exact", "strict", "half"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("import")(import_file)
    app.command()(export)
    app.command()(sample)
    app.command()(agreement)


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


def export(
    out: Annotated[
        Path | None, typer.Option(help="A new file or folder; standard output if left out.")
    ] = None,
    form: Annotated[
        Form,
        typer.Option(
            "--as",
            help="`stream` is what `heedful train` reads from a pipe; `folder` and `parquet` are "
            "folders of records; `preference` is TRL's, in messages or in text.",
        ),
    ] = "stream",
    batches: Annotated[
        list[str] | None, typer.Option("--batch", help="Only of this batch; may be repeated.")
    ] = None,
    purposes: Annotated[
        list[str] | None,
        typer.Option("--purpose", help="training if left out; may be repeated; `all` for all."),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="demonstrations, rankings, ratings, or prompts (every prompt of the project); "
            "may be repeated; all labels if left out.",
        ),
    ] = None,
    made_by: Annotated[
        list[str] | None,
        typer.Option("--made-by", help="person, simulated or model; may be repeated."),
    ] = None,
    surplus: Annotated[
        bool, typer.Option("--surplus", help="Also labels that came when enough were there.")
    ] = False,
    excluded: Annotated[bool, typer.Option("--excluded", help="Also excluded labels.")] = False,
    adjudicated: Annotated[
        Adjudicated,
        typer.Option(
            help="An adjudication goes out in place of the labels that disagreed, beside them, "
            "or not at all."
        ),
    ] = "replace",
    pseudonyms: Annotated[
        bool,
        typer.Option(
            "--pseudonyms", help="Hide who labelled; keyed by HEEDFUL_SALT or HEEDFUL_SALT_FILE."
        ),
    ] = False,
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Write labels where programs read them; nothing is written over.

    To train on them at once: heedful label export | heedful train reward FILE.toml
    --set data.rankings=-
    """
    from heedful.data.pseudonyms import SALT_VARIABLE, read_key, require_key
    from heedful.labelling import exports
    from heedful.store.exports import LabelFilter, count_left_out

    if form in ("folder", "parquet"):
        _named(out)
    key = None
    if pseudonyms:
        key = require_key(read_key(SALT_VARIABLE), "--pseudonyms", SALT_VARIABLE)
    with opened(database) as found, found.read() as session:
        where = project_named(session, project)
        names = None if batches is None else [batch_named(session, where.id, b).id for b in batches]
        wanted = LabelFilter(
            batches=None if names is None else tuple(names),
            purposes=_purposes(purposes),
            made_by=_known(made_by, MadeBy, "--made-by"),
            surplus=surplus,
            excluded=excluded,
            adjudicated="leave_out" if adjudicated == "leave-out" else adjudicated,
        )
        options = exports.ExportOptions(
            wanted=wanted,
            kinds=_known(kinds, exports.Kind, "--kind") or exports.LABEL_KINDS,
            key=key,
        )
        if form == "folder" or form == "parquet":
            kind: exports.FileFormat = "parquet" if form == "parquet" else "jsonl"
            done = exports.write_folder(session, where.id, _named(out), options, file_format=kind)
        else:
            counts: Counter[str] = Counter()
            _write(out, exports.export_lines(session, where.id, options, form, counts))
            done = exports.Exported(counts, count_left_out(session, where.id, wanted))
        typer.echo(f"{out or where.name}: {done.summary()}", err=True)


def sample(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Run directory, folder or name; may be repeated."),
    ] = None,
    num_completions: Annotated[
        int, typer.Option("--completions", "-k", min=1, help="Of each model for each prompt.")
    ] = 1,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Completions made elsewhere, as JSONL: prompt_id or prompt, completion, model."
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token.")] = 1.0,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="1 keeps all tokens.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest completion, in tokens.")] = 256,
    seed: Annotated[int, typer.Option(help="Noise of the completions.")] = 0,
    template: Annotated[
        Literal["plain", "chat"] | None,
        typer.Option(help="Prompt format; a checkpoint's own if left out, else `chat`."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0.")] = "auto",
    tag: Annotated[str | None, typer.Option(help="Only prompts with this tag.")] = None,
    source: Annotated[str | None, typer.Option(help="Only prompts of this source.")] = None,
    split: Annotated[str | None, typer.Option(help="Only prompts of this split.")] = None,
    most: Annotated[int | None, typer.Option("--prompts", min=1, help="Prompts at most.")] = None,
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Give the prompts of a project completions to rank, from models or from a file.

    What is there already is not sampled again; Ctrl-C keeps what is done.
    """
    if (models is None) == (file is None):
        raise ConfigError("nothing to sample from", "Name --model, or a --file of completions.")
    from heedful.store.prompt_search import PromptFilter, find_prompts

    with opened(database) as found:
        with found.read() as session:
            where = project_named(session, project).id
            wanted = PromptFilter(tag=tag, source=source, split=split)
            rows = find_prompts(session, where, wanted, limit=most or sys.maxsize, order="oldest")
            prompts = _prompts(row.row.record for row in rows)
        if not prompts:
            raise DataError("the project has no such prompts", "`heedful label import` adds some.")
        if file is not None:
            typer.echo(_add_file(found, where, file, prompts))
            return
        from heedful.core.records import SamplingParameters
        from heedful.core.settings import FormatSettings
        from heedful.pipeline.label_sampling import SamplingPlan
        from heedful.pipeline.label_sampling import sample as run
        from heedful.training.display import Display

        plan = SamplingPlan(
            models=tuple(models or ()),
            num_completions=num_completions,
            sampling=SamplingParameters(
                temperature=temperature, top_p=top_p, max_tokens=max_tokens
            ),
            seed=seed,
            format=None if template is None else FormatSettings(template=template),
            device=device,
        )
        typer.echo(run(found, where, prompts, plan, Display()).summary())


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
    typer.echo(f"{report.num_rankings:,} rankings; ties: {ties}")
    parts = {
        "different labellers": report.overall[ties],
        "the same labeller again": report.within,
        "with researchers": report.researchers,
        "training labellers": report.training,
        "held-out labellers": report.held_out,
        "training with held-out": report.between,
    }
    for name, found_agreement in parts.items():
        if found_agreement.num_ranking_pairs:
            typer.echo(f"{name}: {_told(found_agreement)}")


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


def _prompts(records: Iterable[dict[str, Any]]) -> "list[Prompt]":
    from heedful.core.records import Prompt

    return [Prompt.model_validate(record) for record in records]


def _add_file(database: "Database", project_id: str, file: Path, prompts: "list[Prompt]") -> str:
    from heedful.labelling.item_files import read_completions
    from heedful.store.contents import add_completions

    completions = read_completions(file, prompts)
    with database.write() as session:
        added = add_completions(session, project_id, completions)
    return f"{added.new:,} completions added, {added.known:,} were there."


def _purposes(names: list[str] | None) -> tuple[Purpose, ...] | None:
    """The purposes asked for; training alone where none are, None for `all`."""
    if names == ["all"]:
        return None
    return _known(names, Purpose, "--purpose") or ("training",)


def _known(values: list[str] | None, choices: Any, option: str) -> Any:
    """`values` as a tuple, each one of the choices of a `Literal`; None stays None."""
    for value in values or ():
        if value not in get_args(choices):
            known = ", ".join(get_args(choices))
            raise ConfigError(f"{option} {value}: there is no such", f"Use one of {known}.")
    return None if values is None else tuple(dict.fromkeys(values))


def _named(out: Path | None) -> Path:
    if out is None:
        raise ConfigError("--as folder and --as parquet write a folder", "Name it with --out.")
    return out


def _write(out: Path | None, lines: Iterable[bytes]) -> None:
    """To a new file, or to standard output; a reader that has had enough ends it quietly."""
    from heedful.labelling.exports import write_lines

    if out is not None:
        write_lines(out, lines)
        return
    try:
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
