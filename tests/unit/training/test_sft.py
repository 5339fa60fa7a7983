import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fakes.tiny_models import build_model_dir
from fakes.training_data import write_demonstrations
from heedful.core.errors import ConfigError, DataError, ModelError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import read_records
from heedful.core.metrics import METRICS, read_metrics
from heedful.core.records import Prompt, SamplingParameters
from heedful.core.run import read_card
from heedful.generation.language_model import LanguageModel
from heedful.models.checkpoint import read_checkpoint
from heedful.models.loading import trunk_of
from heedful.training import batches, sft
from heedful.training.batches import Batcher
from heedful.training.display import Display
from heedful.training.examples import read_demonstrations
from heedful.training.language import language_loss


def rows(path: Path) -> list[dict[str, float]]:
    return read_metrics(path / "metrics.jsonl")


def by_step(path: Path, name: str) -> dict[float, float]:
    return {row["step"]: row[name] for row in rows(path) if name in row}


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "checkpoint" / "model.safetensors")


def test_it_learns_and_says_what_it_did(project, display: Display, base: Path):
    config = project(sft={"epochs": 30, "batch_size": 4, "learning_rate": 1e-2})
    card = sft.train(config, display)
    path = config.run.dir
    found = rows(path)
    assert found[0]["language/loss"] > 4
    assert found[-1]["language/loss"] < 1
    assert {name for row in found for name in row} - {"step", "at"} <= METRICS.keys()
    assert found[-1]["progress/epoch"] == 30
    assert (card.kind, card.step, card.made_by) == ("sft", 90, ("simulated",))
    assert read_checkpoint(path / "checkpoint") == card
    run = read_card(path)
    assert run.simulated
    file = base / "demonstrations" / "demonstrations.jsonl"
    assert run.inputs["demonstrations/demonstrations.jsonl"].sha256 == sha256_file(file)
    assert run.cost.trained_tokens > 0
    model = LanguageModel.open(str(path))
    learnt = read_demonstrations(config.data, model.formatter, 0, display.say).train
    lengths = [len(pair.completion_ids) for pair in learnt]
    assert card.completion_tokens == sum(lengths) / len(lengths)
    known = read_records(base / "demonstrations" / "prompts.jsonl", Prompt)
    prompts = [prompt for prompt in known if prompt.split == "train"][:4]
    greedy = model.complete(prompts, SamplingParameters(max_tokens=12, temperature=0))
    texts = {p.id: p.instruction.split()[1] for p in prompts}
    assert sum(row[0].text == texts[row[0].prompt_id] for row in greedy) >= 2


def test_the_same_seed_gives_the_same_bytes(project, display: Display):
    for name in ("one", "two"):
        sft.train(project(name), display)
    sft.train(project("other", run={"seed": 1}), display)
    files = {
        name: sha256_file(project(name).run.dir / "checkpoint" / "model.safetensors")
        for name in ("one", "two", "other")
    }
    assert files["one"] == files["two"] != files["other"]


def test_padding_changes_the_speed_not_the_loss_and_is_said(
    project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    sft.train(project("side by side"), Display())
    assert "padded" not in capsys.readouterr().err
    monkeypatch.setattr(batches, "takes_side_by_side", lambda _: False)
    sft.train(project("padded"), Display())
    assert "A LlamaModel reads rows padded to the longest" in capsys.readouterr().err
    ragged, padded = (rows(project(name).run.dir) for name in ("side by side", "padded"))
    for ours, theirs in zip(ragged, padded, strict=True):
        assert ours["language/loss"] == pytest.approx(theirs["language/loss"], rel=1e-3)


def test_pretraining_text_has_its_share(project, display: Display):
    config = project(
        sft={"pretraining_share": 0.25, "pretraining_tokens": 16, "kind": "ppo_init", "epochs": 3}
    )
    card = sft.train(config, display)
    found = rows(config.run.dir)
    # 12 demonstrations, 3 in each step of 4 examples: an epoch is 4 steps.
    assert len(found) == 12
    assert found[-1]["progress/epoch"] == 3
    assert found[-1]["pretrain/loss"] < found[0]["pretrain/loss"]
    assert card.kind == "ppo_init"
    assert "pretraining" in read_card(config.run.dir).inputs


def test_a_share_that_leaves_no_demonstrations_is_refused(project):
    with pytest.raises(ValueError, match="leaves no room for demonstrations"):
        project(sft={"batch_size": 1, "pretraining_share": 0.1})


def validation_loss(path: Path, config) -> float:
    language = LanguageModel.open(str(path))
    data = read_demonstrations(config.data, language.formatter, 0, lambda _: None)
    return language_loss(
        language.model,
        data.validation,
        Batcher(
            trunk_of(language.model),
            pad_id=language.tokenizer.pad_id,
            device=torch.device("cpu"),
            max_tokens=256,
        ),
    )


def test_the_best_epoch_is_kept(project, display: Display):
    # A learning rate so high that late epochs are worse.
    config = project(
        sft={
            "epochs": 8,
            "learning_rate": 0.05,
            "min_learning_rate_ratio": 1.0,
            "choose_by": "validation_loss",
        }
    )
    card = sft.train(config, display)
    losses = by_step(config.run.dir, "validation/loss")
    assert len(losses) == 8
    best = min(losses, key=lambda step: losses[step])
    assert card.step == best
    assert validation_loss(config.run.dir, config) == pytest.approx(losses[best], rel=1e-4)
    assert any(f"step {best}" in note for note in read_card(config.run.dir).notes)


def test_a_reward_model_may_choose(project, display: Display, reward_run: Path):
    config = project(sft={"choose_by": "reward", "reward_model": str(reward_run), "epochs": 3})
    card = sft.train(config, display)
    scores = by_step(config.run.dir, "validation/score")
    assert len(scores) == 3
    assert card.step == max(scores, key=lambda step: scores[step])
    judge = read_checkpoint(reward_run / "checkpoint")
    assert judge is not None
    assert read_card(config.run.dir).parents == {"reward": judge.id}


def test_adapters_are_saved_as_a_plain_model(project, display: Display, base: Path):
    config = project(model={"lora_rank": 4}, sft={"epochs": 4, "learning_rate": 0.05})
    sft.train(config, display)
    found = rows(config.run.dir)
    assert found[-1]["language/loss"] < found[0]["language/loss"]
    before, after = load_file(base / "model" / "model.safetensors"), weights(config.run.dir)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all("proj" in name for name in moved)


def test_dropout_needs_an_architecture_that_has_it(project, display: Display, tmp_path: Path):
    config = project(sft={"dropout": 0.2})
    with pytest.raises(ModelError, match="has no dropout layers"):
        sft.train(config, display)
    gpt2 = build_model_dir(tmp_path / "gpt2", "gpt2", initial_std=0.1)
    runs = []
    for name, dropout in (("a", 0.2), ("b", 0.2), ("c", 0.0)):
        config = project(name, model={"name": str(gpt2)}, sft={"dropout": dropout, "epochs": 1})
        sft.train(config, display)
        runs.append(rows(config.run.dir)[-1]["language/loss"])
    assert runs[0] == runs[1] != runs[2]


class TestRefusals:
    def test_no_validation_to_choose_by(self, project, display, tmp_path):
        folder = write_demonstrations(tmp_path / "few", count=3)
        config = project(data={"demonstrations": folder}, sft={"choose_by": "validation_loss"})
        with pytest.raises(ConfigError, match="needs validation demonstrations"):
            sft.train(config, display)

    def test_texts_longer_than_the_model_holds(self, project, display, tmp_path):
        short = build_model_dir(tmp_path / "short", max_position_embeddings=16)
        with pytest.raises(ConfigError, match=r"the longest text has \d+ tokens.* holds 16"):
            sft.train(project(model={"name": str(short)}), display)

    def test_no_data(self, project, display):
        with pytest.raises(ConfigError, match=r"data\.demonstrations"):
            sft.train(project(data={"demonstrations": None}), display)

    def test_pretraining_text_too_short(self, project, display, tmp_path):
        (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "a"}) + "\n")
        config = project(
            data={"pretraining": tmp_path / "texts.jsonl"}, sft={"pretraining_share": 0.5}
        )
        with pytest.raises(DataError, match="no pretraining text of at least 32 tokens"):
            sft.train(config, display)
