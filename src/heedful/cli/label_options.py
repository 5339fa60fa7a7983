"""What the `heedful label` commands share: which database, which project."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heedful.core.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from heedful.store.database import Database
    from heedful.store.tables import ProjectRow

DEFAULT_DATABASE = "heedful.db"
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080

DatabaseName = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="HEEDFUL_DATABASE",
        help="A SQLite file, or postgresql://user@host/name.",
    ),
]
ProjectName = Annotated[
    str | None,
    typer.Option("--project", help="Name or id; may be left out where there is only one."),
]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        "--public-url",
        envvar="HEEDFUL_PUBLIC_URL",
        help="The address that people type, such as https://label.example.org.",
    ),
]

Tagged = Annotated[str | None, typer.Option("--tag", help="Only prompts with this tag.")]
OfSource = Annotated[str | None, typer.Option("--source", help="Only prompts of this source.")]
OfSplit = Annotated[str | None, typer.Option("--split", help="Only prompts of this split.")]


def url_of(database: str) -> str:
    """The URL of a database that is named by a URL or by a SQLite file."""
    return database if "://" in database else f"sqlite:///{Path(database)}"


@contextmanager
def opened(database: str, *, make: bool = False) -> Iterator["Database"]:
    """The database while the block runs; it must be of this program's version.

    Args:
        database: A URL or a SQLite file.
        make: Where there is none, or an empty one, make the tables.

    Raises:
        SchemaError: The tables are older or newer than this program, or not whole.
        StoreUnavailableError: It is away, or not there.
    """
    from heedful.store.database import Database, open_database
    from heedful.store.schema import upgrade, version_of

    if make:
        with Database(url_of(database)) as found:
            if version_of(found) is None:
                upgrade(found)
    with open_database(url_of(database)) as found:
        yield found


def project_named(session: "Session", name: str | None) -> "ProjectRow":
    """The project of that name or id, or the only one.

    Raises:
        DataError: There is none, or no name was given and there are several.
    """
    from sqlalchemy import select

    from heedful.store.tables import ProjectRow

    projects = list(session.scalars(select(ProjectRow).order_by(ProjectRow.name)))
    names = [project.name for project in projects]
    if not projects:
        raise DataError(
            "there are no projects yet", "Make one with `heedful label project create NAME`."
        )
    if name is None:
        if len(projects) > 1:
            raise ConfigError(
                "there are several projects", f"Choose with --project: {', '.join(names)}."
            )
        return projects[0]
    found = next((project for project in projects if name in (project.name, project.id)), None)
    if found is None:
        likely = nearest(name, names)
        hint = f"Did you mean “{likely}”? " if likely else ""
        raise DataError(f"there is no project “{name}”", f"{hint}There are: {', '.join(names)}.")
    return found
