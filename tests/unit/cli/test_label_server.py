"""The server as a process: a first start with nothing, refusals, a calm end."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fakes.labelling_site import free_port
from heedful.core.errors import ConfigError, SchemaError, StoreUnavailableError
from heedful.labelling.server_settings import ServerSettings
from heedful.store.database import open_database
from heedful.store.schema import downgrade

PROGRAM = "from heedful.cli.main import main; main()"


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running server and its port."""
    port = free_port()
    command = [sys.executable, "-c", PROGRAM, "label", "serve", "--port", str(port), *arguments]
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("HEEDFUL")}
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        try:
            for _ in range(300):
                with contextlib.suppress(httpx.TransportError):
                    httpx.get(f"http://127.0.0.1:{port}/healthz")
                    break
                assert process.poll() is None, process.stdout and process.stdout.read()
                time.sleep(0.1)
            yield process, port
        finally:
            process.kill()


def stopped(process: subprocess.Popen[str], number: int) -> str:
    """What the server said until the signal had stopped it."""
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_start_needs_nothing_and_an_end_is_calm(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as (process, port):
        with pytest.raises(ConfigError, match="Address already in use"):
            serve_here(tmp_path, port)
        link = "/login"
        assert httpx.get(f"http://127.0.0.1:{port}{link}").status_code == 200
        said = stopped(process, number)
    assert "heedful.db. Ctrl-C stops." in said
    (token,) = re.findall(rf"http://127\.0\.0\.1:{port}/invite/(\S+)", said)
    assert len(token) > 40
    assert said.rstrip().endswith("Nothing that was acknowledged is lost.")
    assert (tmp_path / "heedful.db").stat().st_mode & 0o777 == 0o600
    # The link of the earlier start no longer works; another one is made.
    with serving(tmp_path) as (process, port):
        old = httpx.get(f"http://127.0.0.1:{port}/invite/{token}")
        assert "password" not in old.text.lower() or old.status_code >= 400
        assert token not in stopped(process, signal.SIGTERM)


def serve_here(folder: Path, port: int) -> None:
    from heedful.cli.label_server import serve

    serve(str(folder / "heedful.db"), ServerSettings(port=port))


def test_old_tables_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path / 'heedful.db'}", migrate=True) as database:
        downgrade(database, to="0001")
    with pytest.raises(SchemaError, match="heedful label upgrade"):
        serve_here(tmp_path, free_port())
    with pytest.raises(StoreUnavailableError):
        serve_here(tmp_path / "nowhere", free_port())


def test_an_address_that_is_not_ours_is_told(tmp_path: Path) -> None:
    from heedful.cli.label_server import serve

    settings = ServerSettings(host="203.0.113.7", port=free_port())
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.7"):
        serve(str(tmp_path / "heedful.db"), settings)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match="Choose another one with --port"),
    ):
        serve_here(tmp_path, taken.getsockname()[1])
