import json
from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelling_store import demo_project
from fakes.tiny_models import build_model_dir
from heedful.core.errors import ConfigError, DataError


@pytest.fixture
def label(tmp_path: Path) -> LabelShell:
    shell = LabelShell(tmp_path)
    with shell.open() as database, database.write() as session:
        demo_project(session, num_completions=0)
    return shell


def test_a_model_gives_completions_once(label: LabelShell) -> None:
    build_model_dir(label.folder / "tiny")
    arguments = ("sample", "--model", label.folder / "tiny", "-k", 2, "--max-tokens", 4)
    arguments = (*arguments, "--template", "plain")
    assert label(*arguments) == "8 completions added, 0 were there.\n"
    assert label(*arguments) == "0 completions added, 8 were there.\n"
    assert label(*arguments, "--seed", 1, "--prompts", 1).startswith("2 completions added")


def test_a_file_gives_completions_once(label: LabelShell) -> None:
    path = label.folder / "outputs.jsonl"
    rows = [{"prompt": "Tell me about 1.", "completion": text, "model": "m"} for text in "aab"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert label("sample", "--file", path) == "3 completions added, 0 were there.\n"
    assert label("sample", "--file", path) == "0 completions added, 3 were there.\n"


def test_what_cannot_be_sampled_is_told(label: LabelShell) -> None:
    with pytest.raises(ConfigError, match="nothing to sample from"):
        label("sample")
    with pytest.raises(ConfigError, match="do not go together"):
        label("sample", "--model", "m", "--file", "f.jsonl")
    with pytest.raises(DataError, match="no such prompts"):
        label("sample", "--model", "m", "--tag", "none")
