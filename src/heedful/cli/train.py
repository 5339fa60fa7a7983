"""`heedful train ...`: one command per trainer, all taking TOML files and --set."""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from heedful.cli.plan import plan
from heedful.core.config import load_config
from heedful.core.records import Checkpoint
from heedful.core.settings import Project
from heedful.core.standard_input import take_standard_input

app = typer.Typer(help="Train one of the three steps.", no_args_is_help=True)

Files = Annotated[
    list[Path] | None, typer.Argument(help="TOML files; a later one wins over an earlier one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, as section.key=value; wins over the files."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the resolved settings and the plan, and stop.")
]


@app.command()
def sft(files: Files = None, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Fine-tune a model on demonstrations (sections run, model, format, data, sft)."""
    _train("sft", files, overrides, dry_run)


@app.command()
def reward(files: Files = None, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Train a reward model on rankings (sections run, model, format, data, reward).

    With `data.rankings` set to `-`, they are read from standard input: pipe
    `heedful label export` into the command.
    """
    _train("reward", files, overrides, dry_run)


@app.command()
def ppo(files: Files = None, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Optimise a policy with PPO or PPO-ptx (sections run, model, format, data, ppo)."""
    _train("ppo", files, overrides, dry_run)


def _train(
    stage: str, files: list[Path] | None, overrides: list[str] | None, dry_run: bool
) -> None:
    config = load_config(Project, files or [], overrides or [])
    if dry_run:
        typer.echo(as_toml(config))
        with tempfile.TemporaryDirectory() as folder:
            piped = take_standard_input(config, folder=Path(folder))
            lines = plan(stage, piped, partial(typer.echo, err=True)).splitlines()
        typer.echo("\n".join(f"# {line}" for line in lines))
        return
    config = take_standard_input(config)
    from heedful.training import ppo as ppo_trainer
    from heedful.training import reward as reward_trainer
    from heedful.training import sft as sft_trainer
    from heedful.training.display import Display

    trainers: dict[str, Callable[[Project, Display], Checkpoint]] = {
        "sft": sft_trainer.train,
        "reward": reward_trainer.train,
        "ppo": ppo_trainer.train,
    }
    card = trainers[stage](config, Display())
    typer.echo(f"{card.kind} checkpoint {card.id}: {config.run.dir / 'checkpoint'}")


def as_toml(config: BaseModel) -> str:
    """The resolved settings as a TOML file that gives them again.

    A setting without a value is left out, or `none` where leaving it out means another.
    """
    lines: list[str] = []
    for name in type(config).model_fields:
        value: BaseModel | tuple[BaseModel, ...] | None = getattr(config, name)
        if isinstance(value, tuple):
            for section in value:
                lines += [f"[[{name}]]", *_values(section), ""]
        elif value is not None:
            lines += [f"[{name}]", *_values(value), ""]
    return "\n".join(lines)


def _values(settings: BaseModel) -> list[str]:
    lines = []
    for key, value in settings.model_dump(mode="json").items():
        if value is not None:
            # JSON's strings, numbers, booleans and arrays of these are TOML's.
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        elif type(settings).model_fields[key].default is not None:
            lines.append(f'{key} = "none"')
    return lines
