"""The application with a labelled project in it, and programs that hold tokens for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from fakes.labelled_project import LabelledProject, labelled_project
from heedful.labelling.api_scopes import SCOPES
from heedful.labelling.app import create_app
from heedful.store.database import Database, open_database
from heedful.store.tokens import create_token


@dataclass(frozen=True)
class ApiSite:
    """A client of the application, and the project behind it."""

    client: TestClient
    database: Database
    project: LabelledProject

    @property
    def base(self) -> str:
        """The address of the project."""
        return f"/api/v1/projects/{self.project.demo.id}"

    def token(self, account_id: str, *scopes: str, project_id: str | None = None) -> dict[str, str]:
        """The header of a program with these scopes, all where none are named."""
        with self.database.write() as session:
            _, token = create_token(
                session,
                account_id=account_id,
                name="test",
                scopes=scopes or tuple(SCOPES),
                project_id=project_id,
            )
        return {"Authorization": f"Bearer {token}"}

    def get(self, path: str, headers: dict[str, str], **query: Any) -> Any:
        """The JSON behind a path of the project; it must be there."""
        answer = self.client.get(f"{self.base}{path}", headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def api_site(folder: Path, url: str | None = None) -> Iterator[ApiSite]:
    """A site over an empty database, a new SQLite file where none is named."""
    with open_database(url or f"sqlite:///{folder / 'heedful.db'}", migrate=True) as database:
        with database.write() as session:
            project = labelled_project(session)
        with TestClient(create_app(database), base_url="http://127.0.0.1") as client:
            yield ApiSite(client, database, project)
