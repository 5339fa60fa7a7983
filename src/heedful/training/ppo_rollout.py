"""Sampling and scoring: from prompts to the rewards that PPO learns from.

The old log-probabilities are the trainer's own, so that the first minibatch's ratio is 1; those
that the decoder recorded are kept to measure the gap. What is learnt from the rewards is
`ppo_update`'s.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heedful.core.protocols import Generated
from heedful.core.records import Prompt
from heedful.core.settings import PPOSettings, Project
from heedful.core.statistics import pearson
from heedful.losses.masked import masked_mean, masked_whiten
from heedful.losses.ppo import generalised_advantages, kl_estimates, place_rewards, score_penalty
from heedful.models.policy import completion_logprobs
from heedful.models.token_batch import TokenBatch
from heedful.training.batches import Batcher, TokenPair
from heedful.training.loop import StepMetrics
from heedful.training.ppo_models import Models


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Sampled completions, scored; tensors of [B, C] are padded to the longest with zeros.

    Attributes:
        scores: The scorer's, before `ppo.missing_eos`.
        ended: Whether a completion ended by itself.
        sampling_seconds: Time it took.
        scoring_seconds: Of scores and reference pass.
    """

    pairs: list[TokenPair]
    generated: list[Generated]
    scores: Float[Tensor, " B"]
    ended: Bool[Tensor, " B"]
    ref_logprobs: Float[Tensor, "B C"]
    mask: Bool[Tensor, "B C"]
    sampling_seconds: float
    scoring_seconds: float

    def empty(self) -> Float[Tensor, "B C"]:
        """Zeros, for numbers of each completion token."""
        return torch.zeros_like(self.ref_logprobs)

    def flat(self, numbers: Float[Tensor, "B C"], rows: Sequence[int]) -> Float[Tensor, " M"]:
        """Those of the completions `rows`, one after the other, as a `TokenBatch` has them."""
        index = torch.tensor(rows, device=numbers.device)
        return numbers[index][self.mask[index]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What the policies' and values' numbers make of a rollout, [B, C].

    Attributes:
        logprobs: Of the policy that sampled, by the trainer.
        advantages: Whitened where `ppo.whiten_advantages` says so.
    """

    logprobs: Float[Tensor, "B C"]
    values: Float[Tensor, "B C"]
    advantages: Float[Tensor, "B C"]
    returns: Float[Tensor, "B C"]


def place(
    into: Float[Tensor, "B C"], rows: Sequence[int], batch: TokenBatch, flat: Float[Tensor, " M"]
) -> None:
    """Write a batch's numbers into the rows it holds."""
    into[rows, : batch.mask.shape[1]] = batch.unflatten(flat)


@torch.no_grad()
def collect(
    models: Models,
    batcher: Batcher,
    prompts: Sequence[Prompt],
    config: Project,
    iteration: int,
) -> Rollout:
    """Sample one completion per prompt, score it, and pass it through the reference.

    Args:
        models: All networks; none is changed.
        batcher: Of policy, reference and value model.
        prompts: One per episode; a prompt may occur twice.
        iteration: Decides the noise, together with the run's seed.
    """
    started = time.monotonic()
    models.policy.module.eval()
    pairs, generated = models.sample(
        prompts,
        temperature=config.ppo.temperature,
        seed=config.run.seed * 1_000_003 + iteration,
    )
    sampled = time.monotonic()
    lengths = torch.tensor([len(pair.completion_ids) for pair in pairs], device=models.device)
    mask = torch.arange(int(lengths.max()), device=models.device) < lengths[:, None]
    ref = torch.zeros(mask.shape, device=models.device)
    for rows, batch in batcher.batches(pairs):
        found = completion_logprobs(models.ref_policy, batch, temperature=config.ppo.temperature)
        place(ref, rows, batch, found.logprobs)
    scores = torch.tensor(models.scores(prompts, pairs, generated), device=models.device)
    ended = [found.finish_reason == "stop" for found in generated]
    return Rollout(
        pairs=pairs,
        generated=generated,
        scores=scores,
        ended=torch.tensor(ended, device=models.device),
        ref_logprobs=ref,
        mask=mask,
        sampling_seconds=sampled - started,
        scoring_seconds=time.monotonic() - sampled,
    )


def rewards_of(
    rollout: Rollout,
    logprobs: Float[Tensor, "B C"],
    entropy: Float[Tensor, "B C"],
    settings: PPOSettings,
    kl_coef: float,
) -> tuple[Float[Tensor, "B C"], StepMetrics]:
    """Per-token rewards under the policy that sampled, and the iteration's objectives."""
    penalty = settings.missing_eos_score if settings.missing_eos == "penalise" else None
    penalised = score_penalty(rollout.scores, rollout.ended, penalty)
    mask = rollout.mask
    kl = kl_estimates(logprobs, rollout.ref_logprobs, mask)
    rewards = place_rewards(penalised, kl.k1, mask, kl_coef)
    lengths = [float(len(pair.completion_ids)) for pair in rollout.pairs]
    gap = _sampling_gap(rollout.generated, logprobs, mask)
    metrics = {
        "objective/score": float(rollout.scores.mean()),
        "objective/reward": float(rewards.sum(1).mean()),
        "objective/kl": float(kl.k1.sum(1).mean()),
        "objective/kl_k3": float(kl.k3.sum(1).mean()),
        "objective/entropy": float(masked_mean(entropy, mask)),
        "objective/length": sum(lengths) / len(lengths),
        "objective/eos_rate": float(rollout.ended.float().mean()),
        "objective/score_length_correlation": pearson(rollout.scores.tolist(), lengths),
        "policy/sampling_gap": float(masked_mean(gap, mask)),
        "policy/sampling_gap_max": float(gap.max()),
        "time/rollout": rollout.sampling_seconds,
        "time/scoring": rollout.scoring_seconds,
    }
    return rewards, metrics


def advantages_of(
    rewards: Float[Tensor, "B C"],
    values: Float[Tensor, "B C"],
    mask: Bool[Tensor, "B C"],
    settings: PPOSettings,
) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B C"]]:
    """Advantages, not whitened, and returns; each row by itself."""
    return generalised_advantages(
        rewards, values, mask, discount=settings.discount, gae_lambda=settings.gae_lambda
    )


def experience_of(
    rollout: Rollout,
    logprobs: Float[Tensor, "B C"],
    values: Float[Tensor, "B C"],
    rewards: Float[Tensor, "B C"],
    settings: PPOSettings,
) -> Experience:
    """Advantages over the whole rollout batch, whitened where the settings say so."""
    advantages, returns = advantages_of(rewards, values, rollout.mask, settings)
    if settings.whiten_advantages:
        advantages = masked_whiten(advantages, rollout.mask)
    return Experience(logprobs=logprobs, values=values, advantages=advantages, returns=returns)


def _sampling_gap(
    generated: Sequence[Generated], logprobs: Float[Tensor, "B C"], mask: Bool[Tensor, "B C"]
) -> Float[Tensor, "B C"]:
    """Absolute difference between the decoder's and the trainer's log-probabilities."""
    recorded = torch.zeros_like(logprobs)
    recorded[mask] = torch.tensor(
        [logprob for found in generated for logprob in found.logprobs], device=logprobs.device
    )
    return (recorded - logprobs).abs()
