"""The metadata is whole."""

from heedful.store import label_tables, people_tables, tables, work_tables
from heedful.store.columns import Base


def test_every_table_is_named_and_exported() -> None:
    defined = {
        name
        for module in (label_tables, people_tables, work_tables)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Base) and value is not Base
    }
    assert defined == {name for name in tables.__all__ if name.endswith("Row")}
    assert {getattr(tables, name).__tablename__ for name in defined} == set(tables.metadata.tables)


def test_every_constraint_has_a_name_that_migrations_can_find() -> None:
    for table in tables.metadata.sorted_tables:
        for constraint in table.constraints:
            assert constraint.name, f"{table.name}: {constraint}"


def test_names_fit_into_postgresql() -> None:
    names = [
        str(thing.name)
        for table in tables.metadata.sorted_tables
        for thing in (table, *table.constraints, *table.indexes, *table.columns)
    ]
    assert [name for name in names if len(name) > 63] == []
