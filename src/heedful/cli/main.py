"""The command line: parse, call one function, print. Everything else lives in the rooms.

Rooms that need torch are imported inside the commands, so that `--help`, `--dry-run` and
mistakes in a configuration answer at once.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from heedful import __version__
from heedful.cli import data as data_room
from heedful.cli import label, models, train
from heedful.core.errors import HeedfulError, Interrupted

app = typer.Typer(
    name="heedful",
    help="Train language models to follow instructions with human feedback.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(train.app, name="train")
app.add_typer(models.app, name="model")
app.add_typer(data_room.app, name="data")
app.add_typer(label.app, name="label")

ConfigFiles = Annotated[
    list[Path] | None, typer.Argument(help="TOML files; a later one wins over an earlier one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, as section.key=value; wins over the files."),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"heedful {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train language models to follow instructions with human feedback."""


@app.command()
def quickstart(
    files: ConfigFiles = None,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved settings and stop.")
    ] = False,
) -> None:
    """Run the whole method in miniature on the embedded data, with simulated labellers."""
    from heedful.pipeline.quickstart_settings import load_quickstart

    config = load_quickstart(files or [], overrides or [])
    if dry_run:
        typer.echo(train.as_toml(config))
        return
    from heedful.pipeline.quickstart import run
    from heedful.training.display import Display

    report = run(config, Display())
    typer.echo(f"Report: {report.resolve()}")
    typer.echo(f"Talk to the result: heedful chat {config.run.dir / 'ppo_ptx'}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run directory, or a folder of them.")],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; report.html in the folder if left out.")
    ] = None,
) -> None:
    """Write one self-contained HTML page about everything that was run in a folder."""
    from heedful.reports.page import build_report

    typer.echo(f"Report: {build_report(folder, out or folder / 'report.html').resolve()}")


@app.command()
def chat(
    model: Annotated[str, typer.Argument(help="A run directory, model folder or model name.")],
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest token.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 128,
    seed: Annotated[int, typer.Option(help="Noise of the answers.")] = 0,
) -> None:
    """Talk to a model in the terminal; /new starts over, Ctrl-D ends."""
    from heedful.cli.chat import talk

    talk(model, temperature=temperature, max_tokens=max_tokens, seed=seed)


@app.command("config")
def show_config(
    data: Annotated[
        bool, typer.Option("--data", help="The settings of `heedful data prepare`.")
    ] = False,
) -> None:
    """List every setting of a project file with its default and meaning."""
    from heedful.core.config import walk_settings
    from heedful.core.data_settings import DataRoom
    from heedful.core.settings import Project

    for name, field in walk_settings(DataRoom if data else Project):
        default = field.get_default()
        if field.is_required():
            value = "(needed)"
        elif default is None:
            value = "(none)"
        else:
            value = f"= {json.dumps(default, default=str)}"
        typer.echo(f"{name} {value}\n    {field.description or ''}")


def main() -> None:
    """Entry point: known errors become one clear paragraph and exit status 2."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app()
    except Interrupted as error:
        console.print(str(error), markup=False)
        sys.exit(130)
    except HeedfulError as error:
        console.print("Error:", style="bold red", end=" ")
        console.print(error.what, markup=False)
        if error.hint:
            console.print(error.hint, markup=False, style="dim")
        sys.exit(2)
