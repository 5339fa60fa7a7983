"""How the stages hang together; `tests/integration/test_quickstart.py` runs them."""

from pathlib import Path

import pytest

from fakes.tiny_models import build_model_dir
from heedful.core.settings import Project
from heedful.pipeline.quickstart import model_files, quickstart_stages
from heedful.pipeline.quickstart_settings import load_quickstart
from heedful.pipeline.stages import Stage
from heedful.training.display import Display


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny")


def stages(model: Path, *overrides: str) -> dict[str, Stage]:
    settings = ["run.dir=base", f"model.name={model}", *overrides]
    found = quickstart_stages(load_quickstart([], settings), Display(quiet=True))
    return {stage.name: stage for stage in found}


def test_an_input_is_the_models_or_an_output_of_an_earlier_stage(model: Path) -> None:
    known = set(model_files(model))
    for stage in stages(model).values():
        if stage.name != "data":
            assert set(stage.inputs) <= known
        known |= {Path("base") / stage.name / output for output in stage.outputs}


def test_every_stage_says_why(model: Path) -> None:
    for stage in stages(model).values():
        assert stage.why.endswith(".")
        assert len(f"8/8 {stage.name}: {stage.why}") <= 100


def test_settings_reach_only_the_stages_that_need_them(model: Path) -> None:
    before = {name: stage.settings for name, stage in stages(model).items()}

    def changed(override: str) -> list[str]:
        after = stages(model, override)
        return [name for name, stage in after.items() if stage.settings != before[name]]

    assert changed("ppo.kl_coef=0.5") == ["ppo", "ppo_ptx"]
    assert changed("ppo_ptx.ptx_coef=0.5") == ["ppo_ptx"]
    assert changed("reward.epochs=2") == ["reward"]
    assert changed("sft.epochs=2") == ["sft"]
    assert changed("run.seed=1") == [name for name in before if name != "data"]


def project(stage: Stage) -> Project:
    assert isinstance(stage.settings, Project)
    return stage.settings


def test_ppo_starts_where_the_paper_starts(model: Path) -> None:
    found = stages(model)
    for name in ("ppo", "ppo_ptx"):
        assert project(found[name]).ppo.init == "base/ppo_init"
        assert project(found[name]).ppo.reward == "base/reward"
    assert project(found["ppo"]).ppo.ptx_coef == 0
    assert project(found["ppo_ptx"]).ppo.ptx_coef > 0
    assert project(found["reward"]).model.name == "base/sft"
    assert project(found["ppo_init"]).sft.kind == "ppo_init"


def test_on_a_shared_trunk_the_reward_model_starts_where_ppo_does(model: Path) -> None:
    found = stages(model, "model.lora_rank=4", "ppo.shared_trunk=true")
    assert project(found["reward"]).model.name == project(found["ppo"]).ppo.init
    assert Path("base/ppo_init/checkpoint/checkpoint.json") in found["reward"].inputs


def test_pretraining_text_is_given_to_those_that_train_on_it(model: Path) -> None:
    found = stages(model)
    with_text = [
        name
        for name in ("sft", "ppo_init", "ppo", "ppo_ptx")
        if project(found[name]).data.pretraining is not None
    ]
    assert with_text == ["ppo_init", "ppo_ptx"]
    mixed = stages(model, "sft.pretraining_share=0.2")
    assert project(mixed["sft"]).data.pretraining is not None


def test_a_model_is_known_by_its_weights_a_checkpoint_by_its_card(
    model: Path, tmp_path: Path
) -> None:
    names = {file.name for file in model_files(model)}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    (tmp_path / "checkpoint.json").touch()
    (tmp_path / "model.safetensors").touch()
    assert model_files(tmp_path) == [tmp_path / "checkpoint.json"]
