import json
from pathlib import Path

import pytest

from heedful.core.jsonl import read_records, read_rows
from heedful.core.records import Demonstration, Prompt
from heedful.data.split import report_split
from heedful.pipeline.quickstart_stages import shares, write_data
from heedful.training.display import Display


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder, 100, Display(quiet=True))
    return folder


def test_nobody_and_no_text_is_on_two_sides(data: Path) -> None:
    prompts = read_records(data / "prompts.jsonl", Prompt)
    assert {prompt.split for prompt in prompts} == {"train", "validation", "test"}
    assert not report_split(prompts).leaks
    assert json.loads((data / "split.json").read_text())["shared_users"] == []


def test_demonstrations_answer_prompts_of_the_data(data: Path) -> None:
    splits = {prompt.id: prompt.split for prompt in read_records(data / "prompts.jsonl", Prompt)}
    demonstrations = read_records(data / "demonstrations.jsonl", Demonstration)
    answered = [splits[found.prompt_id] for found in demonstrations]
    assert answered.count("train") == 100
    assert min(answered.count("validation"), answered.count("test")) > 50


def test_pretraining_text_is_held_out_too(data: Path) -> None:
    def texts(split: str) -> set[str]:
        return {str(row["text"]) for _, row in read_rows(data / f"pretraining_{split}.jsonl")}

    assert texts("train")
    assert texts("validation")
    assert not texts("train") & texts("validation")


def test_the_split_is_frozen(data: Path, tmp_path: Path) -> None:
    write_data(tmp_path, 100, Display(quiet=True))
    assert (tmp_path / "prompts.jsonl").read_bytes() == (data / "prompts.jsonl").read_bytes()


@pytest.mark.parametrize("num_completions", range(2, 10))
def test_three_models_share_the_completions_of_a_prompt(num_completions: int) -> None:
    start, sft, ppo_init = shares(num_completions)
    assert start + sft + ppo_init == num_completions
    assert start == 1
    assert 0 <= ppo_init - sft <= 1
