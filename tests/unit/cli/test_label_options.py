from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelling_store import demo_project
from heedful.cli.label_options import opened, project_named, url_of
from heedful.core.errors import ConfigError, DataError, SchemaError
from heedful.store.database import Database
from heedful.store.schema import downgrade


def test_a_database_is_named_by_url_or_by_file() -> None:
    assert url_of("labels.db") == "sqlite:///labels.db"
    assert url_of("/var/labels.db") == "sqlite:////var/labels.db"
    assert url_of("postgresql://me@host/labels") == "postgresql://me@host/labels"


def test_one_project_needs_no_name(database: Database) -> None:
    with database.write() as session:
        first = demo_project(session).project
        assert project_named(session, None).id == first.id
        demo_project(session, name="Other")
        with pytest.raises(ConfigError, match=r"several projects\nChoose with --project: Demo, O"):
            project_named(session, None)
        assert project_named(session, first.id).name == "Demo"
        with pytest.raises(DataError, match="Did you mean “Other”"):
            project_named(session, "othr")


def test_only_a_new_database_is_made(tmp_path: Path) -> None:
    shell = LabelShell(tmp_path)
    with opened(str(tmp_path / shell.file), make=True) as found:
        downgrade(found, to="0001")
    with (
        pytest.raises(SchemaError, match="heedful label upgrade"),
        opened(str(tmp_path / shell.file), make=True),
    ):
        pass
