"""Puts markup that wants to run into every text of a database that somebody can have written.

Which columns those are is read off the tables, so that a new column is poisoned without being
named here.
"""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import JSON, String, Table, select, update

from fakes.inert_html import MARK
from fakes.label_world import World
from heedful.store.columns import Base
from heedful.store.database import Database
from heedful.store.tables import PresentationRow

# Names for programs, or held to a form by the code that writes them.
PLAIN = {"login", "currency", "made_by", "key", "action", "object_kind", "object_id", "prefix"}
# In records: what pydantic holds to a few values, and ids.
PLAIN_KEYS = {
    "id", "kind", "role", "use_case", "split", "made_by", "text_hash", "finish_reason", "gold",
    "theme", "ranks", "flags", "shortcuts", "user_id",
}  # fmt: skip


def poison(database: Database) -> int:
    """Put the markup into every text that somebody can have written; return into how many."""
    count = 0
    with database.write() as session:
        for table in Base.metadata.sorted_tables:
            names = [column.name for column in table.columns if _is_written(table, column.name)]
            keys = list(table.primary_key)
            for row in session.execute(select(table)).mappings().all() if names else ():
                values = {
                    name: poisoned(row[name], len(names) > 0, str(row[keys[0].name]))
                    for name in names
                    if row[name] is not None
                }
                count += len(values)
                where = [key == row[key.name] for key in keys]
                session.execute(update(table).where(*where).values(values))
    return count


def _is_written(table: Table, name: str) -> bool:
    column = table.columns[name]
    checks = " ".join(str(getattr(one, "sqltext", "")) for one in table.constraints)
    if column.primary_key or column.foreign_keys or name in PLAIN or name.endswith("_hash"):
        return False
    if table.name == "submissions" and name == "answer":
        return True
    return isinstance(column.type, String | JSON) and f"{name} IN (" not in checks


def poisoned(value: Any, top: bool, key: str) -> Any:
    """A value with the markup in its texts; `key` keeps unique columns unique."""
    if isinstance(value, str):
        return f"{MARK} {key}" if top else MARK
    if isinstance(value, dict):
        return {
            name: inner
            if name in PLAIN_KEYS or name.endswith(("_id", "_ids"))
            else poisoned(inner, False, key)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        ids = re.compile(r"(completion|prompt|account|item)-.*|[a-z]+:[a-z]+")
        return [
            inner
            if isinstance(inner, list) or (isinstance(inner, str) and ids.fullmatch(inner))
            else poisoned(inner, False, key)
            for inner in value
        ]
    return value


def paths_for(world: World, login: str, template: str) -> Iterator[str]:
    """A path to the usual thing, and to each task that `login` has opened."""
    yield world.fill(template)
    if template.startswith("/work/") and "{item_id}" in template:
        who = world.life.people[login].id
        with world.site.database.read() as session:
            opened = select(PresentationRow.item_id).where(PresentationRow.account_id == who)
            ids = session.scalars(opened).all()
        yield from (template.replace("{item_id}", one) for one in ids)
