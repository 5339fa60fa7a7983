"""The shape of the tree: budgets on the largest, one test module per module, no twins."""

import ast
import copy
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "heedful"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MIN_TWIN_STATEMENTS = 4
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "tools"}

# Modules whose behaviour is tested elsewhere, and where.
TESTED_ELSEWHERE: dict[str, str] = {
    "__main__.py": "tests/unit/cli/test_main.py starts it",
    "core/protocols.py": "signatures only; each implementation has its own tests",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def test_files_stay_within_their_budget() -> None:
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in (*MODULES, *TESTS)}
    assert {str(p): n for p, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_functions_stay_within_their_budget() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or 0)
        - node.lineno
        + 1
        for path in (*MODULES, *TESTS)
        for node in functions(path)
    }
    assert {where: n for where, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}


def test_modules_say_what_they_are_for() -> None:
    assert [relative(p) for p in MODULES if p.stem in VAGUE_NAMES] == []


def test_package_files_are_empty_but_the_top_one() -> None:
    inits = [p for p in PACKAGE.rglob("__init__.py") if p.parent != PACKAGE]
    assert [relative(p) for p in inits if p.read_text(encoding="utf-8").strip()] == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_has_its_test_module(path: Path) -> None:
    name = relative(path)
    if path.name == "__init__.py":
        return
    if name in TESTED_ELSEWHERE:
        pytest.skip(TESTED_ELSEWHERE[name])
    mirror = ROOT / "tests" / "unit" / Path(name).parent / f"test_{path.name}"
    assert mirror.is_file(), f"{mirror.relative_to(ROOT)} is missing"


def test_every_tested_elsewhere_entry_is_a_module() -> None:
    assert set(TESTED_ELSEWHERE) <= {relative(p) for p in MODULES}


def normalised(node: Function) -> str:
    """The body as text in which only structure, attributes and constants tell functions apart."""
    names: dict[str, str] = {}
    body = copy.deepcopy(node.body)
    if ast.get_docstring(node) is not None:
        body = body[1:]
    for part in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(part, ast.Name):
            part.id = names.setdefault(part.id, f"name{len(names)}")
        elif isinstance(part, ast.arg):
            part.arg = names.setdefault(part.arg, f"name{len(names)}")
    return "\n".join(ast.dump(statement) for statement in body)


def test_no_two_functions_have_the_same_body() -> None:
    twins = defaultdict(list)
    for path in MODULES:
        for node in functions(path):
            statements = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1
            if statements >= MIN_TWIN_STATEMENTS:
                twins[normalised(node)].append(f"{relative(path)}:{node.lineno} {node.name}")
    assert [where for where in twins.values() if len(where) > 1] == []
