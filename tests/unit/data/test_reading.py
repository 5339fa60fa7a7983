"""Formats of our own come first; packages may add some; ids say nothing of the key."""

import json
from pathlib import Path

import pytest

from fakes.installed_plugins import install
from heedful.core.errors import ConfigError, DataError
from heedful.core.jsonl import read_records
from heedful.data.pseudonyms import Key
from heedful.data.reading import FORMATS, Reject, Rejects, Source, read_items, write_rejects
from heedful.data.sources import load_demonstrations, load_prompts

READER = """
from heedful.data.items import Answer, Item, text_field

def read(row):
    yield Item(
        instruction=text_field(row, "subject"), author=row.get("who"),
        answers=(Answer(text=text_field(row, "reply")),),
    )

FORUM = (frozenset({"subject", "reply"}), read)
"""


@pytest.fixture
def forum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a format that a package adds, and the package installed."""
    sources = {"heedful.sources": {"forum": "reading_plugin:FORUM"}}
    install(tmp_path / "site", "reading_plugin", READER, sources)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    path = tmp_path / "posts.jsonl"
    rows = [{"subject": "u", "reply": "v", "who": "ada"}, {"subject": "u"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_package_adds_a_format(forum: Path) -> None:
    for name in (None, "forum"):
        rejects = Rejects()
        found = load_demonstrations(forum, format=name, max_rejects=1, rejects=rejects)
        (prompt,), (demonstration,) = found
        assert (prompt.instruction, prompt.source) == ("u", "forum:posts.jsonl")
        assert (demonstration.text, prompt.consent) == ("v", True)
        assert [(item.line, item.field) for item in rejects] == [(2, "reply")]
    keyed = load_prompts(forum, max_rejects=1, key=Key(b"a key of enough bytes"))
    assert keyed[0].user_id != prompt.user_id
    with pytest.raises(DataError, match="unknown format 'forun'") as caught:
        load_prompts(forum, format="forun")
    assert "Did you mean forum?" in str(caught.value.hint)


def test_a_broken_package_harms_only_who_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"heedful.sources": {"wrong": "reading_broken:NONE"}}
    install(tmp_path / "site", "reading_broken", "", broken)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    ours, unknown = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    ours.write_text('{"prompt": "u"}\n')
    unknown.write_text('{"x": 1}\n')
    assert load_prompts(ours)
    for path, name in ((unknown, None), (ours, "wrong")):
        with pytest.raises(ConfigError, match=r"'wrong' .* of reading_broken 1\.0 cannot be load"):
            load_prompts(path, format=name)


def test_every_item_says_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"prompt": "u"}\n{"prompt": "u"}\n')
    first, second = read_items(Source(path=path))
    assert (first.format, first.line, second.line) == ("prompt_completion", 2, 3)
    assert first.id("prompt") != second.id("prompt") != first.id("completion")
    assert first.pseudonym("user", "ada") == second.pseudonym("user", "ada")
    assert "served" in FORMATS


def test_rejects_are_written(tmp_path: Path) -> None:
    rejects = Rejects()
    (tmp_path / "a.jsonl").write_text('{"prompt": "u"}\n{"prompt": ["secret"]}\n{secret\n')
    assert len(load_prompts(tmp_path / "a.jsonl", max_rejects=2, rejects=rejects)) == 1
    write_rejects(tmp_path / "rejects.jsonl", rejects)
    assert read_records(tmp_path / "rejects.jsonl", Reject) == rejects
    assert "secret" not in (tmp_path / "rejects.jsonl").read_text()
