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

import pytest

from fakes.inert_html import MARK, faults_of
from fakes.label_world import World, attacked_world
from fakes.poisoned_store import paths_for, poison

pytestmark = pytest.mark.slow
SOURCE = Path(__file__).parents[2] / "src" / "heedful"
FETCHING = {"httpx", "requests", "urllib3", "aiohttp", "ftplib", "smtplib", "socket", "http.client"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with attacked_world(tmp_path_factory.mktemp("injection")) as made:
        count = poison(made.site.database)
        assert count > 300
        yield made


@pytest.mark.parametrize("login", ["admin", "researcher", "reviewer", "ana", "bo", "dee", "eve"])
def test_no_page_lets_markup_out(world: World, login: str) -> None:
    seen = 0
    for method, template in world.routes():
        if method != "GET":
            continue
        for path in paths_for(world, login, template):
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
