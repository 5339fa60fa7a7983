"""Writes the reference pages from the code, so that they cannot say anything else.

A MkDocs hook: settings, metrics, commands, records and the API pages are generated while
the site is built; nothing is written into `docs/`. `tests/test_docs.py` calls the same
functions.
"""

import ast
import importlib.util
import inspect
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import heedful
from heedful.core import records
from heedful.core.config import section_of
from heedful.core.data_settings import DataRoom
from heedful.core.metrics import METRICS
from heedful.core.settings import Project
from heedful.pipeline.quickstart_settings import Quickstart

if TYPE_CHECKING:  # the tests call the page functions where MkDocs is not installed
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PACKAGE = Path(heedful.__file__).parent


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    contributing = (PACKAGE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pages = {
        "contributing.md": contributing.replace("](docs/", "]("),
        "reference/settings.md": settings_page(),
        "reference/metrics.md": metrics_page(),
        "reference/commands.md": commands_page(),
        "reference/records.md": records_page(),
        "reference/api/index.md": api_index(),
        **{f"reference/api/{room}.md": api_page(room) for room in rooms()},
    }
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: "Page", **_: object) -> str:
    """Link the code that the paper map names to its page in the API."""
    if page.file.src_uri != "paper-map.md":
        return markdown

    def link(found: re.Match[str]) -> str:
        room, module, name = found.groups()
        target = f"heedful.{room}.{module}"
        documented = name is not None and not name.isupper()
        return f"[`{module}.{name}`][{target}.{name}]" if documented else f"[`{module}`][{target}]"

    markdown = markdown.replace("`tests/unit/", "`")
    return re.sub(r"`heedful\.(\w+)\.(\w+)(?:\.(\w+))?`", link, markdown)


def settings_page() -> str:
    """Every setting of a project file, one table a section."""
    parts = [
        "# Settings",
        "A project file is TOML with these sections. Each command reads the sections it needs; "
        "`--set section.key=value` overrides a file. Settings without a default must be given "
        "where they are used.",
    ]
    parts += _sections(Project, heading="##")
    packaged = (PACKAGE / "pipeline" / "quickstart.toml").read_text(encoding="utf-8")
    parts += [
        "## The quickstart",
        "`heedful quickstart` has sections of its own beside `[model]`, `[format]`, `[sft]`, "
        "`[reward]` and `[ppo]` above; `[ppo_init]` has the keys of `[sft]`.",
        *_sections(Quickstart, heading="###", known=Project),
        "These values are packaged; files and `--set` go on top.",
        f"```toml\n{packaged}```",
        "## The data room",
        "`heedful data prepare` reads a project file of its own, with a `[[sources]]` table for "
        "each source.",
        *_sections(DataRoom, heading="###"),
    ]
    return "\n\n".join(parts) + "\n"


def _sections(
    model: type[BaseModel], heading: str, known: type[BaseModel] | None = None
) -> list[str]:
    """A table for each section of `model` that is not one of `known`'s."""
    others = () if known is None else known.model_fields.values()
    skip = {section_of(field.annotation) for field in others}
    parts = []
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        assert section is not None, name
        if section in skip:
            continue
        rows = [
            (f"`{name}.{key}`", _type_name(leaf.annotation), _default(leaf), leaf.description or "")
            for key, leaf in section.model_fields.items()
        ]
        header = f"[[{name}]]" if get_origin(field.annotation) is tuple else f"[{name}]"
        parts += [f"{heading} {header}", inspect.getdoc(section) or ""]
        parts.append(_table(("Setting", "Type", "Default", "Meaning"), rows))
    return parts


def metrics_page() -> str:
    """Every metric that may be logged."""
    rows = [
        (f"`{name}`", metric.unit, metric.better, metric.meaning)
        for name, metric in METRICS.items()
    ]
    return "\n\n".join(
        (
            "# Metrics",
            "What `metrics.jsonl` holds. A name that is not in this table cannot be logged.",
            _table(("Metric", "Unit", "Better", "Meaning"), rows),
        )
    )


def records_page() -> str:
    """Every record type and its fields."""
    parts = [
        "# Records",
        "What crosses disk. Records are frozen, refuse unknown fields, and are written as one "
        "JSON object a line.",
    ]
    for name, kind in vars(records).items():
        if not inspect.isclass(kind) or not issubclass(kind, records.Record):
            continue
        if kind is records.Record:
            continue
        text, _, attributes = (inspect.getdoc(kind) or "").partition("\n\nAttributes:")
        meanings = dict(re.findall(r"(?m)^    (\w+): ((?:.*\n?)(?:^ {8}.*\n?)*)", attributes))
        rows = [
            (f"`{key}`", _type_name(field.annotation), _default(field), meanings.get(key, ""))
            for key, field in kind.model_fields.items()
        ]
        parts += [f"## {name}", text]
        parts.append(_table(("Field", "Type", "Default", "Meaning"), rows))
    return "\n\n".join(parts) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command as typed, such as `heedful train ppo`, and the click command behind it."""

    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            yield path, command
            return
        for name, subcommand in sorted(subcommands.items()):
            if not subcommand.hidden:
                yield from walk(f"{path} {name}", subcommand)

    if importlib.util.find_spec("heedful.cli.main") is not None:
        main = importlib.import_module("heedful.cli.main")
        yield from walk("heedful", typer.main.get_command(main.app))


def commands_page() -> str:
    """Every command with its arguments and options."""
    parts = ["# Commands", "What `heedful COMMAND --help` prints, on one page."]
    for path, command in commands():
        rows = []
        words = []
        for parameter in command.params:
            options = ", ".join(f"`{option}`" for option in parameter.opts)
            if parameter.param_type_name == "argument":
                name = parameter.name.upper()
                words.append(name if parameter.required else f"[{name}]")
                options = f"`{name}`"
            rows.append((options, _command_default(parameter), parameter.help or ""))
        parts += [
            f"## {path}",
            f"```\n{' '.join((path, *words))} [options]\n```",
            inspect.cleandoc(command.help or ""),
        ]
        if rows:
            parts.append(_table(("Argument or option", "Default", "Meaning"), rows))
    return "\n\n".join(parts) + "\n"


def rooms() -> list[str]:
    """The rooms that have at least one module."""
    return sorted(room.name for room in PACKAGE.iterdir() if room.is_dir() and _modules(room.name))


def api_index() -> str:
    """The rooms and their modules, each with the first line that says what it is."""
    parts = [
        "# API",
        "Read from the source. Rooms are listed by name; floors are in "
        "[Architecture](../../architecture.md).",
    ]
    for room in rooms():
        rows = []
        for name in _modules(room):
            source = (PACKAGE / room / f"{name}.py").read_text(encoding="utf-8")
            summary = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
            rows.append((f"[`{name}`]({room}.md#heedful.{room}.{name})", summary))
        parts += [f"## {room}", _table(("Module", "What it is"), rows)]
    return "\n\n".join(parts) + "\n"


def api_page(room: str) -> str:
    """The API of one room, read from its source by mkdocstrings."""
    parts = [f"# heedful.{room}"]
    parts += [f"::: heedful.{room}.{name}" for name in _modules(room)]
    return "\n\n".join(parts) + "\n"


def _modules(room: str) -> list[str]:
    names = sorted(path.stem for path in (PACKAGE / room).glob("*.py"))
    return [name for name in names if name != "__init__"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [
        " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) for row in rows
    ]
    return "\n".join(f"| {line} |" for line in lines)


def _type_name(annotation: Any) -> str:
    """A type as a reader of a TOML file would say it."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(
            _type_name(part) for part in get_args(annotation) if part is not type(None)
        )
    if origin is tuple:
        return f"list of {_type_name(get_args(annotation)[0])}"
    if origin is dict:
        return f"table of {_type_name(get_args(annotation)[1])}"
    words = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (tuple, dict, BaseModel)):
        return "" if not value or isinstance(value, BaseModel) else f"`{value}`"
    return f"`{value}`"


def _command_default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    value = parameter.default
    if value is None or value == () or value == [] or value is False or callable(value):
        return ""
    return f"`{value}`"
