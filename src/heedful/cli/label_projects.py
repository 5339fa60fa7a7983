"""`heedful label project ...`: making and listing projects."""

from typing import Annotated

import typer

from heedful.cli.label_options import DEFAULT_DATABASE, DatabaseName, opened

app = typer.Typer(help="Make and list projects.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    pay_rate: Annotated[
        float | None, typer.Option(min=0, help="Per hour, for the cost of a label.")
    ] = None,
    currency: Annotated[str, typer.Option(help="Of the pay rate.")] = "EUR",
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Make a project with the default instructions; its pages change the rest."""
    from heedful.labelling.default_instructions import DEFAULT_INSTRUCTIONS
    from heedful.store.projects import create_project

    with opened(database) as found, found.write() as session:
        project = create_project(
            session,
            name=name,
            instructions=DEFAULT_INSTRUCTIONS,
            created_by=None,
            pay_rate=pay_rate,
            currency=currency,
        )
    typer.echo(f"{project.name}: {project.id}")


@app.command("list")
def show(database: DatabaseName = DEFAULT_DATABASE) -> None:
    """List the projects with their prompts, batches and labels."""
    from sqlalchemy import func, select

    from heedful.store.tables import BatchRow, ProjectRow, PromptRow, SubmissionRow

    with opened(database) as found, found.read() as session:
        for project in session.scalars(select(ProjectRow).order_by(ProjectRow.name)):
            counts = [
                session.scalar(select(func.count(table.id)).where(table.project_id == project.id))
                for table in (PromptRow, BatchRow, SubmissionRow)
            ]
            note = " (simulated)" if project.simulated else ""
            typer.echo(
                f"{project.name}{note}: {counts[0]:,} prompts, {counts[1]:,} batches, "
                f"{counts[2]:,} submissions; {project.id}"
            )
