"""What other packages add to the data room through entry points.

A package names, in the entry-point group `heedful.sources`, a pair of columns and reader
as in `heedful.data.reading.FORMATS`, or, in `heedful.dedup_policies` or
`heedful.detectors`, a factory: something that, called without arguments, makes a policy
or a detector. Whoever has a registry of its own looks there first and asks here only for
names that it does not know, so that a broken plugin harms nobody who does not want it.
"""

from collections.abc import Callable, Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from heedful.core.errors import ConfigError
from heedful.data.items import ReadRow

SOURCES = "heedful.sources"
DEDUP_POLICIES = "heedful.dedup_policies"
DETECTORS = "heedful.detectors"


def plugins(group: str, own: Collection[str] = ()) -> dict[str, object]:
    """What the installed packages registered in `group`, loaded, by name.

    Raises:
        ConfigError: A plugin cannot be loaded, or has a name of `own` or of another plugin.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=_label):
        if point.name in own:
            raise _error(point, "has the name of one of Heedful's own")
        if point.name in found and point.value != found[point.name].value:
            raise _error(point, f"has the name of another, {_label(found[point.name])}")
        found[point.name] = point
    return {name: _load(found[name]) for name in sorted(found)}


def source_plugins(own: Collection[str]) -> dict[str, tuple[frozenset[str], ReadRow]]:
    """Formats that packages add: the columns that tell a format, and its reader.

    Raises:
        ConfigError: As for `plugins`, or one is not such a pair.
    """
    formats: dict[str, tuple[frozenset[str], ReadRow]] = {}
    for name, plugin in plugins(SOURCES, own).items():
        match plugin:
            case (set() | frozenset() as columns, reader) if columns and callable(reader):
                formats[name] = (frozenset(columns), reader)
            case _:
                raise _wrong(SOURCES, name, "is not a pair of a set of column names and a reader")
    return formats


def factories(group: str, own: Collection[str]) -> dict[str, Callable[[], Any]]:
    """Factories that packages add, of policies or of detectors.

    Raises:
        ConfigError: As for `plugins`, or one cannot be called.
    """
    found: dict[str, Callable[[], Any]] = {}
    for name, plugin in plugins(group, own).items():
        if not callable(plugin):
            raise _wrong(group, name, "is not a factory: it cannot be called")
        found[name] = plugin
    return found


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise _error(point, f"cannot be loaded: {type(error).__name__}: {error}") from error


def _wrong(group: str, name: str, what: str) -> ConfigError:
    (point,) = {point.value: point for point in entry_points(group=group, name=name)}.values()
    return _error(point, what)


def _error(point: EntryPoint, what: str) -> ConfigError:
    return ConfigError(
        f"the plugin {_label(point)} {what}",
        f"Correct or uninstall {_distribution(point)}.",
    )


def _label(point: EntryPoint) -> str:
    return f"{point.name!r} ({point.group}: {point.value}) of {_distribution(point)}"


def _distribution(point: EntryPoint) -> str:
    return "an unnamed package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
