"""What may be set in the quickstart; the packaged values are in `quickstart.toml`."""

from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from heedful.core.config import load_config
from heedful.core.settings import (
    FormatSettings,
    ModelSettings,
    PPOSettings,
    RewardSettings,
    SFTSettings,
    check_shared_trunk,
)
from heedful.core.settings_section import Settings


class SizeSettings(Settings):
    """How much of everything."""

    demonstrations: int = Field(
        gt=0, description="Training prompts with a demonstration; the others only have rankings."
    )
    ranking_prompts: int = Field(gt=0, description="Training prompts whose completions are ranked.")
    min_completions: int = Field(4, ge=2, le=9, description="Fewest completions in a ranking.")
    max_completions: int = Field(9, ge=2, le=9, description="Most completions in a ranking.")
    test_prompts: int = Field(gt=0, description="Most held-out prompts in the evaluation.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_completions > self.max_completions:
            raise ValueError("min_completions is larger than max_completions")
        return self


class PtxSettings(Settings):
    """Where PPO-ptx differs from [ppo]."""

    ptx_coef: float = Field(gt=0, description="Weight of the pretraining loss.")
    ptx_ratio: float = Field(gt=0, description="Pretraining examples per episode.")
    ptx_tokens: int = Field(gt=1, description="Tokens in one pretraining example.")


class QuickstartRun(Settings):
    """Where it runs."""

    # (Settings are validated as JSON, in which a Path is none.)
    dir: Path = Field(
        Path("runs/quickstart"),
        validate_default=False,
        description="Folder of the whole quickstart.",
    )
    seed: int = Field(0, ge=0, description="Decides every random choice but the frozen split.")
    threads: int = Field(0, ge=0, description="CPU threads; 0 leaves PyTorch's own choice.")


class SamplingStage(Settings):
    """What decides the stages that sample and judge, besides the checkpoints."""

    model: ModelSettings
    format: FormatSettings
    sizes: SizeSettings
    seed: int


# What the quickstart fills in; a value given for it would do nothing.
_DECIDED = {
    "sft": ("kind", "reward_model"),
    "ppo_init": ("kind", "reward_model"),
    "ppo": ("init", "reward", "ptx_coef", "ptx_ratio", "ptx_tokens"),
}


class Quickstart(Settings):
    """The quickstart's project file (`heedful/pipeline/quickstart.toml`)."""

    run: QuickstartRun = QuickstartRun()
    model: ModelSettings
    format: FormatSettings
    sizes: SizeSettings
    sft: SFTSettings
    ppo_init: SFTSettings
    reward: RewardSettings
    ppo: PPOSettings
    ppo_ptx: PtxSettings

    @model_validator(mode="after")
    def _check(self) -> Self:
        for section, names in _DECIDED.items():
            values = getattr(self, section)
            for name in names:
                if getattr(values, name) != type(values).model_fields[name].default:
                    raise ValueError(f"{section}.{name} is decided by the quickstart itself")
        check_shared_trunk(self.model, self.ppo)
        return self

    def sampling_stage(self) -> SamplingStage:
        """The part that the stages `rankings` and `evaluation` depend on."""
        return SamplingStage(
            model=self.model, format=self.format, sizes=self.sizes, seed=self.run.seed
        )


def load_quickstart(config_files: list[Path], overrides: list[str]) -> Quickstart:
    """The packaged settings, then `config_files`, then `overrides`."""
    packaged = Path(str(files("heedful.pipeline").joinpath("quickstart.toml")))
    return load_config(Quickstart, [packaged, *config_files], overrides)
