"""The application over `labelling_life`, in memory, asked as a labeller's browser would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi.testclient import TestClient
from sqlalchemy import select

from fakes.labelling_life import Life, live
from heedful.labelling.app import create_app
from heedful.labelling.cookies import SESSION, csrf_token
from heedful.store.database import Database, open_database
from heedful.store.sessions import start_session
from heedful.store.slots import claim_next
from heedful.store.tables import AccountRow

ORIGIN = "http://testserver"


@dataclass(frozen=True)
class Pages:
    """Requests as anybody of `labelling_life`; everybody is signed in."""

    database: Database
    life: Life
    tokens: dict[str, str]
    client: TestClient

    def id_of(self, login: str) -> str:
        """The account's id."""
        return self.life.people[login].id

    def get(self, login: str, path: str, **headers: str) -> httpx.Response:
        """A page as somebody sees it."""
        self._as(login)
        return self.client.get(path, headers=headers)

    def form(self, login: str, path: str, **fields: Any) -> httpx.Response:
        """A form without scripts; lists are fields that stand more than once."""
        self._as(login)
        data = {"csrf_token": csrf_token(self.tokens[login]), **fields}
        return self.client.post(path, data=data, headers={"Origin": ORIGIN})

    def script(self, login: str, path: str, body: Any) -> httpx.Response:
        """What a script of ours sends; text goes as it is."""
        self._as(login)
        headers = {
            "Origin": ORIGIN,
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-CSRF-Token": csrf_token(self.tokens[login]),
        }
        if isinstance(body, str):
            return self.client.post(path, content=body, headers=headers)
        return self.client.post(path, json=body, headers=headers)

    def take(self, login: str, batch: str) -> str:
        """Give somebody the next item of a batch; its path."""
        with self.database.write() as session:
            claim = claim_next(session, self.id_of(login), batch_id=self.life.batches[batch].id)
        assert claim is not None, f"nothing in {batch} for {login}"
        return f"/work/items/{claim.item_id}"

    def _as(self, login: str) -> None:
        self.client.cookies.clear()
        self.client.cookies.set(SESSION, self.tokens[login])


@contextmanager
def labeller_pages(folder: Path) -> Iterator[Pages]:
    """A new SQLite file with `labelling_life` in it, and the application over it."""
    content, life, tokens = _lived()
    path = folder / "labels.db"
    path.write_bytes(content)
    with open_database(f"sqlite:///{path}") as database:
        client = TestClient(create_app(database), base_url=ORIGIN, follow_redirects=False)
        with client:
            yield Pages(database, life, tokens, client)


@cache
def _lived() -> tuple[bytes, Life, dict[str, str]]:
    """The file that every test begins with, and a session token for every login."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.db"
        url = f"sqlite:///{path}"
        with open_database(url, migrate=True) as database, database.write() as session:
            life = live(session)
            accounts = session.scalars(select(AccountRow)).all()
            tokens = {one.login: start_session(session, one.id)[1] for one in accounts}
        return path.read_bytes(), life, tokens
