import json
from pathlib import Path
from typing import Any

import pytest

from fakes.tiny_models import build_model_dir
from heedful.cli.plan import num_parameters, plan
from heedful.core.config import load_config
from heedful.core.errors import DataError
from heedful.core.settings import Project
from heedful.models.folders import find_model
from heedful.models.loading import load_causal_lm


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny")


def planned(stage: str, model: Path, *overrides: str) -> dict[str, str]:
    settings = ["run.dir=runs/none", f"model.name={model}", *overrides]
    lines = plan(stage, load_config(Project, [], settings)).splitlines()
    return dict(line.split(": ", 1) for line in lines)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_parameters_are_counted_as_the_loaded_model_has_them(model: Path) -> None:
    loaded = load_causal_lm(find_model(str(model)), pad_id=0)
    assert num_parameters(str(model)) == sum(p.numel() for p in loaded.parameters())


@pytest.mark.parametrize("name", ["owner/model", "no-such-model", "smollm2-135m-instruct"])
def test_a_model_that_is_not_here_has_no_count(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path))
    assert num_parameters(name) is None


def test_ppo_in_the_papers_schedule(model: Path) -> None:
    found = planned("ppo", model, f"ppo.reward={model}")
    assert found["episodes"] == "256,000"
    assert found["optimiser steps"] == "4,000"
    assert found["tokens generated"] == "at most 262,144,000"
    assert "pretraining tokens" not in found
    assert found["prompts"] == "data.prompts is not set"


def test_the_pretraining_tokens_of_ppo_ptx(model: Path) -> None:
    sizes = ["ppo.episodes=1024", "ppo.ptx_coef=1.0", "ppo.ptx_ratio=0.5", "ppo.ptx_tokens=64"]
    assert planned("ppo", model, *sizes)["pretraining tokens"] == f"{512 * 64:,}"


def gigabytes(found: dict[str, str]) -> float:
    return float(found["memory"].split(" GB")[0])


@pytest.fixture
def billion(tmp_path: Path) -> Path:
    """A weights file whose header tells of 10^9 parameters."""
    (tmp_path / "config.json").write_text("{}")
    header = json.dumps({"__metadata__": {}, "w": {"shape": [1000, 1000, 1000]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return tmp_path


@pytest.mark.parametrize(
    ("stage", "dtype", "overrides", "expected"),
    [
        ("reward", "float32", [], 16),
        ("reward", "bfloat16", [], 18),
        ("reward", "float32", ["model.lora_rank=8"], 4),
        ("sft", "float32", ["sft.choose_by=last"], 16),
        ("sft", "float32", [], 20),
        ("ppo", "float32", ["ppo.reward=MODEL"], 40),
        ("ppo", "bfloat16", ["ppo.reward=MODEL"], 40),
        ("ppo", "float32", ["ppo.reward=MODEL", "ppo.ema=true"], 44),
        ("ppo", "float32", ["ppo.reward=json:dumps", "ppo.value_init=MODEL"], 36),
    ],
)
def test_memory_counts_trained_and_frozen_models(
    billion: Path, stage: str, dtype: str, overrides: list[str], expected: float
) -> None:
    given = [text.replace("MODEL", str(billion)) for text in overrides]
    found = planned(stage, billion, f"model.compute_dtype={dtype}", *given)
    assert gigabytes(found) == expected


def test_automatic_arithmetic_gives_both(billion: Path) -> None:
    found = planned("reward", billion)["memory"]
    assert found.startswith("16.0 GB in float32 or 18.0 GB in bfloat16, and activations")


def test_memory_is_not_guessed_without_the_weights() -> None:
    found = planned("reward", Path("owner/model"))
    assert found["memory"] == "not known before owner/model is here"
    assert "parameters" not in found


def test_sft_reads_its_data(model: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {n}.", "completion": str(n)} for n in range(40)]
    data = write(tmp_path / "data.jsonl", rows)
    sizes = [f"data.demonstrations={data}", "data.validation_share=0.25"]
    sizes += ["sft.epochs=4", "sft.batch_size=8"]
    found = planned("sft", model, *sizes)
    assert found["demonstrations to train on"].startswith("30 of 40")
    assert found["optimiser steps"].startswith("15,")
    found = planned("sft", model, *sizes, "data.limit=16")
    assert found["optimiser steps"].startswith("8,")


def test_reward_counts_rankings_and_pairs(model: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {n}.", "chosen": "yes", "rejected": "no"} for n in range(20)]
    data = write(tmp_path / "pairs.jsonl", rows)
    found = planned("reward", model, f"data.rankings={data}", "reward.batch_size=6")
    assert found["rankings to train on"].startswith("18 of 20")
    assert found["completions in a ranking"] == "2 to 2"
    assert found["strict pairs"].startswith("20 ")
    assert found["optimiser steps"].startswith("3,")


def test_ppo_counts_passes_over_its_prompts(model: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "prompts.jsonl", [{"prompt": f"Say {n}."} for n in range(20)])
    sizes = ["ppo.episodes=36", "ppo.rollout_batch_size=12", "ppo.minibatch_size=4"]
    found = planned("ppo", model, f"data.prompts={data}", *sizes)
    assert found["passes over the prompts"] == "2"
    assert found["optimiser steps"] == "9"


def test_a_broken_line_is_found_without_a_run(model: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": f"{n}", "completion": "x"} for n in range(9)]
    rows[6] = {"prompt": "7", "completion": 7}
    data = write(tmp_path / "data.jsonl", rows)
    with pytest.raises(DataError, match=r"line 7, field `completion`"):
        planned("sft", model, f"data.demonstrations={data}")
