"""A tiny model, data and reward checkpoint on disk, built once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.tiny_models import build_model_dir
from fakes.training_data import make_project, write_demonstrations, write_rankings, write_texts
from heedful.core.settings import Project
from heedful.data.formatting import PromptFormatter
from heedful.data.tokenizer import TextTokenizer
from heedful.training import reward
from heedful.training.display import Display

MakeProject = Callable[..., Project]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model`, `demonstrations`, `rankings` and `texts.jsonl`."""
    folder = tmp_path_factory.mktemp("base")
    build_model_dir(folder / "model", initial_std=0.1)
    write_demonstrations(folder / "demonstrations")
    write_rankings(folder / "rankings")
    write_texts(folder / "texts.jsonl")
    return folder


@pytest.fixture
def project(base: Path, tmp_path: Path) -> MakeProject:
    """Builds a project on that data; its run directory is `tmp_path`/`name`."""

    def build(name: str = "run", **sections: dict[str, object]) -> Project:
        data: dict[str, object] = {
            "demonstrations": base / "demonstrations",
            "rankings": base / "rankings",
            "prompts": base / "demonstrations" / "prompts.jsonl",
            "pretraining": base / "texts.jsonl",
        }
        sections["data"] = data | sections.get("data", {})
        return make_project(tmp_path / name, base / "model", **sections)

    return build


@pytest.fixture(scope="session")
def reward_run(base: Path) -> Path:
    """A trained reward model of the tiny rankings."""
    data = {"rankings": base / "rankings", "demonstrations": base / "demonstrations"}
    config = make_project(
        base / "reward", base / "model", data=data, reward={"epochs": 20, "learning_rate": 1e-2}
    )
    reward.train(config, Display(quiet=True))
    return config.run.dir


@pytest.fixture
def display() -> Display:
    return Display(quiet=True)


@pytest.fixture
def formatter(base: Path, project: MakeProject) -> PromptFormatter:
    settings = project().format
    assert settings is not None
    return PromptFormatter(settings, TextTokenizer.from_dir(base / "model"))
