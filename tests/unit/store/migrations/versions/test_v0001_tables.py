"""The first release's tables stay as they were released."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import inspect

from heedful.store.database import Database
from heedful.store.schema import downgrade, upgrade
from heedful.store.tables import metadata


def test_it_makes_and_removes_every_table(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'heedful.db'}") as database:
        upgrade(database, to="0001")
        there = inspect(database.engine)
        assert set(there.get_table_names()) == {*metadata.tables, "alembic_version"}
        assert "closed_at" not in {column["name"] for column in there.get_columns("batches")}
        downgrade(database, to="base")
        with database.read() as session:
            left = session.scalars(sa.text("SELECT name FROM sqlite_schema WHERE type = 'table'"))
            assert left.all() == ["alembic_version"]


def test_it_does_not_depend_on_the_classes() -> None:
    source = Path(__file__).parents[5] / "src/heedful/store/migrations/versions"
    for module in source.glob("v*.py"):
        assert "import heedful" not in module.read_text()
        assert "from heedful" not in module.read_text()
