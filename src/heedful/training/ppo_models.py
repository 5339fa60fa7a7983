"""The networks of PPO: policy, frozen reference, value model, and the scorer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.protocols import Scorer
from heedful.core.records import Checkpoint, MadeBy
from heedful.core.settings import Project
from heedful.generation.language_model import LanguageModel
from heedful.models.adapters import add_lora
from heedful.models.checkpoint import load_scalar, require_kind
from heedful.models.loading import num_matrix_parameters
from heedful.training.loop import Trainable, prepare
from heedful.training.scoring import RewardModel, open_scorer, require_same_format


@dataclass(slots=True, kw_only=True)
class Models:
    """What one PPO run computes with.

    Attributes:
        language: The policy with its tokenizer, format and decoder.
        policy: The same weights as a trainable.
        ref_policy: A frozen copy of where the policy began.
        value: The value model as a trainable.
        scorer: Reward model or function.
        parents: Role -> checkpoint id.
        ema: Exponential average of the policy's masters, where `ppo.ema` asks for it.
    """

    language: LanguageModel
    policy: Trainable
    ref_policy: Any
    value: Trainable
    scorer: Scorer
    parents: dict[str, str]
    made_by: tuple[MadeBy, ...]
    device: torch.device
    num_policy_parameters: int
    num_value_parameters: int
    ema_decay: float | None
    ema: dict[str, Tensor] | None

    @property
    def pad_id(self) -> int:
        return self.language.tokenizer.pad_id

    @classmethod
    def open(cls, config: Project) -> Self:
        """Load all of them as `[ppo]` says.

        Raises:
            ConfigError: No reward, or no checkpoint for the value model.
            CheckpointError: The checkpoints do not go together.
        """
        settings = config.ppo
        reward_name, value_name = _reward_and_value(config)
        device, dtype = prepare(config.run, config.model)
        init = settings.init or config.model.name
        language = LanguageModel.open(init, format_settings=config.format)
        num_policy_parameters = num_matrix_parameters(language.model)
        reference = LanguageModel.open(
            init, format_settings=config.format, dtype=dtype, device=device
        )
        for parameter in reference.model.parameters():
            parameter.requires_grad_(False)
        scorer = open_scorer(reward_name, device, dtype)
        if isinstance(scorer, RewardModel):
            require_same_format(language.formatter, scorer)
            for parameter in scorer.model.parameters():
                parameter.requires_grad_(False)
        value_folder, value_card = require_kind(value_name, ("reward",))
        _require_same_tokenizer(language, value_card)
        value_model = load_scalar(value_folder)
        if settings.value_head == "zero":
            value_model.zero_head()
        num_value_parameters = num_matrix_parameters(value_model)
        if config.model.lora_rank:
            for module in (language.model, value_model.trunk):
                add_lora(
                    module,
                    rank=config.model.lora_rank,
                    alpha=config.model.lora_alpha,
                    seed=config.run.seed,
                )
        policy = Trainable(language.model.to(device), dtype, settings)
        parents = {"value": value_card.id}
        if language.card is not None:
            parents["init"] = language.card.id
        if isinstance(scorer, RewardModel):
            parents["reward"] = scorer.card.id
        made_by = {*value_card.made_by, *(language.card.made_by if language.card else ())}
        models = cls(
            language=language,
            policy=policy,
            ref_policy=reference.model,
            value=Trainable(value_model.to(device), dtype, settings, keep_fp32=("head.",)),
            scorer=scorer,
            parents=parents,
            made_by=tuple(sorted(made_by)),
            device=device,
            num_policy_parameters=num_policy_parameters,
            num_value_parameters=num_value_parameters,
            ema_decay=_ema_decay(config),
            ema=None,
        )
        if models.ema_decay is not None:
            models.ema = {name: w.clone() for name, w in policy.weights.state_dict().items()}
        return models

    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes."""
        return {
            "policy": self.policy.state_dict(),
            "value": self.value.state_dict(),
            "ema": self.ema,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.value.load_state_dict(state["value"])
        self.ema = state["ema"]

    @torch.no_grad()
    def update_ema(self) -> None:
        """Move the average by one optimiser step."""
        if self.ema is not None and self.ema_decay is not None:
            for name, master in self.policy.weights.state_dict().items():
                self.ema[name].lerp_(master, 1 - self.ema_decay)

    def load_ema(self) -> None:
        """Put the average in the policy's place, at the end of the run."""
        if self.ema is not None:
            self.policy.weights.load(self.ema)


def _reward_and_value(config: Project) -> tuple[str, str]:
    settings = config.ppo
    if settings.reward is None:
        raise ConfigError(
            "setting `ppo.reward` is needed",
            "Name a reward checkpoint, or a function as package.module:function.",
        )
    if settings.value_init is not None:
        return settings.reward, settings.value_init
    if ":" in settings.reward and not Path(settings.reward).exists():
        raise ConfigError(
            "a reward function has no weights that the value model could start from",
            "Name a reward checkpoint as ppo.value_init.",
        )
    return settings.reward, settings.reward


def _require_same_tokenizer(language: LanguageModel, card: Checkpoint) -> None:
    if card.tokenizer_hash != language.tokenizer.hash:
        raise CheckpointError(
            "the policy and the value model have different tokenizers",
            "Train the reward model from the same base model as the policy.",
        )


def _ema_decay(config: Project) -> float | None:
    """The paper's 0.992 averages over 1/32 of its 4,000 steps; shorter runs scale it."""
    settings = config.ppo
    if not settings.ema:
        return None
    if settings.ema_decay is not None:
        return settings.ema_decay
    return 1 - 1 / max(2.0, settings.num_optimiser_steps / 32)
