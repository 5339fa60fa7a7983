"""`heedful train ...`: one command per trainer, all taking TOML files and --set."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from heedful.core.config import load_config
from heedful.core.settings import Project

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
    """Train a reward model on rankings (sections run, model, format, data, reward)."""
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
        from heedful.cli.plan import plan

        typer.echo(as_toml(config))
        typer.echo(plan(stage, config))
        return
    from heedful.training import ppo as ppo_trainer
    from heedful.training import reward as reward_trainer
    from heedful.training import sft as sft_trainer
    from heedful.training.display import Display

    trainers: dict[str, Callable[..., Any]] = {
        "sft": sft_trainer.train,
        "reward": reward_trainer.train,
        "ppo": ppo_trainer.train,
    }
    card = trainers[stage](config, Display())
    typer.echo(f"{card.kind} checkpoint {card.id}: {config.run.dir / 'checkpoint'}")


def as_toml(config: Any) -> str:
    """The resolved settings as TOML; settings without a value are left out."""
    lines: list[str] = []
    for section, values in config.model_dump(mode="json").items():
        if values is None:
            continue
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
