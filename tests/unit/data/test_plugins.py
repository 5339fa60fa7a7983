"""Plugins are found where they are installed; broken ones are named with their package."""

from pathlib import Path

import pytest

from fakes.installed_plugins import install
from heedful.core.errors import ConfigError
from heedful.data.plugins import DETECTORS, SOURCES, factories, plugins, source_plugins

GROUP = "heedful.tests"
MODULE = "columns = {'a'}\ndef make(row=None): return [row]\npair = (columns, make)\nnumber = 7\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_group_is_loaded_by_name(site: Path) -> None:
    assert plugins(GROUP) == {}
    install(site, "plugins_a", MODULE, {GROUP: {"n": "plugins_a:number", "m": "plugins_a:make"}})
    found = plugins(GROUP, own=["x"])
    assert list(found) == ["m", "n"]
    assert found["n"] == 7


def test_sources_and_factories(site: Path) -> None:
    groups = {SOURCES: {"s": "plugins_b:pair"}, DETECTORS: {"d": "plugins_b:make"}}
    install(site, "plugins_b", MODULE, groups)
    columns, reader = source_plugins(own=[])["s"]
    assert columns == frozenset({"a"})
    assert list(reader({"a": 1})) == [{"a": 1}]
    assert factories(DETECTORS, own=[])["d"]() == [None]


FAULTS = [
    ("plugins_c:none", "cannot be loaded: AttributeError"),
    ("plugins_none:x", "cannot be loaded: ModuleNotFoundError"),
    ("plugins_c:number", "is not a factory: it cannot be called"),
]


@pytest.mark.parametrize(("value", "match"), FAULTS)
def test_a_broken_plugin_is_named_with_its_package(site: Path, value: str, match: str) -> None:
    install(site, "plugins_c", MODULE, {DETECTORS: {"d": value}})
    with pytest.raises(ConfigError, match=rf"'d' \(heedful.detectors: {value}\)") as caught:
        factories(DETECTORS, own=[])
    assert f"of plugins_c 1.0 {match}" in str(caught.value)
    assert caught.value.hint == "Correct or uninstall plugins_c 1.0."


@pytest.mark.parametrize("value", ["plugins_d:number", "plugins_d:make", "plugins_d:columns"])
def test_a_source_is_columns_and_a_reader(site: Path, value: str) -> None:
    install(site, "plugins_d", MODULE, {SOURCES: {"s": value}})
    with pytest.raises(ConfigError, match=r"of plugins_d 1.0 is not a pair of a set of column"):
        source_plugins(own=[])


def test_no_name_is_taken_twice(site: Path) -> None:
    install(site, "plugins_e", MODULE, {GROUP: {"n": "plugins_e:number"}})
    with pytest.raises(ConfigError, match=r"of plugins_e 1.0 has the name of one of Heedful's"):
        plugins(GROUP, own=["n"])
    install(site, "plugins_f", MODULE, {GROUP: {"n": "plugins_f:number"}})
    with pytest.raises(ConfigError, match=r"of plugins_f 1.0 has the name of another, 'n' .*_e"):
        plugins(GROUP)
