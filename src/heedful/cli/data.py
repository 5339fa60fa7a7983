"""`heedful data ...`: from raw prompts to training sets one can defend."""

from pathlib import Path
from typing import Annotated

import typer

from heedful.cli.label_options import opened
from heedful.cli.train import as_toml
from heedful.core.config import load_config
from heedful.core.data_settings import DataRoom
from heedful.core.errors import ConfigError

app = typer.Typer(help="Prepare, explain, release and withdraw data.", no_args_is_help=True)

Files = Annotated[
    list[Path], typer.Argument(help="TOML files; a later one wins over an earlier one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, as section.key=value; wins over the files."),
]
RunDir = Annotated[Path, typer.Option("--run", help="The run.dir of `heedful data prepare`.")]
RegisterFile = Annotated[
    Path, typer.Option("--withdrawals", help="The register, as run.withdrawals names it.")
]
DEFAULT_RUN, DEFAULT_REGISTER = Path("runs/data"), Path("withdrawals.jsonl")


@app.command()
def prepare(
    files: Files,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved settings and the files; stop.")
    ] = False,
    max_rejects: Annotated[
        int | None,
        typer.Option(min=0, help="Unreadable rows that are set aside in each source."),
    ] = None,
) -> None:
    """Read, mask, deduplicate, cap, split and describe data; stages up to date are skipped."""
    config = load_config(DataRoom, files, overrides or [])
    if max_rejects is not None:
        config = config.with_max_rejects(max_rejects)
    if dry_run:
        from heedful.pipeline.data_reading import files_of

        typer.echo(as_toml(config))
        for file in files_of(source.path for source in config.sources):
            typer.echo(f"# {file}: {file.stat().st_size:,} bytes")
        return
    from heedful.pipeline.data_room import prepare as run
    from heedful.training.display import Display

    result = run(config, Display())
    typer.echo(f"For the trainers: {result.resolve()}")
    typer.echo(f"Report: {(config.run.dir / 'report.html').resolve()}")


@app.command()
def why(
    record_id: Annotated[str, typer.Argument(metavar="ID", help="A record's id, or FILE:LINE.")],
    run: RunDir = DEFAULT_RUN,
) -> None:
    """Say in which stage a record was dropped and because of what, or where it is."""
    from heedful.data.lineage import why as explain

    for step in explain(run, record_id):
        typer.echo(f"{step.stage}: {step.id} {step.what}.")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The run.dir of `heedful data prepare`.")],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; report.html in the folder if left out.")
    ] = None,
) -> None:
    """Write the page about a run again."""
    from heedful.reports.data_page import build_data_report

    typer.echo(f"Report: {build_data_report(run, out or run / 'report.html').resolve()}")


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="A run.dir, a folder of records, or a data file.")],
    other: Annotated[Path, typer.Argument(help="Another one.")],
    out: Annotated[Path, typer.Option(help="Folder of the tables and the page.")] = Path(
        "runs/comparison"
    ),
    tokenizer: Annotated[
        Path | None, typer.Option(help="Folder of a tokenizer; words are counted if left out.")
    ] = None,
    languages: Annotated[
        bool, typer.Option("--languages", help="Tell the languages of the prompts.")
    ] = False,
) -> None:
    """Describe two data sets side by side, with how far they lie apart."""
    from heedful.core.data_settings import DistributionSettings, LanguageSettings
    from heedful.pipeline.data_outputs import compare as run

    page = run(
        one,
        other,
        out,
        settings=DistributionSettings(tokenizer=tokenizer),
        languages=LanguageSettings() if languages else None,
    )
    typer.echo(f"Report: {page.resolve()}")


@app.command()
def release(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    run: RunDir = DEFAULT_RUN,
    title: Annotated[str, typer.Option(help="Heads the data card.")] = "A Heedful data release",
    register: RegisterFile = DEFAULT_REGISTER,
) -> None:
    """Write what others may have: consented, masked, pseudonymous, with a data card.

    The ids are keyed by the secret in HEEDFUL_SALT, or in the file that HEEDFUL_SALT_FILE
    names; a later withdrawal needs it too.
    """
    from heedful.pipeline.data_outputs import release as write

    facts = write(run, out, title=title, register=register)
    for kind, sizes in facts.num_rows.items():
        rows = ", ".join(f"{split} {count:,}" for split, count in sizes.items())
        typer.echo(f"{kind}: {rows}")
    for reason, count in facts.left_out.items():
        typer.echo(f"left out: {count:,} {reason}")
    typer.echo(f"Release: {out.resolve()}")


@app.command()
def withdraw(
    user: Annotated[str, typer.Argument(help="As the source names them, or their pseudonym.")],
    folders: Annotated[
        list[Path] | None,
        typer.Option("--in", help="Folder of runs and releases; may be repeated."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            envvar="HEEDFUL_DATABASE",
            help="A labelling database, too: a SQLite file, or postgresql://user@host/name.",
        ),
    ] = None,
    register: RegisterFile = DEFAULT_REGISTER,
) -> None:
    """Remove a user from every derived set and release, and name the checkpoints trained on them.

    With --database also from a labelling database: their prompts, and what was written for
    them. What was read with a key needs it again: HEEDFUL_KEY or HEEDFUL_KEY_FILE; a release
    needs its HEEDFUL_SALT.
    """
    from heedful.data.pseudonyms import KEY_VARIABLE, NO_KEY, SALT_VARIABLE, read_key
    from heedful.data.withdraw import withdraw as remove

    if not folders and database is None:
        raise ConfigError(
            "there is nothing to look through",
            "Name folders with --in, a labelling database with --database, or both.",
        )
    key, salt = read_key(KEY_VARIABLE) or NO_KEY, read_key(SALT_VARIABLE)
    salts = [salt] if salt else []
    if database is None:
        lines = remove(user, folders or [], register=register, key=key, salts=salts).lines()
    else:
        from heedful.pipeline.label_withdrawal import withdraw_everywhere

        with opened(database) as found:
            lines = withdraw_everywhere(
                user, folders or [], found, register=register, key=key, salts=salts
            )
    for line in lines:
        typer.echo(line)
