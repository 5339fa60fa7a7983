"""Starting the labelling server: its database, the first admin's link, uvicorn, a calm end.

One process: on SQLite, writers queue fairly within it. What the application does is
`heedful.labelling`'.
"""

import signal
import socket
from types import FrameType

import uvicorn
from rich.console import Console

from heedful.cli.label_options import opened
from heedful.core.errors import ConfigError
from heedful.labelling.app import create_app
from heedful.labelling.server_settings import ServerSettings
from heedful.store.access import has_admin
from heedful.store.database import Database
from heedful.store.invites import create_setup_link

# Long enough for a submission on a slow line, short enough for whoever waits.
GRACE_SECONDS = 10
_BACKLOG = 2048
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(name: str, settings: ServerSettings, *, access_log: bool = False) -> None:
    """Serve the database called `name`, a URL or a SQLite file, until SIGINT or SIGTERM.

    Raises:
        SchemaError: The tables are older or newer than this program, or not whole.
        StoreUnavailableError: The database is away.
        ConfigError: The port is taken.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with opened(name, make=True) as database, _listening(settings) as listener:
        app = create_app(database, settings)
        _announce(console, database, settings)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="info" if access_log else "warning",
                access_log=access_log,
                # Which proxies are believed is for the application, see `trusted_proxies`.
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        # uvicorn raises the signal again when it has stopped; the database is to be closed.
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGTERM, before)
    console.print("Stopped. Nothing that was acknowledged is lost.", markup=False)


def _listening(settings: ServerSettings) -> socket.socket:
    """The socket to serve from, so that a taken port is an error before anything starts."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"--host {settings.host}: {error.strerror}", "Give an address.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)  # from here on nobody else gets the port
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}",
            "Choose another one with --port, or stop what listens there.",
        ) from None
    return listener


def _announce(console: Console, database: Database, settings: ServerSettings) -> None:
    lines = [f"Labelling at {settings.origin} on {database.name}. Ctrl-C stops."]
    if settings.host not in _LOOPBACK and not settings.is_https:
        lines.append(
            "Careful: passwords travel in the clear. Put a reverse proxy with TLS before this "
            "and name its address with --public-url https://..."
        )
    with database.write() as session:
        if not has_admin(session):
            _, token = create_setup_link(session)
            lines += [
                "There is no admin yet. This link makes the first one; it works once, for a day:",
                f"  {settings.url(f'/invite/{token}')}",
            ]
    for line in lines:
        console.print(line, markup=False)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
