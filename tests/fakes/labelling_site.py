"""The labelling application as people reach it: a real server on a free port of this machine.

`Site` runs it in a thread of the test's process, `SiteProcess` as a process of its own,
which can be killed. Both are on 127.0.0.1 alone.
"""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import uvicorn

from fakes.labelling_life import PASSWORD, Life, live
from heedful.labelling.app import create_app
from heedful.labelling.server_settings import ServerSettings
from heedful.store.database import Database, open_database

_START_SECONDS = 30.0


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def csrf_of(html: str) -> str:
    """The token in a page's first form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found, f"no form with a csrf_token in:\n{html[:2000]}"
    return found.group(1)


class _Reachable:
    """What the two kinds of server have in common: an address, and people who sign in."""

    url: str

    def client(self, login: str | None = None, password: str = PASSWORD) -> httpx.Client:
        """A client of this site, signed in as `login`; close it."""
        client = httpx.Client(base_url=self.url, timeout=30.0)
        try:
            if login is not None:
                self.sign_in(client, login, password)
        except BaseException:
            client.close()
            raise
        return client

    def sign_in(self, client: httpx.Client, login: str, password: str = PASSWORD) -> None:
        """Send the sign-in form, as a browser would."""
        page = client.get("/login")
        form = {"login": login, "password": password, "csrf_token": csrf_of(page.text)}
        answer = client.post("/login", data=form, headers={"Origin": self.url})
        assert answer.status_code == 303, (answer.status_code, answer.text[:2000])

    def post(self, client: httpx.Client, path: str, **form: Any) -> httpx.Response:
        """Post a form with the token of the page that holds it (or of the settings)."""
        token = csrf_of(client.get("/settings").text)
        headers = {"Origin": self.url}
        return client.post(path, data={"csrf_token": token, **form}, headers=headers)

    def cookies(self, login: str) -> list[dict[str, Any]]:
        """The cookies of somebody signed in, as Playwright's `add_cookies` takes them."""
        with closing(self.client(login)) as client:
            return [
                {"name": one.name, "value": one.value, "url": self.url}
                for one in client.cookies.jar
            ]

    def wait(self) -> None:
        """Return when the server answers."""
        limit = time.monotonic() + _START_SECONDS
        while time.monotonic() < limit:
            try:
                httpx.get(f"{self.url}/login", timeout=5.0)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"{self.url} does not answer")


class Site(_Reachable):
    """The application in a thread, with its database open beside it."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.database = database
        self.settings = ServerSettings(port=free_port(), **settings)
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.app = create_app(database, self.settings)
        self.life: Life | None = None
        self.start()

    def start(self) -> None:
        """Listen on the same port as before."""
        listener = socket.create_server(("127.0.0.1", self.settings.port))
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, daemon=True
        )
        self._thread.start()
        self.wait()

    def stop(self) -> None:
        """Stop listening; the database stays open."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


@contextmanager
def living_site(folder: Path, *, simulated: bool = False, **settings: Any) -> Iterator[Site]:
    """A running site over a new SQLite file with `labelling_life` in it."""
    database = open_database(f"sqlite:///{folder / 'labels.db'}", migrate=True)
    try:
        with database.write() as session:
            life = live(session, simulated=simulated)
        site = Site(database, **settings)
        site.life = life
        try:
            yield site
        finally:
            site.stop()
    finally:
        database.close()


class SiteProcess(_Reachable):
    """`heedful label serve` as a process of its own over a database that exists."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._database_url = database_url
        self._log = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it on the same port as before, and wait until it answers."""
        command = [sys.executable, "-m", "heedful", "label", "serve"]
        command += ["--database", self._database_url, "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self.wait()
        except TimeoutError:
            self.kill()
            raise RuntimeError(self._log.read_text(encoding="utf-8")) from None

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._process.kill()
        self._process.wait(timeout=10)

    def stop(self) -> None:
        """SIGTERM, as an operator would."""
        self._process.terminate()
        self._process.wait(timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
