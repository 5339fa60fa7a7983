"""Sampling and scoring: from prompts to the experience that PPO learns from.

The old log-probabilities are recomputed by the trainer, so that the first minibatch's
ratio is 1 but for the rounding that padding makes; those that the decoder recorded are kept to
measure the gap.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heedful.core.protocols import Generated
from heedful.core.records import Prompt
from heedful.core.run import Cost
from heedful.core.settings import PPOSettings, Project
from heedful.core.statistics import pearson
from heedful.losses.masked import masked_mean, masked_whiten
from heedful.losses.ppo import generalised_advantages, kl_estimates, place_rewards, score_penalty
from heedful.models.policy import completion_logprobs
from heedful.training.batches import TokenPair, pad_rows, token_budget_groups
from heedful.training.loop import StepMetrics
from heedful.training.ppo_models import Models


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """A scored rollout batch; tensors are padded to the longest completion.

    Attributes:
        logprobs: Of the policy that sampled, recomputed by the trainer.
        advantages: Whitened where `ppo.whiten_advantages` says so.
    """

    pairs: list[TokenPair]
    logprobs: Float[Tensor, "B C"]
    values: Float[Tensor, "B C"]
    advantages: Float[Tensor, "B C"]
    returns: Float[Tensor, "B C"]
    mask: Bool[Tensor, "B C"]

    def select(self, indices: Sequence[int]) -> "Experience":
        """The rows of a microbatch, cut to its own longest completion."""
        pairs = [self.pairs[index] for index in indices]
        width = max(len(pair.completion_ids) for pair in pairs)
        rows = torch.tensor(indices, device=self.mask.device)

        def cut(tensor: Tensor) -> Tensor:
            return tensor[rows, :width]

        return Experience(
            pairs=pairs,
            logprobs=cut(self.logprobs),
            values=cut(self.values),
            advantages=cut(self.advantages),
            returns=cut(self.returns),
            mask=cut(self.mask),
        )


def collect(
    models: Models,
    prompts: Sequence[Prompt],
    config: Project,
    iteration: int,
    kl_coef: float,
    cost: Cost,
) -> tuple[Experience, StepMetrics]:
    """Sample one completion per prompt, score it, and estimate advantages.

    Args:
        models: All networks; none is changed.
        prompts: One per episode; a prompt may occur twice.
        iteration: Decides the noise, together with the run's seed.
        kl_coef: The coefficient in force.
        cost: Counts the tokens of every pass.
    """
    settings = config.ppo
    started = time.monotonic()
    models.policy.module.eval()
    pairs, generated = models.sample(
        prompts,
        temperature=settings.temperature,
        seed=config.run.seed * 1_000_003 + iteration,
    )
    sampled_at = time.monotonic()
    columns = max(len(pair.completion_ids) for pair in pairs)
    old, ref, values, entropy, mask = _passes(models, pairs, columns, config)
    scores = torch.tensor(models.scores(prompts, pairs, generated), device=models.device)
    ended = torch.tensor([g.finish_reason == "stop" for g in generated], device=models.device)
    penalty = settings.missing_eos_score if settings.missing_eos == "penalise" else None
    penalised = score_penalty(scores, ended, penalty)
    kl = kl_estimates(old, ref, mask)
    rewards = place_rewards(penalised, kl.k1, mask, kl_coef)
    advantages, returns = _advantages(rewards, values, mask, settings)
    models.count_sampled(cost, pairs)
    cost.add_tokens(models.num_value_parameters, scored=sum(len(pair) for pair in pairs))
    lengths = [float(len(pair.completion_ids)) for pair in pairs]
    metrics = {
        "objective/score": float(scores.mean()),
        "objective/reward": float(rewards.sum(1).mean()),
        "objective/kl": float(kl.k1.sum(1).mean()),
        "objective/kl_k3": float(kl.k3.sum(1).mean()),
        "objective/entropy": float(masked_mean(entropy, mask)),
        "objective/length": sum(lengths) / len(lengths),
        "objective/eos_rate": float(ended.float().mean()),
        "objective/score_length_correlation": pearson(scores.tolist(), lengths),
        "policy/sampling_gap": _sampling_gap(generated, old, mask),
        "time/rollout": sampled_at - started,
        "time/scoring": time.monotonic() - sampled_at,
    }
    experience = Experience(
        pairs=pairs,
        logprobs=old,
        values=values,
        advantages=advantages,
        returns=returns,
        mask=mask,
    )
    return experience, metrics


def _advantages(
    rewards: Float[Tensor, "B C"],
    values: Float[Tensor, "B C"],
    mask: Bool[Tensor, "B C"],
    settings: PPOSettings,
) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B C"]]:
    """Advantages, whitened where the settings say so, and returns."""
    advantages, returns = generalised_advantages(
        rewards, values, mask, discount=settings.discount, gae_lambda=settings.gae_lambda
    )
    if settings.whiten_advantages:
        advantages = masked_whiten(advantages, mask)
    return advantages, returns


@torch.no_grad()
def _passes(
    models: Models, pairs: Sequence[TokenPair], columns: int, config: Project
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Old and reference log-probabilities, values, entropy and mask, all [B, C]."""
    size = (len(pairs), columns)
    old, ref, values, entropy = (torch.zeros(size, device=models.device) for _ in range(4))
    mask = torch.zeros(size, dtype=torch.bool, device=models.device)
    options: dict[str, Any] = {"num_columns": columns, "temperature": config.ppo.temperature}
    budget = config.model.microbatch_tokens
    for group in token_budget_groups([len(pair) for pair in pairs], budget):
        rows = pad_rows([pairs[index] for index in group], models.pad_id, models.device)
        lengths = (rows.prompt_lengths, rows.completion_lengths)
        ours = completion_logprobs(
            models.policy.module, rows.input_ids, *lengths, **options, with_entropy=True
        )
        theirs = completion_logprobs(models.ref_policy, rows.input_ids, *lengths, **options)
        old[group], ref[group] = ours.logprobs, theirs.logprobs
        assert ours.entropy is not None
        entropy[group], mask[group] = ours.entropy, ours.mask
        values[group] = models.value.module.values(rows.input_ids, *lengths, columns)
    return old, ref, values, entropy, mask


def _sampling_gap(generated: Sequence[Generated], old: Tensor, mask: Tensor) -> float:
    """Mean absolute difference between the decoder's and the trainer's log-probabilities."""
    recorded = torch.zeros_like(old)
    recorded[mask] = torch.tensor(
        [logprob for found in generated for logprob in found.logprobs], device=old.device
    )
    return float(masked_mean((recorded - old).abs(), mask))
