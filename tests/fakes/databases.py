"""Real databases for tests: a SQLite file, and a PostgreSQL server of this test run's own.

`database` (in `tests/conftest.py`) gives each test both, one after the other, each fresh.
The server is made on first use in a folder of its own, listens on a socket there, and is
stopped by its process id at the end.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from heedful.store.database import open_database

KINDS = ("sqlite", "postgresql")
TEMPLATE = "heedful_template"
_OWNER = "postgres"  # the server refuses to run as root


class Server:
    """A running PostgreSQL server. `close` it.

    Args:
        durable: Wait for the disk at each commit, as in real use; tests need not.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder, self._durable = folder, durable
        self._data = folder / "data"
        self._log = (folder / "log").open("wb")
        self._count = 0
        self.start()
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        open_database(self.url(TEMPLATE), migrate=True).close()

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = ["max_connections=200", "shared_buffers=32MB"]
        settings += [] if self._durable else ["fsync=off", "full_page_writes=off"]
        command = [_program("postgres"), "-D", str(self._data), "-k", str(self.folder), "-h", ""]
        command += [part for setting in settings for part in ("-c", setting)]
        self.process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, cwd=self.folder, **_as_owner()
        )
        for _ in range(200):
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")

    def url(self, name: str) -> str:
        """The URL of a database of this server."""
        return f"postgresql://{_OWNER}@/{name}?host={self.folder}"

    def fresh(self, *, empty: bool = False) -> str:
        """The URL of a new database, with the tables unless it is to be empty."""
        self._count += 1
        name = f"heedful_{self._count}"
        template = "template0" if empty else TEMPLATE
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database that `fresh` made, whoever is still connected."""
        name = url.rpartition("/heedful_")[2].partition("?")[0]
        with self._connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS heedful_{name} WITH (FORCE)")

    def stop(self) -> None:
        """Stop it at once."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        self._log.close()
        shutil.rmtree(self.folder)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.folder), user=_OWNER, dbname="postgres", autocommit=True
        )


def start_server(*, durable: bool = False) -> Server:
    """A new server in a temporary folder; the test is skipped where there is no PostgreSQL."""
    if reason := server_is_missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="heedful-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _OWNER)
    folder.chmod(0o755)
    command = [_program("initdb"), "-D", str(folder / "data"), "-U", _OWNER, "-A", "trust"]
    command += ["--no-sync", "-E", "UTF8", "--locale=C"]
    done = subprocess.run(command, capture_output=True, cwd=folder, check=False, **_as_owner())
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed:\n{done.stderr.decode()}")
    return Server(folder, durable=durable)


def server_is_missing() -> str | None:
    """Why no server can be started here, if so."""
    if _program("initdb") is None or _program("postgres") is None:
        return "no PostgreSQL server (initdb, postgres) on this machine"
    if os.geteuid() == 0 and _OWNER not in {user.pw_name for user in pwd.getpwall()}:
        return f"PostgreSQL does not run as root, and there is no user {_OWNER}"
    return None


@contextmanager
def fresh_url(
    kind: str, folder: Path, server: Callable[[], Server], *, empty: bool = False
) -> Iterator[str]:
    """The URL of a new database of a kind, with the tables unless it is to be empty."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'heedful.db'}"
        if not empty:
            open_database(url, migrate=True).close()
        yield url
        return
    running = server()
    url = running.fresh(empty=empty)
    try:
        yield url
    finally:
        running.drop(url)


@contextmanager
def small_disk(folder: Path, *, num_bytes: int) -> Iterator[Path]:
    """A file system of a few bytes; only an administrator may make one, others skip."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "heedful-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _program(name: str) -> str | None:
    """Where a server program lies; Debian keeps them off the PATH."""
    found = shutil.which(name)
    if found is None:
        versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = str(versions[-1]) if versions else None
    return found


def _as_owner() -> dict[str, str]:
    return {"user": _OWNER} if os.geteuid() == 0 and sys.platform != "win32" else {}
