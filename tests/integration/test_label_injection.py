"""Injected markup: every text in the database is replaced by markup that wants to run.

Which columns those are is read off the tables, so that a new column is attacked without
being named here. Pages are read as a browser reads them, not searched for the markup. That
no route fetches an address, so that none can be made to, is read off the imports.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, String, Table, select, update

from fakes.inert_html import MARK, faults_of
from fakes.label_world import World, attacked_world
from heedful.store.columns import Base
from heedful.store.database import Database

SOURCE = Path(__file__).parents[2] / "src" / "heedful"
# Names for programs, or held to a form by the code that writes them.
PLAIN = {"login", "currency", "made_by", "key", "action", "object_kind", "object_id", "prefix"}
# In records: what pydantic holds to a few values, and ids.
PLAIN_KEYS = {
    "id", "kind", "role", "use_case", "split", "made_by", "text_hash", "finish_reason", "gold",
    "theme", "ranks", "flags", "shortcuts", "user_id",
}  # fmt: skip
FETCHING = {"httpx", "requests", "urllib3", "aiohttp", "ftplib", "smtplib", "socket", "http.client"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with attacked_world(tmp_path_factory.mktemp("injection")) as made:
        count = poison(made.site.database)
        assert count > 300
        yield made


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


@pytest.mark.parametrize("login", ["admin", "researcher", "reviewer", "ana", "bo", "dee", "eve"])
def test_no_page_lets_markup_out(world: World, login: str) -> None:
    seen = 0
    for method, template in world.routes():
        if method != "GET":
            continue
        for path in _paths(world, template):
            answer = world.send(login, "GET", path)
            assert answer.status_code < 500, (path, answer.text[-300:])
            if answer.headers.get("content-type", "").startswith("text/html"):
                seen += MARK[:20] in answer.text or "&lt;img" in answer.text
                assert faults_of(answer.text) == [], (login, template, path)
    assert seen, "no page shows the markup at all"


def test_error_pages_and_forms_let_no_markup_out(world: World) -> None:
    answers = [
        world.send("admin", "GET", "/" + MARK.replace("/", "").replace("?", "").replace("#", "")),
        world.send(None, "GET", "/login", next=MARK),
        world.send(None, "GET", "/login", **{MARK: "x"}),
        world.send(None, "POST", "/login", login=MARK[:150], password="x"),
        world.send("ana", "POST", "/settings/name", name=MARK),
    ]
    for method, template in world.routes():
        if method == "POST" and not template.endswith(("/logout", "/end", "/end-others")):
            fields = dict.fromkeys(("name", "text", "reason", "note", "login", "role"), MARK)
            answers.append(world.send("admin", "POST", world.fill(template), **fields))
    for answer in answers:
        assert answer.status_code < 500, (answer.request.url, answer.text[-300:])
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert faults_of(answer.text) == [], answer.request.url


def test_files_that_are_offered_have_plain_names(world: World) -> None:
    for method, template in world.routes():
        if method != "GET":
            continue
        answer = world.send("admin", "GET", world.fill(template))
        offered = answer.headers.get("content-disposition")
        if offered is not None:
            found = re.fullmatch(r'attachment; filename="([\w][\w.-]*)"', offered)
            assert found, (template, offered)
            assert ".." not in found[1]


def test_the_reader_of_pages_finds_what_it_looks_for() -> None:
    assert faults_of(f"<p>{MARK}</p>")
    assert faults_of(f'<a title="{MARK}">x</a>')
    for bad in (
        "<p style='color:red'>",
        "<a href='javascript:alert(1)'>",
        "<script>x</script>",
        "<form action='//evil.example'>",
        "<iframe></iframe>",
        "<b onclick=x>",
        "<img src='http://evil.example/x.png'>",
    ):
        assert faults_of(bad), bad
    data = json.dumps({"a": 1})
    assert faults_of(f'<a href="/x">y</a><script type="application/json">{data}</script>') == []


@pytest.mark.parametrize("room", ["labelling", "store"])
def test_no_route_can_be_made_to_fetch_an_address(room: str) -> None:
    imported: dict[str, set[str]] = {}
    for file in (SOURCE / room).rglob("*.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        imported[file.name] = {
            name
            for name in names
            if name.split(".")[0] in FETCHING or name.startswith(("http.client", "urllib.request"))
        }
    assert {name: found for name, found in imported.items() if found} == {}


def _paths(world: World, template: str) -> Iterator[str]:
    """The path to the usual thing, and to every item that the database has."""
    yield world.fill(template)
    if template.startswith("/work/") and "{item_id}" in template:
        with world.site.database.read() as session:
            ids = session.scalars(select(Base.metadata.tables["items"].c.id)).all()
        yield from (template.replace("{item_id}", one) for one in ids)
