import json
from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelling_store import demo_project
from heedful.core.errors import DataError
from heedful.core.jsonl import RowError


@pytest.fixture
def label(tmp_path: Path) -> LabelShell:
    shell = LabelShell(tmp_path)
    with shell.open() as database, database.write() as session:
        demo_project(session)
    return shell


def test_a_batch_lives_from_the_shell(label: LabelShell) -> None:
    made = label("batch", "create", "First", "-k", 3, "--items", 2, "--overlap", 2)
    assert made.startswith("First: 2 items; draft; batch-")
    assert label("batch", "open", "First") == "First: open\n"
    assert label("batch", "pause", "First") == "First: paused\n"
    with pytest.raises(DataError, match=r"4 of 4 labels are still missing"):
        label("batch", "close", "First")
    label("batch", "close", made.split()[-1], "--reason", "a mistake")
    listed = label("batch", "list")
    assert listed.startswith("First: ranking for training, closed; 0 of 4 done")
    with pytest.raises(DataError, match="Did you mean “First”"):
        label("batch", "open", "frist")


def test_prompts_are_used_once_for_a_purpose_unless_asked(label: LabelShell) -> None:
    label("batch", "create", "First", "-k", 2, "--items", 3)
    assert "1 items" in label("batch", "create", "Second", "-k", 2)
    assert "4 items" in label("batch", "create", "Third", "-k", 2, "--again", "--open")
    assert "4 items" in label("batch", "create", "Final", "-k", 2, "--purpose", "evaluation")


def test_other_kinds(label: LabelShell) -> None:
    assert "4 items" in label("batch", "create", "Answers", "--kind", "demonstration")
    assert "7 items" in label("batch", "create", "Prompts", "--kind", "prompt", "--items", 7)


def test_prompts_without_enough_completions_are_told(label: LabelShell) -> None:
    with pytest.raises(DataError, match="no items"):
        label("batch", "create", "Many", "-k", 9)


def test_items_come_from_a_file(label: LabelShell) -> None:
    path = label.folder / "items.jsonl"
    rows = [{"prompt_id": "prompt-1", "completion_ids": ["completion-1-1", "completion-1-2"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "1 items" in label("batch", "create", "Chosen", "--file", path)
    path.write_text('{"prompt": "x"}\n')
    with pytest.raises(RowError, match=r"items\.jsonl, line 1, field `prompt`"):
        label("batch", "create", "Wrong", "--file", path)
