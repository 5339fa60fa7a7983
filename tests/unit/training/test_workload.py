import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fakes.training_data import make_project
from heedful.core.errors import CheckpointError, DataError
from heedful.core.records import Checkpoint
from heedful.core.settings import Project
from heedful.data.formatting import PromptFormatter
from heedful.data.tokenizer import TextTokenizer
from heedful.training.display import Display
from heedful.training.examples import read_demonstrations, read_rankings
from heedful.training.workload import Workload, read_workload


def quiet(config: Project, base: Path) -> tuple[Project, PromptFormatter]:
    assert config.format is not None
    return config, PromptFormatter(config.format, TextTokenizer.from_dir(base / "model"))


def test_demonstrations_are_counted_as_sft_reads_them(project: Any, base: Path) -> None:
    config, formatter = quiet(project(), base)
    work = read_workload("sft", config, base / "model")
    data = read_demonstrations(config.data, formatter, 0, Display(quiet=True).say)
    assert (work.read, work.training, work.validation) == (
        16,
        len(data.train),
        len(data.validation),
    )
    lengths = [len(pair.prompt_ids) for pair in data.train]
    assert work.prompt_tokens == pytest.approx(sum(lengths) / len(lengths))
    lengths = [len(pair.completion_ids) for pair in data.train]
    assert work.completion_tokens == pytest.approx(sum(lengths) / len(lengths))
    assert work.longest == max(map(len, data.train))
    assert work.source == "counted in all examples"
    assert work.kept == 1.0


def test_rankings_are_counted_as_the_reward_model_reads_them(project: Any, base: Path) -> None:
    config, formatter = quiet(project(), base)
    work = read_workload("reward", config, base / "model")
    data = read_rankings(config.data, formatter, 0, Display(quiet=True).say)
    assert work.training == len(data.train)
    assert (work.completions, work.sizes) == (3.0, (3, 3))
    sizes = [sum(map(len, example.pairs)) / 3 for example in data.train]
    assert work.pair_tokens == pytest.approx(sum(sizes) / len(sizes))
    assert work.example_tokens == work.prompt_tokens + 3 * work.completion_tokens


def test_completions_that_are_yet_to_be_drawn_are_long(project: Any, base: Path) -> None:
    work = read_workload("ppo", project(), base / "model")
    assert work.completion_tokens == 12
    assert 0 < work.prompt_tokens < 64
    assert "completions assumed" in work.source


def test_for_time_they_are_as_long_as_the_demonstrations_behind_the_checkpoint(
    project: Any, base: Path, tmp_path: Path
) -> None:
    shutil.copytree(base / "model", tmp_path / "model")
    card = Checkpoint(
        id="sft-1",
        kind="sft",
        step=1,
        base_model="m",
        config_hash="c",
        tokenizer_hash="t",
        format_version="f",
    )

    def work(completion_tokens: float | None) -> Workload:
        known = card.model_copy(update={"completion_tokens": completion_tokens})
        (tmp_path / "model" / "checkpoint.json").write_text(known.model_dump_json())
        return read_workload("ppo", project(), tmp_path / "model")

    short = work(5.0)
    assert (short.completion_tokens, short.expected.completion_tokens) == (12, 5.0)
    assert short.source.endswith("and for time as long as the model learnt to write, 5 tokens")
    assert short.expected.prompt_tokens == short.prompt_tokens
    assert work(99.0).expected.completion_tokens == 12
    unknown = work(None)
    assert unknown.expected == unknown
    (tmp_path / "model" / "checkpoint.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not a checkpoint card"):
        read_workload("ppo", project(), tmp_path / "model")


def test_what_the_budgets_leave_out_is_left_out(project: Any, base: Path) -> None:
    tight = {"max_prompt_tokens": 64, "max_completion_tokens": 4, "template": "plain"}
    config, formatter = quiet(project(format=tight), base)
    data = read_demonstrations(config.data, formatter, 0, Display(quiet=True).say)
    work = read_workload("sft", config, base / "model")
    assert work.kept == pytest.approx(len(data.train) / work.training)
    assert work.kept < 1


def test_lengths_are_assumed_without_data_or_model(tmp_path: Path, project: Any) -> None:
    for stage in ("sft", "reward", "ppo"):
        without = read_workload(stage, make_project(tmp_path, tmp_path / "model"), None)
        assert (without.prompt_tokens, without.completion_tokens) == (64, 12)
        assert without.read is None
        assert "assumed" in without.source
    counted = read_workload("sft", project(), None)
    assert (counted.read, counted.prompt_tokens) == (16, 64)


def test_a_checkpoints_own_format_counts(tmp_path: Path, base: Path) -> None:
    config = make_project(tmp_path, base / "model").model_copy(update={"format": None})
    (tmp_path / "format.json").write_text(json.dumps({"max_prompt_tokens": 77}))
    assert read_workload("sft", config, tmp_path).prompt_tokens == 77


def test_the_limit_counts(project: Any, base: Path) -> None:
    work = read_workload("sft", project(data={"limit": 5}), base / "model")
    assert work.training == 5


def test_broken_data_is_named(project: Any, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"prompt": 7}\n')
    config = project(data={"demonstrations": tmp_path / "data.jsonl"})
    with pytest.raises(DataError, match="line 1"):
        read_workload("sft", config, None)
