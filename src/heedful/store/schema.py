"""The version of a database's tables: what it is, whether we can work with it, moving it up."""

from heedful.store.database import Database
from heedful.store.tables import metadata


def upgrade(database: Database) -> None:
    """Make the tables, or bring them to this program's version."""
    with database.engine.begin() as connection:
        metadata.create_all(connection)


def check_schema(database: Database) -> None:
    """Refuse tables that are not this program's."""
