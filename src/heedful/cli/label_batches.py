"""`heedful label batch ...`: making, opening, pausing and closing batches."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from heedful.cli.label_options import (
    DEFAULT_DATABASE,
    DatabaseName,
    OfSource,
    OfSplit,
    ProjectName,
    Tagged,
    opened,
    project_named,
)
from heedful.core.errors import DataError, nearest

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from heedful.labelling.batch_selection import Chosen, Selection
    from heedful.store.tables import BatchRow

app = typer.Typer(help="Make, open, pause and close batches.", no_args_is_help=True)

Kind = Literal["ranking", "demonstration", "prompt"]
Purpose = Literal["training", "evaluation", "screening", "practice"]
Order = Literal["random", "oldest", "newest"]
BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="Name or id of the batch.")]
Reason = Annotated[str, typer.Option(help="Kept in the audit log.")]


Kinds = Annotated[Kind, typer.Option(help="What labellers do.")]
Purposes = Annotated[Purpose, typer.Option(help="What the labels are for.")]
Items = Annotated[int, typer.Option("--items", min=1, help="Items at most.")]
Number = Annotated[int, typer.Option("--completions", "-k", min=2, max=9, help="K of a ranking.")]
Checkpoints = Annotated[
    list[str] | None,
    typer.Option("--checkpoint", help="Only its completions are ranked; may be repeated."),
]
Baseline = Annotated[str | None, typer.Option(help="Checkpoint whose completion is in every item.")]
Overlap = Annotated[int, typer.Option(min=1, help="Labels of each item.")]
Priority = Annotated[int, typer.Option(help="Higher goes first.")]
Lease = Annotated[
    int, typer.Option(min=1, help="A labeller keeps a task that long without a sign of life.")
]
Again = Annotated[
    bool,
    typer.Option("--again", help="Also prompts that are in a batch for this purpose already."),
]
Gold = Annotated[
    bool, typer.Option("--gold", help="Researchers' own rankings become gold answers.")
]
Orders = Annotated[Order, typer.Option(help="Which prompts are taken first.")]
ItemFile = Annotated[
    Path | None,
    typer.Option(
        help="Items as JSONL instead of all these filters: prompt_id, completion_ids, and brief, "
        "gold or adjudicates where wanted."
    ),
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    kind: Kinds = "ranking",
    purpose: Purposes = "training",
    most: Items = 100,
    num_completions: Number = 4,
    checkpoints: Checkpoints = None,
    baseline: Baseline = None,
    overlap: Overlap = 1,
    priority: Priority = 0,
    lease_minutes: Lease = 30,
    tag: Tagged = None,
    source: OfSource = None,
    split: OfSplit = None,
    again: Again = False,
    gold: Gold = False,
    order: Orders = "random",
    file: ItemFile = None,
    start: Annotated[bool, typer.Option("--open", help="Open it at once.")] = False,
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Make a batch of the project's prompts, as a draft unless --open is given.

    With the kind `prompt`, labellers write plain prompts, as many as --items says.
    """
    from heedful.labelling.batch_selection import Selection
    from heedful.store.prompt_search import PromptFilter

    wanted = PromptFilter(
        tag=tag, source=source, split=split, unused_for=None if again else purpose
    )
    selection = Selection(
        kind=kind,
        wanted=wanted,
        order=order,
        most=most,
        num_completions=num_completions,
        checkpoints=tuple(checkpoints or ()),
        baseline=baseline,
        gold=gold,
        briefs=(("plain", most),) if kind == "prompt" else (),
    )
    settings = {
        "name": name,
        "kind": kind,
        "purpose": purpose,
        "overlap": overlap,
        "priority": priority,
        "lease_seconds": 60 * lease_minutes,
        "baseline": baseline,
        "state": "open" if start else "draft",
    }
    _make(database, project, file, selection, settings)


@app.command("list")
def show(project: ProjectName = None, database: DatabaseName = DEFAULT_DATABASE) -> None:
    """List the batches of a project with their progress."""
    from sqlalchemy import select

    from heedful.store.batches import progress
    from heedful.store.tables import BatchRow

    with opened(database) as found, found.read() as session:
        where = project_named(session, project)
        query = select(BatchRow).where(BatchRow.project_id == where.id)
        for batch in session.scalars(query.order_by(BatchRow.created_at, BatchRow.id)):
            work = progress(session, batch.id)
            typer.echo(
                f"{batch.name}: {batch.kind} for {batch.purpose}, {batch.state}; "
                f"{work.done:,} of {work.slots:,} done, {work.leased:,} in hand, "
                f"{work.skips:,} skips; {batch.id}"
            )


@app.command("open")
def start(
    batch: BatchName, project: ProjectName = None, database: DatabaseName = DEFAULT_DATABASE
) -> None:
    """Give out the work of a batch."""
    _set_state(batch, "open", "", project, database)


@app.command()
def pause(
    batch: BatchName,
    reason: Reason = "",
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Give out no more work of a batch; what is in hand may still be sent."""
    _set_state(batch, "paused", reason, project, database)


@app.command()
def close(
    batch: BatchName,
    reason: Reason = "",
    project: ProjectName = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """End a batch; with labels missing, a reason is needed."""
    _set_state(batch, "closed", reason, project, database)


def batch_named(session: "Session", project_id: str, name: str) -> "BatchRow":
    """The batch of a project with that name or id.

    Raises:
        DataError: There is none; names the nearest.
    """
    from sqlalchemy import or_, select

    from heedful.store.tables import BatchRow

    in_project = BatchRow.project_id == project_id
    found = session.scalar(
        select(BatchRow).where(in_project, or_(BatchRow.name == name, BatchRow.id == name))
    )
    if found is None:
        names = list(session.scalars(select(BatchRow.name).where(in_project)))
        likely = nearest(name, names)
        hint = f"Did you mean “{likely}”?" if likely else "See `heedful label batch list`."
        raise DataError(f"there is no batch “{name}”", hint)
    return found


def _set_state(
    name: str,
    state: Literal["open", "paused", "closed"],
    reason: str,
    project: str | None,
    database: str,
) -> None:
    from heedful.store.batches import set_state

    with opened(database) as found, found.write() as session:
        batch = batch_named(session, project_named(session, project).id, name)
        set_state(session, batch.id, state, by=None, reason=reason)
        typer.echo(f"{batch.name}: {state}")


def _make(
    database: str,
    project: str | None,
    file: Path | None,
    selection: "Selection",
    settings: dict[str, Any],
) -> None:
    from heedful.labelling.batch_selection import Chosen, choose_items
    from heedful.labelling.item_files import read_items
    from heedful.store.batches import create_batch

    chosen = None if file is None else Chosen(items=read_items(file))
    with opened(database) as found, found.write() as session:
        where = project_named(session, project).id
        chosen = chosen or choose_items(session, where, selection)
        batch = create_batch(session, project_id=where, items=chosen.items, **settings)
        typer.echo(f"{batch.name}: {_told(chosen)}; {batch.state}; {batch.id}")


def _told(chosen: "Chosen") -> str:
    parts = [f"{len(chosen.items):,} items"]
    if chosen.num_gold:
        parts.append(f"{chosen.num_gold:,} of them gold")
    if chosen.passed_over:
        parts.append(f"{chosen.passed_over:,} prompts passed over for want of completions")
    return ", ".join(parts)
