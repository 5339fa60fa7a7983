"""The version of a database's tables: whether we can work with it, and moving it up.

The steps are in `migrations/versions`, one module each. All steps of one call are one
transaction on both databases: they happen together or not at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from heedful.core.errors import SchemaError
from heedful.store.database import Database
from heedful.store.faults import told_plainly
from heedful.store.tables import metadata

_MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION_TABLE = "alembic_version"
# Any number does, as long as it is ours: two servers that start together take turns.
_UPGRADE_LOCK = 0x4845_4544


def newest_version() -> str:
    """The version of the tables that this program works with."""
    return str(_scripts().get_current_head())


def version_of(database: Database) -> str | None:
    """The version of the tables in a database; None where there are none."""
    with told_plainly(database.name), database.engine.connect() as connection:
        return _version(connection)


def check_schema(database: Database) -> None:
    """Make sure that the tables are those that this program works with.

    Raises:
        SchemaError: They are older, newer, or not whole; says which command helps.
        StoreUnavailableError: The database is away.
    """
    with told_plainly(database.name), database.engine.connect() as connection:
        _refuse_unknown(connection, database.name)
        version, newest = _version(connection), newest_version()
        if version is None:
            raise SchemaError(
                f"{database.name}: the database is empty.",
                "Make the tables with `heedful label upgrade`.",
            )
        if version != newest:
            raise SchemaError(
                f"{database.name}: the tables are of version {version}, this program works with "
                f"{newest}.",
                "Back up with `heedful label backup`, then run `heedful label upgrade`.",
            )
        if missing := _missing(connection):
            raise SchemaError(
                f"{database.name}: the tables are not whole, though marked as version {version}: "
                f"{', '.join(missing[:5])} missing.",
                "Restore a backup with `heedful label restore`.",
            )


def upgrade(database: Database, *, to: str | None = None) -> None:
    """Make the tables, or bring them up to version `to`, by default the newest.

    Raises:
        SchemaError: The tables are newer than this program or not its own, or a step failed;
            the tables are then as they were.
        StoreUnavailableError: The database is away, locked or full.
    """
    with _changing(database) as connection:
        now = _version(connection)
        target = _known(to or newest_version())
        scripts = list(_scripts().iterate_revisions(target, now or "base"))
        steps = [
            MigrationStep.upgrade_from_script(_scripts().revision_map, script)
            for script in reversed(scripts)
        ]
        _run(connection, steps)


def downgrade(database: Database, *, to: str) -> None:
    """Take the tables back to version `to`, or `base` for none at all.

    What only a later version can hold is lost: back up first.

    Raises:
        SchemaError: There is no such version, or a step failed.
        StoreUnavailableError: The database is away, locked or full.
    """
    with _changing(database) as connection:
        target = _known(to)
        scripts = _scripts().iterate_revisions(_version(connection) or "base", target)
        steps = [
            MigrationStep.downgrade_from_script(_scripts().revision_map, script)
            for script in scripts
        ]
        _run(connection, steps)


@contextmanager
def _changing(database: Database) -> Iterator[Connection]:
    """One transaction in which the tables may change, alone with the database."""
    with told_plainly(database.name), database.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        if database.is_sqlite and driver is not None:
            # Copying a table takes it away for a moment, which the foreign keys of others
            # would not stand. This can be set outside of a transaction only.
            driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                if not database.is_sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
                _refuse_unknown(connection, database.name)
                yield connection
                broken = database.is_sqlite and connection.exec_driver_sql(
                    "PRAGMA foreign_key_check"
                )
                if broken and (row := broken.first()):
                    raise SchemaError(f"{database.name}: `{row[0]}` would lose what it refers to.")
        except sa.exc.IntegrityError as error:
            raise SchemaError(
                f"{database.name}: what is stored does not fit the new tables: {error.orig}",
                "Nothing was changed. Please report this with the message.",
            ) from error
        finally:
            if database.is_sqlite and driver is not None:
                driver.execute("PRAGMA foreign_keys=ON")


def _run(connection: Connection, steps: list[Any]) -> None:
    """Take the steps, each marked as done in the version table."""
    with EnvironmentContext(_config(), _scripts(), fn=lambda *_: steps) as environment:
        environment.configure(
            connection=connection, target_metadata=metadata, transactional_ddl=True
        )
        environment.run_migrations()


def _refuse_unknown(connection: Connection, name: str) -> None:
    """Refuse tables that are not ours, or of a version that this program does not know."""
    version = _version(connection)
    if version is None and (strange := set(inspect(connection).get_table_names())):
        strange.discard(_VERSION_TABLE)
        if strange:
            raise SchemaError(
                f"{name}: holds tables, such as `{min(strange)}`, but not as Heedful makes them.",
                "Use a database of its own for Heedful, or restore a backup.",
            )
    known = {script.revision for script in _scripts().walk_revisions()}
    if version is not None and version not in known:
        raise SchemaError(
            f"{name}: the tables are of version {version}, which this program does not know; "
            f"the newest it knows is {newest_version()}.",
            "A newer Heedful made them: install that one.",
        )


def _missing(connection: Connection) -> list[str]:
    """Tables and columns that should be there and are not."""
    there = inspect(connection)
    tables = set(there.get_table_names())
    columns = {
        table: {column["name"] for column in found}
        for (_, table), found in there.get_multi_columns().items()
    }
    missing = {
        f"`{table.name}`" if table.name not in tables else f"`{table.name}.{column.name}`"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name not in columns.get(table.name, set())
    }
    return sorted(missing)


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(version: str) -> str:
    known = {script.revision for script in _scripts().walk_revisions()}
    if version not in known | {"base"}:
        raise SchemaError(f"There is no version {version} of the tables.")
    return version


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
