"""`heedful label ...`: the labelling application and its database, from the shell.

What these commands do to a project is in the audit log without an account: whoever may
read and write the database may do everything.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from heedful.cli import (
    label_batches,
    label_data,
    label_export,
    label_projects,
    label_sample,
    label_team,
)
from heedful.cli.label_options import (
    DEFAULT_DATABASE,
    DEFAULT_HOST,
    DEFAULT_PORT,
    DatabaseName,
    ProjectName,
    PublicUrl,
    opened,
    project_named,
    url_of,
)
from heedful.core.errors import ConfigError

if TYPE_CHECKING:
    from heedful.labelling.server_settings import ServerSettings

app = typer.Typer(help="Let people label: serve, invite, import, export.", no_args_is_help=True)
app.add_typer(label_projects.app, name="project")
app.add_typer(label_batches.app, name="batch")
app.command("import")(label_data.import_file)
app.command()(label_data.agreement)
app.command()(label_export.export)
app.command()(label_sample.sample)
app.command()(label_team.team)

Role = Literal["labeller", "reviewer", "researcher", "admin"]
Stage = Literal["screening", "practice", "working"]
Login = Annotated[str, typer.Argument(help="What one types to sign in.")]


@app.command()
def serve(
    database: DatabaseName = DEFAULT_DATABASE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = DEFAULT_PORT,
    public_url: PublicUrl = None,
    trusted_proxies: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            help="Address of a reverse proxy whose X-Forwarded-For is believed; this machine's "
            "where left out. May be repeated.",
        ),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write a line for every request.")
    ] = False,
) -> None:
    """Serve the labelling application; Ctrl-C stops it when requests under way are answered.

    A SQLite file is made where there is none. While there is no admin, a link is printed
    that makes the first one, once.
    """
    from heedful.cli.label_server import serve as run

    proxies = {} if trusted_proxies is None else {"trusted_proxies": tuple(trusted_proxies)}
    settings = checked(host=host, port=port, public_url=public_url, **proxies)
    run(database, settings, access_log=access_log)


@app.command()
def upgrade(database: DatabaseName = DEFAULT_DATABASE) -> None:
    """Make the tables of a new database, or bring those of an older one up to date."""
    from heedful.store.database import Database
    from heedful.store.schema import upgrade as migrate
    from heedful.store.schema import version_of

    with Database(url_of(database)) as found:
        before = version_of(found)
        migrate(found)
        after = version_of(found)
        if before == after:
            typer.echo(f"{found.name}: up to date (version {after}).")
        else:
            typer.echo(f"{found.name}: from version {before or 'none'} to {after}.")


@app.command()
def admin(
    login: Login,
    name: Annotated[
        str | None, typer.Option(help="As others see it; the login if left out.")
    ] = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Make an admin. The password is asked for twice, or is the first line of standard input."""
    from heedful.store.access import create_account
    from heedful.store.passwords import hashed

    with opened(database) as found:
        # Hashed before the write begins, which others would wait for.
        password = hashed(_password(), login=login)
        with found.write() as session:
            create_account(
                session, login=login, name=name or login, role="admin", password=password
            )
    typer.echo(f"{login} is an admin and can sign in.")


@app.command()
def password(login: Login, database: DatabaseName = DEFAULT_DATABASE) -> None:
    """Set somebody's password anew and end their sessions; asked for as by `admin`."""
    from heedful.core.errors import DataError
    from heedful.store.access import account_by_login, set_password
    from heedful.store.passwords import hashed

    with opened(database) as found:
        with found.read() as session:
            account = account_by_login(session, login)
        if account is None:
            raise DataError(f"there is no account `{login}`", "Check the spelling.")
        new = hashed(_password(), login=account.login)
        with found.write() as session:
            set_password(session, account_id=account.id, password=new, by=None)
    typer.echo(f"{login} has a new password and is signed out everywhere.")


@app.command()
def invite(
    role: Annotated[Role, typer.Option(help="What the new account may do.")] = "labeller",
    project: ProjectName = None,
    stage: Annotated[Stage, typer.Option(help="Where a labeller begins.")] = "screening",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Never sees training batches.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, help="How long the link works.")] = 7,
    note: Annotated[str, typer.Option(help="For whom it is; only staff see it.")] = "",
    public_url: PublicUrl = None,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Print a link that makes one account, once. Admins are invited without a project."""
    from heedful.store.invites import create_invite

    settings = checked(public_url=public_url)
    with opened(database) as found, found.write() as session:
        wanted = None if role == "admin" and project is None else project_named(session, project)
        _, token = create_invite(
            session,
            role=role,
            project_id=wanted.id if wanted else None,
            stage=stage,
            held_out=held_out,
            note=note,
            expires_in=timedelta(days=days),
            created_by=None,
        )
    typer.echo(settings.url(f"/invite/{token}"))


@app.command()
def token(
    login: Login,
    name: Annotated[str, typer.Option(help="What it is for.")],
    scopes: Annotated[list[str], typer.Option("--scope", help="What it may do; may be repeated.")],
    project: ProjectName = None,
    days: Annotated[int, typer.Option(min=1, help="How long it works.")] = 90,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Print a token for the JSON API, with no more rights than its account has.

    Without --project it reaches every project of its account.
    """
    from heedful.core.errors import DataError
    from heedful.labelling.api_scopes import check_scopes
    from heedful.store.access import account_by_login
    from heedful.store.tokens import create_token

    check_scopes(scopes)
    with opened(database) as found, found.write() as session:
        account = account_by_login(session, login)
        if account is None:
            raise DataError(f"there is no account `{login}`", "Check the spelling.")
        _, text = create_token(
            session,
            account_id=account.id,
            name=name,
            scopes=scopes,
            project_id=None if project is None else project_named(session, project).id,
            expires_in=timedelta(days=days),
        )
    typer.echo(text)


@app.command()
def rehearse(
    seed: Annotated[int, typer.Option(help="Of the noise; the same seed, the same labels.")] = 0,
    size: Annotated[
        int, typer.Option(help="Labellers who work, 6 to 40; the work grows with it.")
    ] = 12,
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Fill a demo project with two weeks of work by simulated labellers, and say how to see it."""
    from heedful.pipeline.rehearsal import rehearse as run
    from heedful.training.display import Display

    display = Display()
    with opened(database, make=True) as found:
        done = run(found, seed=seed, size=size, on_progress=display.say)
    typer.echo(f"{done.name}: {done.num_labels:,} labels, all simulated.")
    named = "" if database == DEFAULT_DATABASE else f" --database {database}"
    typer.echo(f"See it: heedful label serve{named}")


@app.command()
def backup(
    out: Annotated[Path, typer.Argument(help="A new file.")],
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Copy the database, as of one moment, while people work."""
    from heedful.store.backup import back_up
    from heedful.training.display import Display

    with Display().bar("backup", 100, unit="%") as bar:
        copied = back_up(url_of(database), out, lambda fraction: bar.move_to(round(100 * fraction)))
    typer.echo(f"{copied.path}: {copied.num_bytes:,} bytes, checked.")


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="A file that `heedful label backup` wrote.")],
    database: DatabaseName = DEFAULT_DATABASE,
) -> None:
    """Make a database from a backup; nothing that exists is written over."""
    from heedful.store.backup import restore as run

    run(backup, url_of(database))
    typer.echo(f"Restored. Start it with `heedful label serve --database {database}`.")


def checked(**values: Any) -> "ServerSettings":
    """The settings of a server; what is wrong with one is told by its option.

    Raises:
        ConfigError: A value cannot be.
    """
    from pydantic import ValidationError

    from heedful.labelling.server_settings import ServerSettings

    try:
        return ServerSettings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{option}: {first['msg'].removeprefix('Value error, ')}") from None


def _password() -> str:
    """Typed twice without being shown; where nobody sits, the first line of standard input."""
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt="Again")
        return typed
    return sys.stdin.readline().rstrip("\r\n")
