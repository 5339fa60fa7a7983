"""The application over a judged project, without a network: pages are asked for in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient
from sqlalchemy import select

from fakes.judged_project import JudgedProject, judged_project
from heedful.labelling.app import create_app
from heedful.labelling.cookies import SESSION, csrf_token
from heedful.store.database import Database, open_database
from heedful.store.sessions import start_session
from heedful.store.tables import AccountRow

ORIGIN = "http://testserver"


@dataclass(frozen=True)
class JudgedSite:
    """The project, its database, and requests as anybody in it."""

    database: Database
    judged: JudgedProject
    tokens: dict[str, str]
    client: TestClient

    @property
    def base(self) -> str:
        """The path of the project."""
        return f"/projects/{self.judged.id}"

    def get(self, login: str, path: str) -> httpx.Response:
        """A page as somebody sees it."""
        self.client.cookies.clear()
        self.client.cookies.set(SESSION, self.tokens[login])
        return self.client.get(path)

    def post(self, login: str, path: str, **form: Any) -> httpx.Response:
        """A form sent from one of our pages; lists are fields that stand more than once."""
        self.client.cookies.clear()
        self.client.cookies.set(SESSION, self.tokens[login])
        data = {"csrf_token": csrf_token(self.tokens[login]), **form}
        return self.client.post(path, data=data, headers={"Origin": ORIGIN})


@contextmanager
def judged_site(folder: Path) -> Iterator[JudgedSite]:
    """Everybody is signed in."""
    with open_database(f"sqlite:///{folder / 'labels.db'}", migrate=True) as database:
        with database.write() as session:
            judged = judged_project(session)
            accounts = session.scalars(select(AccountRow)).all()
            tokens = {one.login: start_session(session, one.id)[1] for one in accounts}
        client = TestClient(create_app(database), base_url=ORIGIN, follow_redirects=False)
        with client:
            yield JudgedSite(database, judged, tokens, client)
