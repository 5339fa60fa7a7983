"""`heedful label ...` as it is typed, on a database of the test's own."""

from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner, Result

from heedful.cli.main import app
from heedful.core.errors import HeedfulError
from heedful.store.database import Database, open_database


@dataclass(frozen=True)
class LabelShell:
    """A shell in a folder, with a database file there."""

    folder: Path
    file: str = "heedful.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / self.file}"

    def open(self) -> Database:
        """The database, made where it is not there; close it."""
        return open_database(self.url, migrate=True)

    def run(self, *arguments: object, typed: str | bytes = "") -> Result:
        """What the command did; an error of ours is raised as it is."""
        result = CliRunner().invoke(
            app,
            ["label", *map(str, arguments)],
            input=typed,
            env={"HEEDFUL_DATABASE": str(self.folder / self.file)},
        )
        if isinstance(result.exception, HeedfulError):
            raise result.exception
        return result

    def __call__(self, *arguments: object, typed: str | bytes = "") -> str:
        """The standard output of a command that succeeds."""
        result = self.run(*arguments, typed=typed)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout
