"""Layered configuration: defaults, TOML files from left to right, then `--set a.b=value`.

Every mistake is found here, before any model loads, and named with the place it came
from and the nearest setting that exists. TOML has types, so nothing is converted: text is
no number, and 1 is not true. What the settings are is in `heedful.core.settings`.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from heedful.core.errors import ConfigError, nearest

S = TypeVar("S", bound=BaseModel)
Origins = dict[tuple[str, ...], str]


def load_config(
    model: type[S],
    files: Sequence[Path] = (),
    overrides: Sequence[str] = (),
    *,
    base: Mapping[str, Any] | None = None,
) -> S:
    """Resolve `model` from `base`, TOML `files` and `overrides`; later wins.

    Args:
        model: The settings model to fill.
        files: TOML files; a relative path inside one is left as written.
        overrides: `section.key=value` with the value in TOML syntax; a bare word that
            is not TOML is taken as a string, so `--set model.name=runs/sft` works.
        base: Settings under the files, for example a recipe's own defaults.

    Raises:
        ConfigError: For an unreadable file, an unknown key (naming the nearest), a value
            of the wrong type, or settings that do not go together.
    """
    merged: dict[str, Any] = {}
    origins: Origins = {}
    if base is not None:
        _merge(merged, base, "the recipe", origins)
    for path in files:
        _merge(merged, _read_toml(path), str(path), origins)
    for override in overrides:
        keys, value = _parse_override(override)
        nested: Any = value
        for key in reversed(keys):
            nested = {key: nested}
        _merge(merged, nested, f"--set {override}", origins)
    try:
        return model.model_validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        raise _config_error(model, error, origins) from None


def config_hash(config: BaseModel) -> str:
    """SHA-256 (16 hex digits) of the settings that decide a result, on every machine the same.

    Where the run lies, how often it saves, who watches and how many tokens pass at once are
    left out: an unfinished run may be moved, or resumed with other values of these.
    """
    exclude = {"run": {"dir", "save_every", "tensorboard"}, "model": {"microbatch_tokens"}}
    text = json.dumps(config.model_dump(mode="json", exclude=exclude), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def walk_settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf setting of `model` as (dotted name, pydantic FieldInfo), in order."""
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        if section is None:
            yield prefix + name, field
        else:
            yield from walk_settings(section, f"{prefix}{name}.")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The settings model behind a field's annotation (`X` or `X | None`), if there is one."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _parse_override(override: str) -> tuple[list[str], Any]:
    name, equals, text = override.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not equals or not all(keys):
        raise ConfigError(
            f"--set {override}: expected section.key=value",
            "Write for example --set ppo.kl_coef=0.05.",
        )
    text = text.strip()
    if not text:
        raise ConfigError(f"--set {override}: no value", 'Write "" for an empty text.')
    try:
        return keys, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if text and text[0] in "[{\"'":
            raise ConfigError(f"--set {override}: the value is not valid TOML") from None
        return keys, text


def _merge(
    into: dict[str, Any],
    layer: Mapping[str, Any],
    origin: str,
    origins: Origins,
    prefix: tuple[str, ...] = (),
) -> None:
    for key, value in layer.items():
        where = (*prefix, key)
        if isinstance(value, Mapping):
            if not isinstance(into.get(key), dict):
                into[key] = {}
                origins.pop(where, None)
            _merge(into[key], value, origin, origins, where)
        else:
            into[key] = value
            origins[where] = origin


def _config_error(model: type[BaseModel], error: ValidationError, origins: Origins) -> ConfigError:
    """One readable error for everything that pydantic found wrong."""
    lines, hints = [], []
    wrong: dict[tuple[str, ...], list[str]] = {}
    # What is missing comes last: a misspelt name is the likelier mistake.
    for detail in sorted(error.errors(), key=lambda detail: detail["type"] == "missing"):
        where = _setting(model, tuple(str(part) for part in detail["loc"]))
        if detail["type"] == "extra_forbidden":
            name = ".".join(where)
            lines.append(f"unknown setting `{name}`{_came_from(where, origins)}")
            hints.append(_suggest(model, where))
        elif detail["type"] == "missing":
            needed = _required(model, where)
            lines += [f"setting `{leaf}` is needed" for leaf in needed]
            hints += [f"Give it in a TOML file or as --set {leaf}=VALUE." for leaf in needed]
        else:
            wrong.setdefault(where, []).append(detail["msg"].removeprefix("Value error, "))
            if detail["type"].endswith(("_type", "_parsing")):
                hints.append('Values are TOML: 0.5, 3, true, "text", ["a", "b"].')
    found = [
        f"`{'.'.join(where) or 'settings'}`: {', or: '.join(messages)}{_came_from(where, origins)}"
        for where, messages in wrong.items()
    ]
    return ConfigError("; ".join([*found, *lines]), " ".join(dict.fromkeys(hints)) or None)


def _setting(model: type[BaseModel], where: tuple[str, ...]) -> tuple[str, ...]:
    """`where` without the alternative of a union that pydantic tried."""
    field = dict(walk_settings(model)).get(".".join(where[:-1]))
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType] if field else []
    union = field is not None and get_origin(field.annotation) in (Union, UnionType)
    return where[:-1] if union and len(kinds) > 1 else where


def _came_from(where: tuple[str, ...], origins: Origins) -> str:
    """Which layers set `where`, anything under it, or what it lies in."""
    under = [origin for key, origin in origins.items() if key[: len(where)] == where]
    above = [origins[where[:n]] for n in range(len(where), 0, -1) if where[:n] in origins]
    found = ", ".join(dict.fromkeys(under or above[:1]))
    return f" (from {found})" if found else ""


def _required(model: type[BaseModel], where: tuple[str, ...]) -> list[str]:
    """The settings without a default that a missing setting or section stands for."""
    name = ".".join(where)
    inside = [leaf for leaf, field in walk_settings(model) if field.is_required()]
    return [leaf for leaf in inside if leaf == name or leaf.startswith(f"{name}.")] or [name]


def _suggest(model: type[BaseModel], where: tuple[str, ...]) -> str:
    """The setting that an unknown one was meant to be: in its section, else anywhere."""
    section: type[BaseModel] | None = model
    for part in where[:-1]:
        field = section.model_fields.get(part) if section is not None else None
        section = section_of(field.annotation) if field is not None else None
    near = nearest(where[-1], section.model_fields) if section is not None else None
    if near is not None:
        return f"Did you mean `{'.'.join((*where[:-1], near))}`?"
    known = [name for name, _ in walk_settings(model)]
    same_leaf = [name for name in known if name.rpartition(".")[2] == where[-1]]
    near = same_leaf[0] if same_leaf else nearest(".".join(where), known)
    return f"Did you mean `{near}`?" if near else "`heedful config` lists every setting."
