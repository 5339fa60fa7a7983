from pathlib import Path

import pytest
from typer.testing import CliRunner

from heedful.cli.main import app
from heedful.cli.train import as_toml
from heedful.core.config import load_config
from heedful.core.errors import ConfigError
from heedful.core.settings import Project
from heedful.pipeline.quickstart_settings import Quickstart, load_quickstart

RUNNER = CliRunner()


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["ppo.value_clip_range=none", "ppo.target_kl=6.0", "format.template=plain"],
        ['data.licence="say \\"please\\"\\n and \\\\ thanks"', "data.prompts=ünder/way.jsonl"],
    ],
)
def test_resolved_settings_give_themselves_again(tmp_path: Path, overrides: list[str]) -> None:
    config = load_config(Project, [], ["run.dir=runs/x", *overrides])
    (tmp_path / "project.toml").write_text(as_toml(config))
    assert load_config(Project, [tmp_path / "project.toml"]) == config


def test_resolved_settings_of_the_quickstart_give_themselves_again(tmp_path: Path) -> None:
    config = load_quickstart([], ["ppo.kl_coef=0.5"])
    (tmp_path / "quickstart.toml").write_text(as_toml(config))
    assert load_config(Quickstart, [tmp_path / "quickstart.toml"]) == config


@pytest.mark.parametrize("stage", ["sft", "reward", "ppo"])
def test_a_dry_run_prints_a_project_file_and_the_plan(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path))
    folder = tmp_path / "run"
    result = RUNNER.invoke(app, ["train", stage, "--set", f"run.dir={folder}", "--dry-run"])
    assert result.exit_code == 0
    assert "# memory: " in result.output
    assert "# time: " in result.output
    (tmp_path / "project.toml").write_text(result.output)
    again = load_config(Project, [tmp_path / "project.toml"])
    assert again == load_config(Project, [], [f"run.dir={folder}"])
    assert not folder.exists()


def test_a_misspelt_setting_is_named_with_the_nearest(tmp_path: Path) -> None:
    arguments = ["train", "ppo", "--set", f"run.dir={tmp_path}", "--set", "ppo.klcoef=1"]
    error = RUNNER.invoke(app, arguments).exception
    assert isinstance(error, ConfigError)
    assert "unknown setting `ppo.klcoef`" in error.what
    assert error.hint == "Did you mean `ppo.kl_coef`?"


def test_a_later_file_wins_and_set_wins_over_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[run]\ndir = "x"\n[ppo]\nkl_coef = 0.1\nepisodes = 512\n')
    (tmp_path / "b.toml").write_text("[ppo]\nkl_coef = 0.2\n")
    files = [str(tmp_path / "a.toml"), str(tmp_path / "b.toml")]
    printed = RUNNER.invoke(app, ["train", "ppo", *files, "--dry-run"]).output
    assert "kl_coef = 0.2\n" in printed
    assert "episodes = 512\n" in printed
    chosen = ["--set", "ppo.kl_coef=0.3", "--dry-run"]
    assert "kl_coef = 0.3\n" in RUNNER.invoke(app, ["train", "ppo", *files, *chosen]).output
