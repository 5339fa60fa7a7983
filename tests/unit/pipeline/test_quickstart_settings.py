from pathlib import Path

import pytest

from heedful.core.errors import ConfigError
from heedful.pipeline.quickstart_settings import load_quickstart


def test_the_packaged_settings_are_whole() -> None:
    config = load_quickstart([], [])
    assert config.run.dir == Path("runs/quickstart")
    assert load_quickstart([], ["run.seed=1"]).run.dir == Path("runs/quickstart")
    assert config.format.template == "plain"
    assert config.ppo_init.pretraining_share == 0.1


def test_a_file_and_then_set_win_over_the_packaged_settings(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[ppo]\nkl_coef = 0.5\n[sizes]\ntest_prompts = 7\n")
    config = load_quickstart([tmp_path / "mine.toml"], ["ppo.kl_coef=0.25"])
    assert (config.ppo.kl_coef, config.sizes.test_prompts) == (0.25, 7)
    assert config.ppo.episodes == load_quickstart([], []).ppo.episodes


@pytest.mark.parametrize(
    "override",
    [
        "ppo.init=runs/other",
        "ppo.reward=runs/other",
        "ppo.ptx_coef=2.0",
        "ppo_init.kind=ppo_init",
        "sft.kind=ppo_init",
    ],
)
def test_what_the_quickstart_decides_is_refused(override: str) -> None:
    name = override.partition("=")[0]
    with pytest.raises(ConfigError, match=f"{name} is decided by the quickstart itself"):
        load_quickstart([], [override])


def test_sizes_that_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="min_completions is larger than max_completions"):
        load_quickstart([], ["sizes.min_completions=6", "sizes.max_completions=5"])


def test_stages_that_sample_depend_on_what_decides_samples() -> None:
    def settings(*overrides: str) -> object:
        return load_quickstart([], list(overrides)).sampling_stage()

    assert settings("ppo.kl_coef=0.5", "run.dir=elsewhere") == settings()
    for changed in ("run.seed=1", "sizes.test_prompts=3", "format.max_completion_tokens=9"):
        assert settings(changed) != settings()
