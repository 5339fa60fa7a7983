"""`heedful label export | heedful train reward`: people's rankings become a reward model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelled_project import labelled_project
from fakes.tiny_models import build_model_dir
from heedful.core.file_hashes import sha256_file
from heedful.core.run import read_card

HEEDFUL = f"{sys.executable} -m heedful"
SETTINGS = """
[run]
dir = "reward"

[model]
name = "tiny"
compute_dtype = "float32"

[format]
template = "plain"

[data]
rankings = "-"
validation_share = 0.0

[reward]
epochs = 2
batch_size = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with LabelShell(tmp_path).open() as database, database.write() as session:
        labelled_project(session)
    build_model_dir(tmp_path / "tiny")
    (tmp_path / "reward.toml").write_text(SETTINGS)
    return tmp_path


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_one_line_from_labels_to_a_reward_model(folder: Path) -> None:
    train = f"{HEEDFUL} train reward reward.toml"
    done = shell(folder, f"{HEEDFUL} label export --project Demo | {train}")
    assert done.returncode == 0, done.stderr
    assert "reward checkpoint" in done.stdout
    card = read_card(folder / "reward")
    kept = folder / "reward" / "stdin.jsonl"
    assert card.status == "finished"
    assert card.inputs["rankings"].sha256 == sha256_file(kept)
    checkpoint = json.loads((folder / "reward" / "checkpoint" / "checkpoint.json").read_text())
    assert checkpoint["made_by"] == ["person"]
    again = shell(folder, train)
    assert "holds a finished reward run" in again.stderr


@pytest.mark.slow
def test_an_interrupted_run_goes_on_without_the_pipe(folder: Path) -> None:
    exported = LabelShell(folder)("export")
    (folder / "labels.jsonl").write_text(exported)
    stopping = (
        "from fakes.interrupting_display import InterruptingDisplay\n"
        "from heedful.core.config import load_config\n"
        "from heedful.core.settings import Project\n"
        "from heedful.core.standard_input import take_standard_input\n"
        "from heedful.training.reward import train\n"
        "from pathlib import Path\n"
        "config = take_standard_input(load_config(Project, [Path('reward.toml')]))\n"
        "train(config, InterruptingDisplay(at=1))\n"
    )
    (folder / "stop.py").write_text(stopping)
    tests = Path(__file__).parents[1]
    stopped = shell(folder, f"PYTHONPATH={tests} {sys.executable} stop.py < labels.jsonl")
    assert "Interrupted" in stopped.stderr, stopped.stderr
    assert (folder / "reward" / "state").is_dir()
    fewer = shell(
        folder,
        f"{HEEDFUL} label export --made-by model | {HEEDFUL} train reward reward.toml",
    )
    assert fewer.returncode == 2
    assert "is not what the run in reward began with" in fewer.stderr
    resumed = shell(folder, f"{HEEDFUL} train reward reward.toml")
    assert resumed.returncode == 0, resumed.stderr
    assert "Resuming reward after step 1" in resumed.stderr


@pytest.mark.slow
def test_an_export_that_fails_trains_nothing(folder: Path) -> None:
    done = shell(
        folder, f"{HEEDFUL} label export --project Nobody | {HEEDFUL} train reward reward.toml"
    )
    assert done.returncode == 2
    assert "there is no project “Nobody”" in done.stderr
    assert "nothing is piped in" in done.stderr
    cut = shell(folder, f"{HEEDFUL} label export | head -n 5 | {HEEDFUL} train reward reward.toml")
    assert cut.returncode != 0
    assert "it was cut off" in cut.stderr
    assert not (folder / "reward" / "checkpoint").exists()


@pytest.mark.slow
def test_a_plan_reads_the_pipe_and_keeps_nothing(folder: Path) -> None:
    done = shell(folder, f"{HEEDFUL} label export | {HEEDFUL} train reward reward.toml --dry-run")
    assert done.returncode == 0, done.stderr
    assert "rankings to train on: 3 of 3" in done.stdout
    assert not (folder / "reward").exists()
