"""The networks of PPO: policy, frozen reference, value model, and the scorer."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.protocols import Generated, Scorer
from heedful.core.records import Checkpoint, MadeBy, Prompt, SamplingParameters
from heedful.core.run import Cost
from heedful.core.settings import Project
from heedful.generation.language_model import LanguageModel, open_format
from heedful.models.adapters import add_lora
from heedful.models.checkpoint import load_scalar, require_kind
from heedful.models.folders import ModelFolder, find_model
from heedful.models.loading import num_matrix_parameters
from heedful.models.precision import compute_in
from heedful.models.scalar import ScalarModel
from heedful.models.shared_trunk import SharedTrunk, share_weights
from heedful.training.batches import TokenPair
from heedful.training.loop import Trainable, prepare
from heedful.training.scoring import RewardModel, names_function, open_scorer


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
        """Fills rows on the right; never read."""
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
        language = LanguageModel.open(
            settings.init or config.model.name, format_settings=config.format
        )
        value_folder, value_card = require_kind(value_name, ("reward",))
        open_networks = _share_trunk if settings.shared_trunk else _stand_apart
        networks = open_networks(config, language, reward_name, value_folder, device, dtype)
        cards = {"value": value_card}
        if language.card is not None:
            cards["init"] = language.card
        if isinstance(networks.scorer, RewardModel):
            cards["reward"] = networks.scorer.card
        for role in ("value", "reward"):
            if role in cards:
                _require_matching(language, cards[role], f"the {role} model")
        if settings.value_head == "zero":
            networks.value.zero_head()
        again = config.model.activation_checkpointing
        policy = Trainable(language.model, dtype, settings, activation_checkpointing=again)
        masters = policy.weights.state_dict()
        return cls(
            language=language,
            policy=policy,
            ref_policy=networks.ref_policy,
            value=Trainable(
                networks.value,
                dtype,
                settings,
                keep_fp32=("head.",),
                activation_checkpointing=again,
            ),
            scorer=networks.scorer,
            parents={role: card.id for role, card in cards.items()},
            made_by=tuple(sorted({maker for card in cards.values() for maker in card.made_by})),
            device=device,
            num_policy_parameters=num_matrix_parameters(language.model),
            num_value_parameters=num_matrix_parameters(networks.value),
            ema_decay=_ema_decay(config),
            ema={name: w.clone() for name, w in masters.items()} if settings.ema else None,
        )

    def sample(
        self, prompts: Sequence[Prompt], *, temperature: float, seed: int
    ) -> tuple[list[TokenPair], list[Generated]]:
        """One completion per prompt, by the policy as it is; as token pairs too."""
        formatter = self.language.formatter
        sampling = SamplingParameters(
            temperature=temperature, max_tokens=formatter.settings.max_completion_tokens
        )
        generated = [row[0] for row in self.language.sample(prompts, sampling, seed=seed)]
        pairs = [
            TokenPair(prompt_ids=formatter.prompt_ids(prompt), completion_ids=found.token_ids)
            for prompt, found in zip(prompts, generated, strict=True)
        ]
        return pairs, generated

    def scores(
        self, prompts: Sequence[Prompt], pairs: Sequence[TokenPair], generated: Sequence[Generated]
    ) -> list[float]:
        """A reward model reads the sampled tokens themselves; a function gets the texts."""
        if isinstance(self.scorer, RewardModel):
            return self.scorer.score_pairs(pairs)
        return self.scorer.score(prompts, [found.text for found in generated])

    def count_sampled(self, cost: Cost, pairs: Sequence[TokenPair], *, passes: int = 2) -> None:
        """Count sampling `pairs`, scoring them, and `passes`: of the reference, of the policy."""
        num_tokens = sum(len(pair) for pair in pairs)
        generated = sum(len(pair.completion_ids) for pair in pairs)
        cost.add_tokens(self.num_policy_parameters, generated=generated, scored=passes * num_tokens)
        if isinstance(self.scorer, RewardModel):
            cost.add_tokens(self.scorer.num_parameters, scored=num_tokens)

    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes."""
        return {
            "policy": self.policy.state_dict(),
            "value": self.value.state_dict(),
            "ema": self.ema,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        self.policy.load_state_dict(state["policy"])
        self.value.load_state_dict(state["value"])
        for name, average in (self.ema or {}).items():
            average.copy_(state["ema"][name])

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Networks:
    """What stands beside the policy, on the device; the value model is ready to be trained."""

    ref_policy: Any
    value: ScalarModel
    scorer: Scorer


def _stand_apart(
    config: Project,
    language: LanguageModel,
    reward_name: str,
    value_folder: ModelFolder,
    device: torch.device,
    dtype: torch.dtype,
) -> _Networks:
    """Four networks with weights of their own, as far as any of their weights is trained.

    With adapters, the reference stands on the policy's frozen weights, and a value model
    begun from the reward model on the reward model's.
    """
    lora = config.model.lora_rank > 0
    scorer = open_scorer(reward_name, device, dtype, microbatch_tokens=config.model.max_microbatch)
    model: Any = language.model.to(device)
    if lora:
        compute_in(model.requires_grad_(False), dtype)
        ref_policy = share_weights(model)
        _add_lora(model, config)
    else:
        ref_policy = copy.deepcopy(model).requires_grad_(False)
        compute_in(ref_policy, dtype)
    trunk = None
    if lora and isinstance(scorer, RewardModel):
        same = find_model(reward_name).path.samefile(value_folder.path)
        trunk = share_weights(scorer.model.trunk) if same else None
    value = load_scalar(value_folder, trunk).to(device)
    if lora:
        _add_lora(value.trunk, config)
    return _Networks(ref_policy=ref_policy, value=value, scorer=scorer)


def _share_trunk(
    config: Project,
    language: LanguageModel,
    reward_name: str,
    value_folder: ModelFolder,
    device: torch.device,
    dtype: torch.dtype,
) -> _Networks:
    """Adapters and heads on the frozen weights that the policy starts from."""
    trunk = SharedTrunk(language.model, language.folder.name, device, dtype)
    if names_function(reward_name):
        scorer = open_scorer(reward_name, device, dtype)
    else:
        folder, card = require_kind(reward_name, ("reward",))
        model = trunk.scalar_model(folder).requires_grad_(False)
        compute_in(model.trunk, dtype)
        scorer = RewardModel(
            model,
            card,
            open_format(folder, None)[1],
            pad_id=language.tokenizer.pad_id,
            device=device,
            microbatch_tokens=config.model.max_microbatch,
        )
    language.model = share_weights(trunk.model)
    _add_lora(language.model, config)
    value = trunk.scalar_model(value_folder)
    return _Networks(ref_policy=trunk.model, value=value, scorer=scorer)


def _add_lora(module: Any, config: Project) -> None:
    model = config.model
    add_lora(module, rank=model.lora_rank, alpha=model.lora_alpha, seed=config.run.seed)


def _reward_and_value(config: Project) -> tuple[str, str]:
    settings = config.ppo
    if settings.reward is None:
        raise ConfigError(
            "setting `ppo.reward` is needed",
            "Name a reward checkpoint, or a function as package.module:function.",
        )
    if settings.value_init is not None:
        return settings.reward, settings.value_init
    if names_function(settings.reward):
        raise ConfigError(
            "a reward function has no weights that the value model could start from",
            "Name a reward checkpoint as ppo.value_init.",
        )
    return settings.reward, settings.reward


def _require_matching(language: LanguageModel, card: Checkpoint, who: str) -> None:
    """Refuse a model that would read the policy's tokens as something else."""
    if card.tokenizer_hash != language.tokenizer.hash:
        raise CheckpointError(
            f"the policy and {who} have different tokenizers",
            "Train the reward model from the same base model as the policy.",
        )
    if card.format_version != language.formatter.version:
        raise CheckpointError(
            f"{who} reads prompts as {card.format_version}, the policy as "
            f"{language.formatter.version}",
            "Train both with the same [format].",
        )


def _ema_decay(config: Project) -> float | None:
    """The paper's 0.992 averages over 1/32 of its 4,000 steps; shorter runs scale it."""
    settings = config.ppo
    if not settings.ema:
        return None
    if settings.ema_decay is not None:
        return settings.ema_decay
    return 1 - 1 / max(2.0, settings.num_optimiser_steps / 32)
