"""Folders of our own records."""

from collections.abc import Callable
from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError, write_records
from heedful.core.records import Completion, Demonstration, Prompt, Ranking
from heedful.data.own_records import is_own
from heedful.data.sources import Rejects, load_demonstrations, load_prompts, load_rankings


@pytest.fixture
def folder(tmp_path: Path, make_prompt: Callable[..., Prompt]) -> Path:
    write_records(
        tmp_path / "prompts.jsonl", [make_prompt("a", id="p1"), make_prompt("b", id="p2")]
    )
    demonstration = Demonstration(
        id="d1", prompt_id="p1", text="x", labeller_id="l", made_by="person"
    )
    write_records(tmp_path / "demonstrations.parquet", [demonstration])
    completions = [
        Completion(id=name, prompt_id="p2", text=name, checkpoint_id="c") for name in ("c1", "c2")
    ]
    write_records(tmp_path / "completions.jsonl", completions)
    ranking = Ranking(
        id="r1",
        prompt_id="p2",
        completion_ids=("c1", "c2"),
        ranks=(2, 1),
        labeller_id="l",
        made_by="simulated",
    )
    write_records(tmp_path / "rankings.jsonl.gz", [ranking])
    return tmp_path


def test_the_records_come_back_as_they_are(folder: Path) -> None:
    assert [prompt.id for prompt in load_prompts(folder)] == ["p1", "p2"]
    prompts, demonstrations = load_demonstrations(folder)
    assert ([prompt.id for prompt in prompts], demonstrations[0].text) == (["p1", "p2"], "x")
    found = load_rankings(folder)
    assert (len(found.completions), found.rankings[0].made_by) == (2, "simulated")
    assert load_rankings(folder / "rankings.jsonl.gz") == found
    assert load_prompts(folder / "prompts.jsonl") == found.prompts
    assert load_prompts(folder / "prompts.jsonl", format="heedful") == found.prompts


def test_what_is_ours(folder: Path) -> None:
    assert is_own(folder, None)
    assert is_own(folder / "prompts.jsonl", None)
    assert not is_own(folder / "prompts.jsonl", "alpaca")
    (folder / "prompts.jsonl").write_text('{"prompt": "x"}\n')
    assert not is_own(folder / "prompts.jsonl", None)
    assert not is_own(folder / "other.jsonl", None)


def test_references_must_hold(folder: Path, make_prompt: Callable[..., Prompt]) -> None:
    write_records(folder / "prompts.jsonl", [make_prompt("b", id="p2")])
    with pytest.raises(DataError, match=r"record d1, field `prompt_id`: there is no p1"):
        load_demonstrations(folder)
    write_records(
        folder / "completions.jsonl",
        [Completion(id="c1", prompt_id="p2", text="x", checkpoint_id="c")],
    )
    with pytest.raises(DataError, match=r"record r1, field `completion_ids`: there is no c2"):
        load_rankings(folder)
    (folder / "completions.jsonl").unlink()
    with pytest.raises(DataError, match=r"no completions\.jsonl there"):
        load_rankings(folder)


def test_ids_are_unique(folder: Path, make_prompt: Callable[..., Prompt]) -> None:
    write_records(folder / "prompts.jsonl", [make_prompt("a"), make_prompt("b")])
    with pytest.raises(DataError, match="the id prompt-1 is there twice"):
        load_prompts(folder)


def test_bad_rows(folder: Path) -> None:
    with (folder / "prompts.jsonl").open("a") as file:
        file.write('{"id": "p3"}\n')
    with pytest.raises(RowError, match=r"prompts\.jsonl, line 3, field `text_hash`"):
        load_prompts(folder)
    rejects = Rejects()
    assert len(load_prompts(folder, max_rejects=1, rejects=rejects)) == 2
    assert (rejects[0].line, rejects[0].field) == (3, "text_hash")
