import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.tiny_models import build_model_dir
from heedful.cli.plan import plan
from heedful.core.config import load_config
from heedful.core.errors import DataError
from heedful.core.settings import Project


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEEDFUL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def planned_lines(stage: str, model: Path, *overrides: str) -> list[str]:
    settings = ["run.dir=runs/none", "run.threads=1", f"model.name={model}", "model.device=cpu"]
    config = load_config(Project, [], [*settings, *overrides])
    return plan(stage, config, lambda _: None).splitlines()


def planned(stage: str, model: Path, *overrides: str) -> dict[str, str]:
    lines = planned_lines(stage, model, *overrides)
    return dict(line.split(": ", 1) for line in lines if not line.startswith(" "))


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


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


def rows(found: list[str]) -> dict[str, list[str]]:
    """The tables: name -> cells."""
    cells = [line.split("  ") for line in found if line.startswith("  ")]
    split = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    return {row[0]: row[1:] for row in split}


def test_memory_is_shown_by_part_and_moment(model: Path) -> None:
    lines = planned_lines("ppo", model, f"ppo.reward={model}", "model.compute_dtype=float32")
    table = rows(lines)
    assert table["training"] == ["saving", "drawing"]
    assert table["interpreter and libraries"][0].endswith(" GB")
    assert {"weights", "optimiser", "gradients", "activations", "together"} <= set(table)
    (memory,) = [line for line in lines if line.startswith("memory: ")]
    assert memory.split(": ")[1].split(" at the most")[0] == max(table["together"])
    assert memory.endswith("computed in float32")


def test_time_is_shown_by_phase(model: Path) -> None:
    sizes = ["ppo.episodes=512", "format.max_prompt_tokens=20", "format.max_completion_tokens=8"]
    lines = planned_lines("ppo", model, f"ppo.reward={model}", *sizes)
    table = rows(lines)
    assert table["drawing"][1] == f"{512 * 8:,}"
    assert table["updating"][1] == f"{2 * 512 * 28:,}"
    assert any(line.startswith("time: ") for line in lines)
    assert any("assumed to be the longest that [format] allows" in line for line in lines)


def test_the_machine_is_measured_once(model: Path) -> None:
    told: list[str] = []
    config = load_config(Project, [], ["run.dir=none", f"model.name={model}", "model.lora_rank=2"])
    plan("sft", config, told.append)
    assert len(told) == 1
    plan("sft", config, told.append)
    assert len(told) == 1


def test_an_automatic_microbatch_is_named(model: Path) -> None:
    lines = planned_lines("sft", model, "model.microbatch_tokens=auto")
    assert "microbatches: auto takes 2048 tokens of at most 2048" in lines


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
