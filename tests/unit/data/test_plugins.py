"""Plugins are found where they are installed; broken ones are named with their package."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.installed_plugins import install, install_folder
from heedful.core.errors import ConfigError
from heedful.core.records import Prompt
from heedful.data.corpus import Corpus
from heedful.data.pii import Masker
from heedful.data.plugins import (
    DEDUP_POLICIES,
    DETECTORS,
    SOURCES,
    factories,
    plugins,
    source_plugins,
)
from heedful.data.sources import load_demonstrations, load_rankings

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


def test_the_package_that_the_documentation_shows(
    site: Path, repository: Path, make_prompt: Callable[..., Prompt]
) -> None:
    folder = repository / "tests" / "fakes" / "forum_plugin"
    page = (repository / "docs" / "how-to" / "extend-the-data-room.md").read_text()
    blocks = dict(re.findall(r"(?ms)^```(\w+)\n(.*?)^```", page))
    assert blocks["toml"] == (folder / "pyproject.toml").read_text()
    assert blocks["python"] == (folder / "forum_plugin.py").read_text()
    install_folder(site, folder)
    (site / "posts.jsonl").write_text(blocks["json"])
    found = load_demonstrations(site / "posts.jsonl")
    assert [item.text for item in found.demonstrations] == ["A metre."]
    assert found.prompts[0].source == "forum:posts.jsonl"
    assert len(load_rankings(site / "posts.jsonl", format="forum").rankings) == 1
    post = json.loads(blocks["json"])["post"]
    policy = factories(DEDUP_POLICIES, own=[])["first-words"]()
    texts = [f"{post} Tell me.", f"{post} Please.", "How deep do elm roots go?"]
    corpus = Corpus.of(make_prompt(text, id=text) for text in texts)
    assert [(corpus.ids[link.place], corpus.ids[link.of]) for link in policy.find(corpus)] == [
        (texts[0], texts[1])
    ]
    masker = Masker([factories(DETECTORS, own=[])["members"]()])
    assert masker.mask(["@ada and @bob", "thanks, @ada"]).texts == (
        "<MEMBER_1> and <MEMBER_2>",
        "thanks, <MEMBER_1>",
    )
