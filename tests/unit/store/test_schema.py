"""The tables' version: made, moved up and down, refused, and equal to the classes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from fakes.databases import KINDS, Server, fresh_url
from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import SchemaError, StoreUnavailableError
from heedful.store.database import Database, open_database
from heedful.store.schema import check_schema, downgrade, newest_version, upgrade, version_of
from heedful.store.tables import metadata


@pytest.fixture(params=KINDS)
def empty(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: Callable[[], Server]
) -> Iterator[Database]:
    """A database without tables."""
    with (
        fresh_url(request.param, tmp_path, postgresql_server, empty=True) as url,
        Database(url) as database,
    ):
        yield database


def checks(database: Database) -> dict[str, set[str]]:
    """The names of the CHECK constraints, by table; Alembic does not compare those."""
    return {
        table: {str(check["name"]) for check in found}
        for (_, table), found in inspect(database.engine).get_multi_check_constraints().items()
    }


def test_the_steps_lead_to_the_tables_of_the_classes(empty: Database) -> None:
    upgrade(empty)
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    wanted = {
        table.name: {
            str(constraint.name)
            for constraint in table.constraints
            if isinstance(constraint, sa.CheckConstraint)
        }
        for table in metadata.sorted_tables
    }
    assert {table: checks(empty)[table] for table in wanted} == wanted


def test_up_and_down_and_up_again(empty: Database) -> None:
    assert version_of(empty) is None
    upgrade(empty)
    assert version_of(empty) == newest_version()
    check_schema(empty)
    downgrade(empty, to="base")
    assert version_of(empty) is None
    assert set(inspect(empty.engine).get_table_names()) == {"alembic_version"}
    upgrade(empty)
    upgrade(empty)
    check_schema(empty)


def test_an_empty_database_is_told_from_an_old_one(empty: Database) -> None:
    with pytest.raises(SchemaError, match="is empty") as caught:
        check_schema(empty)
    assert "heedful label upgrade" in str(caught.value.hint)
    upgrade(empty, to="0001")
    with pytest.raises(SchemaError, match="of version 0001, this program works with") as caught:
        check_schema(empty)
    assert "heedful label upgrade" in str(caught.value.hint)


def test_a_newer_version_is_refused(database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for step in (check_schema, upgrade, lambda database: downgrade(database, to="base")):
        with pytest.raises(SchemaError, match="9999, which this program does not know") as caught:
            step(database)
        assert "newer Heedful" in str(caught.value.hint)


def test_the_tables_of_others_are_refused(empty: Database) -> None:
    with empty.write() as session:
        session.execute(sa.text("CREATE TABLE cars (id INTEGER)"))
    for step in (check_schema, upgrade):
        with pytest.raises(SchemaError, match="such as `cars`"):
            step(empty)


def test_tables_that_are_not_whole_are_refused(database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("DROP TABLE grades"))
        session.execute(sa.text("ALTER TABLE skips DROP COLUMN note"))
    with pytest.raises(SchemaError, match=r"`grades`, `skips\.note` missing"):
        check_schema(database)


def test_a_step_that_fails_leaves_everything_as_it_was(empty: Database) -> None:
    upgrade(empty, to="0001")
    with empty.write() as session:
        session.execute(
            sa.text(
                "INSERT INTO accounts (id, login, name, role, state, made_by, preferences,"
                " avoids_sensitive, created_at) VALUES ('a', 'a', 'A', 'labeller', 'active',"
                " 'robot', '{}', false, '2026-01-01 00:00:00')"
            )
        )
    before = checks(empty)
    with pytest.raises(SchemaError, match="does not fit the new tables"):
        upgrade(empty)
    assert version_of(empty) == "0001"
    assert checks(empty) == before
    assert set(inspect(empty.engine).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_a_copy_of_tables_loses_no_foreign_key(database: Database) -> None:
    def keys() -> dict[str, set[tuple[str, str]]]:
        return {
            table: {(key["constrained_columns"][0], key["referred_table"]) for key in found}
            for (_, table), found in inspect(database.engine).get_multi_foreign_keys().items()
        }

    before = keys()
    downgrade(database, to="0001")
    upgrade(database)
    assert keys() == before
    with database.write() as session:
        demo_batch(session, demo_project(session))
    with pytest.raises(sa.exc.IntegrityError), database.write() as session:
        session.execute(sa.text("DELETE FROM accounts"))


def test_there_is_no_such_version(database: Database) -> None:
    with pytest.raises(SchemaError, match="no version 0815"):
        downgrade(database, to="0815")


def test_opening_checks_and_on_wish_migrates(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    with empty.engine.connect():
        pass  # SQLite: now there is a file
    with pytest.raises(SchemaError, match="is empty"):
        open_database(url)
    open_database(url, migrate=True).close()
    open_database(url).close()


def test_a_sqlite_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="no such file"):
        open_database(f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []
