import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakes.training_data import WORDS, make_prompt, write_rankings
from heedful.core.errors import ConfigError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import read_records
from heedful.core.metrics import METRICS, read_metrics
from heedful.core.records import EvalResult
from heedful.core.run import RunDirectory, read_card
from heedful.core.settings import Project
from heedful.losses.ranking import ranking_loss
from heedful.models.checkpoint import load_scalar, read_checkpoint
from heedful.models.folders import ModelFolder
from heedful.training import reward
from heedful.training.batches import stream_slice
from heedful.training.display import Display
from heedful.training.examples import read_demonstrations
from heedful.training.forecast import Planned
from heedful.training.out_of_memory import TokenBudget
from heedful.training.reward_evaluation import SourceScore
from heedful.training.scoring import RewardModel

CPU = torch.device("cpu")


def test_scores_are_kept_by_source_and_demonstrations_have_mean_0(reward_run):
    scores = read_records(reward_run / "scores.jsonl", SourceScore)
    mine = [found.score for found in scores if found.source == "demonstrations"]
    assert sum(mine) / len(mine) == pytest.approx(0, abs=1e-5)
    assert len({found.source for found in scores}) > 1


def test_it_learns_a_separable_ranking(reward_run: Path):
    found = read_metrics(reward_run / "metrics.jsonl")
    assert found[-1]["reward/accuracy"] > 0.95
    assert found[-1]["reward/loss"] < 0.2
    assert {name for row in found for name in row} - {"step", "at"} <= METRICS.keys()
    # Three completions without a tie: three pairs a prompt.
    assert found[0]["reward/num_pairs"] == 3 * 4
    results = {r.metric: r for r in read_records(reward_run / "results.jsonl", EvalResult)}
    assert results["accuracy"].value > 0.9
    assert results["accuracy"].num_examples == 3 * 4
    assert results.keys() == {"accuracy", "length_accuracy", "log_loss", "calibration_error"}
    for name in ("accuracy", "length_accuracy", "log_loss"):
        assert results[name].ci_low is not None
        assert results[name].made_by == "simulated"
    assert (reward_run / "calibration.json").is_file()
    assert read_card(reward_run).simulated


def test_demonstrations_score_zero_on_average_and_still_do_once_reloaded(reward_run: Path, project):
    model = RewardModel.open(str(reward_run), CPU, torch.float32)
    demonstrations = read_demonstrations(project().data, model.formatter, 0, lambda _: None).train
    scores = model.score_pairs(demonstrations)
    assert sum(scores) / len(scores) == pytest.approx(0, abs=1e-5)
    assert max(map(abs, scores)) > 0.01
    saved = load_file(reward_run / "checkpoint" / "scalar.safetensors")
    assert saved["offset"].item() == model.model.offset.item() != 0
    loaded = load_scalar(ModelFolder("x", reward_run / "checkpoint"))
    assert loaded.offset.item() == model.model.offset.item()


def test_each_prompt_and_each_completion_is_encoded_once(project, display: Display):
    config = project(reward={"epochs": 1, "batch_size": 4})
    num_tokens: list[int] = []
    training = begun(config, display)
    training.model.trunk.register_forward_pre_hook(
        lambda _, __, kwargs: num_tokens.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    metrics = training._step(0)
    expected = [
        len(example.pairs[0].prompt_ids) + sum(len(pair.completion_ids) for pair in example.pairs)
        for example in training.data.train
    ]
    chosen = stream_slice(len(training.data.train), 0, 4, config.run.seed)
    assert sum(num_tokens) == sum(expected[index] for index in chosen)
    assert training.directory.card.cost.trained_tokens == sum(num_tokens)
    assert metrics["reward/num_pairs"] == 3 * 4


def begun(config: Project, display: Display) -> reward._RewardTraining:
    """The trainer before its first step."""
    run = RunDirectory.start(config.run.dir, kind="reward", seed=0, config=config)
    plan = Planned(config, TokenBudget(config.model.max_microbatch))
    return reward._RewardTraining(plan, run, display)


def test_microbatches_add_up_to_the_loss_of_the_whole_batch(project, display: Display):
    losses = []
    for name, budget in (("small", 32), ("large", 4096)):
        config = project(name, model={"microbatch_tokens": budget}, reward={"batch_size": 12})
        training = begun(config, display)
        scores, ranks, groups = training._scores(training.data.train)
        losses.append(ranking_loss(scores, ranks, groups)[0].item())
        losses.append(training._step(0)["reward/loss"])
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-5)


def test_the_head_begins_near_chance(project, display: Display):
    config = project(reward={"epochs": 1})
    reward.train(config, display)
    first = read_metrics(config.run.dir / "metrics.jsonl")[0]
    assert first["reward/loss"] == pytest.approx(math.log(2), abs=0.2)


def test_without_demonstrations_the_best_ranked_score_zero(project, display: Display):
    config = project(data={"demonstrations": None})
    reward.train(config, display)
    model = RewardModel.open(str(config.run.dir), CPU, torch.float32)
    numbers = [number for number in range(16) if number % 4 != 3]
    prompts = [make_prompt(number) for number in numbers]
    best = [f"good {WORDS[number % len(WORDS)]}" for number in numbers]
    scores = model.score(prompts, best)
    assert sum(scores) / len(scores) == pytest.approx(0, abs=1e-4)
    assert any("best-ranked" in note for note in read_card(config.run.dir).notes)


def test_the_same_seed_gives_the_same_bytes(project, display: Display):
    digests = []
    for name in ("one", "two"):
        reward.train(project(name), display)
        folder = project(name).run.dir / "checkpoint"
        files = (folder / "model.safetensors", folder / "scalar.safetensors")
        digests.append([sha256_file(file) for file in files])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_adapters_are_merged(project, display: Display, base: Path, dtype: str):
    config = project(model={"lora_rank": 4, "compute_dtype": dtype}, reward={"learning_rate": 0.02})
    card = reward.train(config, display)
    assert read_checkpoint(config.run.dir / "checkpoint") == card
    after = load_file(config.run.dir / "checkpoint" / "model.safetensors")
    before = load_file(base / "model" / "model.safetensors")
    assert {f"model.{name}" for name in after} <= before.keys()
    assert all(tensor.dtype == torch.float32 for tensor in after.values())


def test_held_out_rankings_may_be_absent(project, display: Display, tmp_path: Path):
    folder = write_rankings(tmp_path / "few", count=3)
    config = project(data={"rankings": folder})
    reward.train(config, display)
    assert not (config.run.dir / "results.jsonl").exists()


def test_rankings_are_needed(project, display: Display):
    with pytest.raises(ConfigError, match=r"data\.rankings"):
        reward.train(project(data={"rankings": None}), display)
