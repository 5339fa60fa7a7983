"""`heedful label team`: the simulated team works in a project that there is."""

import math
from typing import Annotated, Literal

import typer

from heedful.cli.label_batches import batch_named
from heedful.cli.label_options import DEFAULT_DATABASE, DatabaseName, opened, project_named
from heedful.core.errors import ConfigError

Project = Annotated[
    str | None, typer.Argument(help="Name or id; may be left out where there is only one.")
]
Size = Annotated[
    int, typer.Option(min=3, max=99, help="Labellers; every third is held out for evaluations.")
]
Seed = Annotated[int, typer.Option(help="Of their judgement.")]
Stage = Annotated[
    Literal["screening", "practice", "working"],
    typer.Option(help="Where they stand in the project, which decides what they get."),
]
Speed = Annotated[
    str, typer.Option(help="1 is a person's pace, 20 is twenty times that; `max` or 0 never waits.")
]
Batch = Annotated[str | None, typer.Option(help="Name or id; every open one if left out.")]
Labels = Annotated[
    int | None, typer.Option(min=1, help="Stop after so many; when nothing is left if left out.")
]


def team(
    project: Project = None,
    size: Size = 12,
    seed: Seed = 0,
    stage: Stage = "working",
    speed: Speed = "1",
    batch: Batch = None,
    labels: Labels = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Let simulated labellers work in a project; Ctrl-C stops them and keeps what they handed in.

    They take tasks like anybody else, beside people. Each of their labels is marked as
    simulated, and nobody can sign in to their accounts, simulated-01, simulated-02, ...
    """
    from heedful.annotators.team_work import Tally
    from heedful.pipeline.label_team import TeamPlan, muster, put_to_work, summary
    from heedful.training.display import Display

    pace = _speed(speed)
    with opened(database) as found:
        with found.read() as session:
            where = project_named(session, project)
            wanted = None if batch is None else batch_named(session, where.id, batch).id
        plan = TeamPlan(
            project_id=where.id,
            size=size,
            seed=seed,
            stage=stage,
            speed=pace,
            batch_id=wanted,
            most=labels,
        )
        ready = muster(found, plan)
        with Display().bar(where.name, ready.num_labels, unit="labels") as bar:

            def show(tally: Tally) -> None:
                bar.move_to(tally.handed_in, skipped=tally.skipped)

            tally = put_to_work(found, ready, plan, on_step=show)
    typer.echo(f"{where.name}: {summary(tally)}")


def _speed(typed: str) -> float:
    """Infinity for as fast as possible.

    Raises:
        ConfigError: What was typed is no speed.
    """
    try:
        speed = math.inf if typed == "max" else float(typed)
    except ValueError:
        speed = math.nan
    if not speed >= 0:
        raise ConfigError(f"--speed: “{typed}” is no speed", "Use a number, or `max`.")
    return speed or math.inf
