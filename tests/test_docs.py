"""The documentation says what the code has: settings, metrics, commands, links, commands typed."""

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from heedful.core.config import walk_settings
from heedful.core.data_settings import DataRoom
from heedful.core.metrics import METRICS
from heedful.core.settings import Project
from heedful.pipeline.quickstart_settings import Quickstart

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted((*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"))
GENERATED = {
    "contributing.md",
    "settings.md",
    "metrics.md",
    "commands.md",
    "records.md",
    "index.md",
}


def _load_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "hooks" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load_reference()
COMMANDS = dict(reference.commands())


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def typed_commands(program: str) -> list[tuple[str, str]]:
    """(page, line) of every line in a fenced block that starts with `program`."""
    found = []
    for page in PAGES:
        for block in re.findall(r"(?ms)^ *```.*?\n(.*?)^ *```", page.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(name(page), " ".join(line.split())) for line in lines]
    pattern = re.compile(rf"(?:\w+=\S+ |\.venv/bin/)*({program} .*)")
    return [(page, typed[1]) for page, line in found if (typed := pattern.fullmatch(line))]


@pytest.mark.parametrize(
    "setting", [key for project in (Project, DataRoom) for key, _ in walk_settings(project)]
)
def test_every_setting_is_in_the_reference(setting: str) -> None:
    assert f"| `{setting}` |" in reference.settings_page()


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_in_the_reference(metric: str) -> None:
    assert f"| `{metric}` |" in reference.metrics_page()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_reference_and_has_help(command: str) -> None:
    assert f"## {command}\n" in reference.commands_page()
    assert COMMANDS[command].help


@pytest.mark.parametrize(("page", "line"), typed_commands("make"))
def test_a_make_target_that_a_page_names_exists(page: str, line: str) -> None:
    targets = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [word for word in targets if not re.search(rf"(?m)^{re.escape(word)}:", makefile)] == []


@pytest.mark.parametrize(("page", "line"), typed_commands("heedful"))
def test_a_command_that_a_page_names_exists(page: str, line: str) -> None:
    for part in line.split("|"):
        words = shlex.split(part, comments=True)
        if words[:1] != ["heedful"]:
            continue
        of = [path for path in COMMANDS if words[: len(path.split())] == path.split()]
        assert of, f"{page}: no such command: {part}"
        known = {option for parameter in COMMANDS[of[0]].params for option in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= known | {"--help"}, f"{page}: {of[0]} has no such option"


@pytest.mark.parametrize(("page", "line"), typed_commands("heedful"))
def test_a_setting_that_a_page_sets_exists(page: str, line: str) -> None:
    owners = {"heedful quickstart": Quickstart, "heedful data": DataRoom}
    project = next((own for start, own in owners.items() if line.startswith(start)), Project)
    keys = re.findall(r"--set[ =]'?\"?([\w.]+)=", line)
    assert set(keys) <= {key for key, _ in walk_settings(project)}, page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_to_files_resolve(page: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text)
    missing = [
        link
        for link in links
        if not link.startswith(("http://", "https://"))
        and not (page.parent / link).exists()
        and Path(link).name not in GENERATED
    ]
    assert missing == []


def test_the_paper_map_names_code_that_exists() -> None:
    text = (DOCS / "paper-map.md").read_text(encoding="utf-8")
    files = re.findall(r"`((?:src|tests|docs|recipes)/[\w./-]+)`", text)
    assert [file for file in files if not (ROOT / file).exists()] == []
    missing = []
    for room, module, attribute in re.findall(r"`heedful\.(\w+)\.(\w+)(?:\.(\w+))?`", text):
        file = ROOT / "src" / "heedful" / room / f"{module}.py"
        source = file.read_text(encoding="utf-8") if file.is_file() else ""
        if not re.search(rf"(?m)^(?:def |class |){attribute}\b", source):
            missing.append(f"heedful.{room}.{module}.{attribute}")
    assert missing == []
