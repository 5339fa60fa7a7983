import json
from pathlib import Path

import pytest

from fakes.labelling_store import demo_completion, demo_prompt
from heedful.core.errors import DataError
from heedful.core.jsonl import RowError
from heedful.labelling.item_files import read_completions, read_items
from heedful.store.batches import ItemSpec

ONE, TWO = demo_prompt("one"), demo_prompt("two")
TWIN = demo_prompt("twin", instruction=ONE.instruction)


def write(folder: Path, *rows: object) -> Path:
    path = folder / "lines.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_items_are_read_in_order(tmp_path: Path) -> None:
    rows = [{"prompt_id": "p", "completion_ids": ["a", "b"]}, {"brief": {"kind": "plain"}}]
    assert read_items(write(tmp_path, *rows)) == [
        ItemSpec("p", ("a", "b")),
        ItemSpec(None, (), brief={"kind": "plain"}),
    ]
    with pytest.raises(DataError, match="holds no items"):
        read_items(write(tmp_path))
    with pytest.raises(RowError, match="line 1, field `completion_ids`"):
        read_items(write(tmp_path, {"completion_ids": "a"}))


def test_completions_find_their_prompts_by_id_or_text(tmp_path: Path) -> None:
    rows = [
        {"prompt_id": ONE.id, "completion": "x", "model": "m"},
        {"prompt": f" {TWO.instruction} ", "completion": "x"},
    ]
    found = read_completions(write(tmp_path, *rows), [ONE, TWO])
    assert [(one.prompt_id, one.checkpoint_id) for one in found] == [
        (ONE.id, "m"),
        (TWO.id, "lines.jsonl"),
    ]
    assert found == read_completions(tmp_path / "lines.jsonl", [TWO, ONE])


def test_the_same_text_twice_is_two_completions(tmp_path: Path) -> None:
    row = {"prompt_id": ONE.id, "completion": "x"}
    assert len({one.id for one in read_completions(write(tmp_path, row, row), [ONE])}) == 2


def test_our_own_records_keep_their_ids(tmp_path: Path) -> None:
    record = demo_completion(ONE, 1)
    path = write(tmp_path, record.model_dump(mode="json"))
    assert read_completions(path, [ONE]) == [record]
    with pytest.raises(RowError, match="field `prompt_id`: no such prompt"):
        read_completions(path, [TWO])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt_id": "no", "completion": "x"}, "no such prompt in the project"),
        ({"prompt": "Tell me nothing.", "completion": "x"}, "no such prompt in the project"),
        ({"prompt": ONE.instruction, "completion": "x"}, "2 prompts of the project have this"),
        ({"completion": "x"}, "missing, and so is `prompt`"),
        ({"prompt_id": "no"}, "field `completion`"),
    ],
)
def test_a_line_without_its_prompt_is_named(tmp_path: Path, row: dict[str, str], told: str) -> None:
    with pytest.raises(RowError, match=told):
        read_completions(write(tmp_path, row), [ONE, TWO, TWIN])
