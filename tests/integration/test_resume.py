"""A run that is stopped and resumed ends with the bytes of one that never was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes.interrupting_display import InterruptingDisplay
from fakes.tiny_models import build_model_dir
from fakes.training_data import make_project, write_demonstrations, write_rankings, write_texts
from heedful.core.errors import CheckpointError, Interrupted
from heedful.core.file_hashes import sha256_file
from heedful.core.metrics import read_metrics
from heedful.core.run import read_card, read_jsonl
from heedful.core.settings import Project
from heedful.training import ppo, reward, sft
from heedful.training.display import Display

QUIET = Display(quiet=True)
TRAINERS: dict[str, Callable[..., Any]] = {
    "sft": sft.train,
    "reward": reward.train,
    "ppo": ppo.train,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build_model_dir(folder / "model", initial_std=0.1)
    build_model_dir(folder / "gpt2", "gpt2", initial_std=0.1)
    write_demonstrations(folder / "data")
    write_rankings(folder / "rankings")
    write_texts(folder / "texts.jsonl")
    for name, model in {"reward_run": {}, "adapted_run": {"lora_rank": 2}}.items():
        config = settings_of(folder, folder / name, "reward", {"model": model})
        reward.train(config, QUIET)
    return folder


def settings_of(base: Path, run_dir: Path, stage: str, sections: dict[str, Any]) -> Project:
    data = {
        "demonstrations": base / "data",
        "rankings": base / "rankings",
        "prompts": base / "data" / "prompts.jsonl",
        "pretraining": base / "texts.jsonl",
    }
    together = sections.get("ppo", {}).get("shared_trunk")
    judge = base / ("adapted_run" if together else "reward_run")
    own = {"reward": str(judge)} if stage == "ppo" else {}
    merged = {**sections, stage: own | sections.get(stage, {})}
    return make_project(run_dir, base / "model", data=data, **merged)


def results(path: Path) -> dict[str, Any]:
    """Everything that must not depend on having been stopped: all but times."""
    rows = read_metrics(path / "metrics.jsonl")
    timed = ("time/", "progress/seconds", "progress/tokens_per_second")
    card = read_card(path)
    cost = card.cost.model_dump(exclude={"seconds", "peak_memory_bytes"})
    hashes = {file.name: sha256_file(file) for file in sorted((path / "checkpoint").iterdir())}
    return {
        "files": {name: digest for name, digest in hashes.items() if name != "checkpoint.json"},
        "rows": [
            {name: v for name, v in row.items() if name != "at" and not name.startswith(timed)}
            for row in rows
        ],
        "samples": list(read_jsonl(path / "samples.jsonl")),
        "results": list(read_jsonl(path / "results.jsonl")),
        "cost": cost,
        "notes": card.notes,
        "status": card.status,
        "parents": card.parents,
    }


PRETRAINING = {"pretraining_share": 0.25, "pretraining_tokens": 16}
PPO = {"learning_rate": 3e-3, "episodes": 40, "evaluate_every": 2, "evaluation_prompts": 3}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "sft": ("sft", {"sft": {"choose_by": "validation_loss", **PRETRAINING}}),
    "sft with dropout": ("sft", {"model": {"name": "gpt2"}, "sft": {"dropout": 0.2}}),
    "sft in bfloat16": ("sft", {"model": {"compute_dtype": "bfloat16"}}),
    "reward": ("reward", {}),
    "reward with adapters": ("reward", {"model": {"lora_rank": 2}}),
    "ppo": ("ppo", {"ppo": {**PPO, "ema": True, "target_kl": 0.5, "inner_epochs": 2}}),
    "ppo-ptx": ("ppo", {"ppo": {**PPO, "ptx_coef": 1.0, "ptx_tokens": 16, "ptx_ratio": 0.5}}),
    "ppo in bfloat16": ("ppo", {"model": {"compute_dtype": "bfloat16"}, "ppo": PPO}),
    "ppo on one trunk": (
        "ppo",
        {
            "model": {"lora_rank": 2, "compute_dtype": "bfloat16"},
            "ppo": {**PPO, "shared_trunk": True, "ema": True},
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_stopped_and_resumed_is_as_never_stopped(case: str, base: Path, tmp_path: Path):
    stage, sections = CASES[case]
    if sections.get("model", {}).get("name") == "gpt2":
        sections = {**sections, "model": {"name": str(base / "gpt2")}}
    train = TRAINERS[stage]
    train(settings_of(base, tmp_path / "whole", stage, sections), QUIET)
    config = settings_of(base, tmp_path / "parts", stage, sections)
    for step in (1, 3):
        with pytest.raises(Interrupted, match=f"Stopped after step {step} of"):
            train(config, InterruptingDisplay(at=step))
    train(config, QUIET)
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


def test_stopped_at_once_loses_only_what_was_not_saved(base: Path, tmp_path: Path):
    sections = {"run": {"save_every": 2}, "ppo": PPO}
    ppo.train(settings_of(base, tmp_path / "whole", "ppo", sections), QUIET)
    config = settings_of(base, tmp_path / "parts", "ppo", sections)
    with pytest.raises(KeyboardInterrupt):
        ppo.train(config, InterruptingDisplay(at=4, times=2))
    assert read_card(config.run.dir).status == "interrupted"
    ppo.train(config, QUIET)
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


def test_a_run_may_be_moved_and_saved_more_often(base: Path, tmp_path: Path):
    sft.train(settings_of(base, tmp_path / "whole", "sft", {}), QUIET)
    with pytest.raises(Interrupted):
        sft.train(settings_of(base, tmp_path / "old", "sft", {}), InterruptingDisplay(at=2))
    (tmp_path / "old").rename(tmp_path / "new")
    sft.train(settings_of(base, tmp_path / "new", "sft", {"run": {"save_every": 3}}), QUIET)
    assert results(tmp_path / "new") == results(tmp_path / "whole")


def test_other_data_is_not_mixed_in(base: Path, tmp_path: Path):
    data = write_demonstrations(tmp_path / "data")
    config = make_project(tmp_path / "run", base / "model", data={"demonstrations": data})
    with pytest.raises(Interrupted):
        sft.train(config, InterruptingDisplay(at=2))
    write_demonstrations(data, count=20)
    with pytest.raises(CheckpointError, match="has changed since the run"):
        sft.train(config, QUIET)
