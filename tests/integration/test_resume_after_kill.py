"""A process killed in the middle of PPO, resumed by another: the same bytes in the end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.tiny_models import build_model_dir
from fakes.training_data import make_project, write_demonstrations, write_rankings
from heedful.core.file_hashes import sha256_file
from heedful.core.metrics import read_metrics
from heedful.core.run import read_card
from heedful.core.settings import Project
from heedful.training import ppo, reward
from heedful.training.display import Display

TESTS = Path(__file__).parent.parent
QUIET = Display(quiet=True)


@pytest.fixture
def config(tmp_path: Path) -> Project:
    base = tmp_path / "base"
    build_model_dir(base / "model", initial_std=0.1)
    data = {
        "prompts": write_demonstrations(base / "data") / "prompts.jsonl",
        "rankings": write_rankings(base / "rankings"),
    }
    reward.train(make_project(base / "reward", base / "model", data=data), QUIET)
    settings = {
        "reward": "fakes.rewards:slow",
        "value_init": str(base / "reward"),
        "episodes": 96,
        "evaluate_every": 4,
        "evaluation_prompts": 2,
    }
    return make_project(
        tmp_path / "whole", base / "model", data=data, ppo=settings, run={"save_every": 1}
    )


def command(config: Project, run_dir: Path) -> list[str]:
    """The command line of `config` in `run_dir`."""
    settings = [f"run.dir={run_dir}", "run.threads=1", "run.save_every=1"]
    for section, values in (
        ("model", config.model),
        ("format", config.format),
        ("data", config.data),
        ("ppo", config.ppo),
    ):
        assert values is not None
        given = values.model_dump(mode="json", exclude_defaults=True)
        settings += [f"{section}.{name}={value}" for name, value in given.items()]
    pairs = [part for setting in settings for part in ("--set", setting)]
    return [sys.executable, "-m", "heedful", "train", "ppo", *pairs]


def test_a_killed_run_ends_with_the_same_bytes(config: Project, tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(TESTS)])}
    killed = tmp_path / "killed"
    with subprocess.Popen(command(config, killed), env=environment) as process:
        metrics = killed / "metrics.jsonl"
        while process.poll() is None and len(read_metrics(metrics)) < 3:
            time.sleep(0.05)
        assert process.poll() is None, "it ended before it could be killed"
        process.kill()
    assert read_card(killed).status == "running"
    assert not (killed / "checkpoint").exists()
    subprocess.run(command(config, killed), env=environment, check=True)
    ppo.train(config, QUIET)
    assert read_card(killed).status == "finished"
    for name in ("checkpoint/model.safetensors", "samples.jsonl"):
        assert sha256_file(killed / name) == sha256_file(config.run.dir / name)
    steps = [row["step"] for row in read_metrics(killed / "metrics.jsonl")]
    assert steps == list(range(1, 13))
    # What was lost is not counted, nor is anything counted twice.
    costs = [read_card(path).cost.trained_tokens for path in (killed, config.run.dir)]
    assert costs[0] == costs[1]
