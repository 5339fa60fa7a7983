"""Rewards, advantages and the two clipped losses of PPO (InstructGPT, section 3.5, eq. 2).

The rollout is a bandit: one score at the end of the completion, and at every token a
penalty for leaving the reference policy. The ptx term of eq. 2 is
`heedful.losses.language.language_model_loss`, added by the trainer.

Tensors are `[B, C]`, completion tokens only, with a mask of the tokens that were sampled.
Nothing here is clamped silently but the log-ratio, see `MAX_LOG_RATIO`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heedful.core.errors import ConfigError
from heedful.losses.masked import (
    Denominator,
    Metrics,
    at_least_float32,
    masked_variance,
    mean_over,
)

MAX_LOG_RATIO = 20.0
"""exp() of the log-ratio is bounded by this on both sides: a ratio of 5e8 is past all use,
and an infinite one would turn every weight into NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KLEstimates:
    """Per-token estimates of KL(policy || ref_policy) in nats, 0 under a false mask.

    Attributes:
        k1: log pi - log pi_ref: unbiased, may be negative, what the reward is charged.
        k3: exp(-k1) - 1 + k1: unbiased, never negative, of lower variance; for logging.
    """

    k1: Float[Tensor, "*N"]
    k3: Float[Tensor, "*N"]


def kl_estimates(
    logprobs: Float[Tensor, "*N"],
    ref_logprobs: Float[Tensor, "*N"],
    mask: Bool[Tensor, "*N"],
) -> KLEstimates:
    """Both estimates from the log-probabilities of tokens sampled from the policy.

    Source: J. Schulman, "Approximating KL divergence" (2020), for k1 and k3.
    """
    k1 = (at_least_float32(logprobs) - at_least_float32(ref_logprobs)).masked_fill(~mask, 0.0)
    return KLEstimates(k1=k1, k3=torch.expm1(-k1) + k1)


def score_penalty(
    scores: Float[Tensor, " B"], ended: Bool[Tensor, " B"], penalty: float | None
) -> Float[Tensor, " B"]:
    """Give completions that did not end the fixed score `penalty`; None leaves all as scored.

    The "EOS trick" of Huang et al. (2024), detail 12.
    """
    if penalty is None:
        return scores
    return scores.masked_fill(~ended, penalty)


def place_rewards(
    scores: Float[Tensor, " B"],
    kl: Float[Tensor, "B C"],
    mask: Bool[Tensor, "B C"],
    kl_coef: float,
) -> Float[Tensor, "B C"]:
    """Per-token rewards: -kl_coef * kl, plus the score at each row's last unmasked token.

    The bracket of InstructGPT eq. 2, with its penalty charged token by token. A row without
    an unmasked token has no place for its score.
    """
    penalty = (-kl_coef * at_least_float32(kl)).masked_fill(~mask, 0.0)
    num_left = mask.flip(-1).cumsum(-1).flip(-1)
    return penalty + torch.where(mask & (num_left == 1), scores[:, None], 0.0)


def generalised_advantages(
    rewards: Float[Tensor, "B C"],
    values: Float[Tensor, "B C"],
    mask: Bool[Tensor, "B C"],
    *,
    discount: float = 1.0,
    gae_lambda: float = 0.95,
) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B C"]]:
    """Advantages and returns (advantage + value), both 0 under a false mask.

    The value after a row's last unmasked token is 0: a completion cut by the length limit is
    over, too. Masked positions are stepped over, wherever they lie.

    Source: Schulman et al. (2016), eq. 16.
    """
    rewards, values = at_least_float32(rewards), at_least_float32(values)
    advantages = torch.zeros_like(values)
    next_value = next_advantage = values.new_zeros(len(values))
    for t in reversed(range(mask.shape[1])):
        here = mask[:, t]
        delta = rewards[:, t] + discount * next_value - values[:, t]
        advantage = delta + discount * gae_lambda * next_advantage
        advantages[:, t] = torch.where(here, advantage, 0.0)
        next_advantage = torch.where(here, advantage, next_advantage)
        next_value = torch.where(here, values[:, t], next_value)
    return advantages, (advantages + values).masked_fill(~mask, 0.0)


def policy_loss(
    logprobs: Float[Tensor, "*N"],
    old_logprobs: Float[Tensor, "*N"],
    advantages: Float[Tensor, "*N"],
    mask: Bool[Tensor, "*N"],
    *,
    clip_range: float = 0.2,
    denominator: Denominator = None,
) -> tuple[Float[Tensor, ""], Metrics]:
    """Clipped surrogate, to be minimised: mean of max(-A r, -A clip(r, 1 - c, 1 + c)).

    `denominator` divides every sum over tokens; by default, the number of unmasked tokens. A
    caller that accumulates gradients over microbatches passes the minibatch's count, and
    then the loss and all metrics add up.

    Returns:
        The loss, and metrics `policy/loss`; `policy/approx_kl`, mean of (r - 1) - log r, an
        estimate of KL(old || new); `policy/clipfrac`, share of tokens whose gradient the
        clip removed; `policy/ratio`, mean of r.

    Source: Schulman et al. (2017), eq. 7.
    """
    log_ratio = (at_least_float32(logprobs) - at_least_float32(old_logprobs)).masked_fill(
        ~mask, 0.0
    )
    log_ratio = log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    ratio = log_ratio.exp()
    advantages = at_least_float32(advantages).masked_fill(~mask, 0.0)
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip_range, 1 + clip_range)
    loss = mean_over(torch.maximum(unclipped, clipped), mask, denominator)
    with torch.no_grad():
        metrics = {
            "policy/loss": loss.detach(),
            "policy/approx_kl": mean_over(torch.expm1(log_ratio) - log_ratio, mask, denominator),
            "policy/clipfrac": mean_over((clipped > unclipped).to(ratio.dtype), mask, denominator),
            "policy/ratio": mean_over(ratio, mask, denominator),
        }
    return loss, metrics


def value_loss(
    values: Float[Tensor, "*N"],
    old_values: Float[Tensor, "*N"],
    returns: Float[Tensor, "*N"],
    mask: Bool[Tensor, "*N"],
    *,
    clip_range: float | None = 0.2,
    denominator: Denominator = None,
) -> tuple[Float[Tensor, ""], Metrics]:
    """Half the mean squared error, the larger of the plain one and the clipped one.

    The clipped one lets the value move at most `clip_range` from `old_values`; None does not
    clip. `denominator` is as in `policy_loss`.

    Returns:
        The loss, and metrics `value/loss` and `value/clipfrac`, the share of tokens whose
        gradient the clip removed.

    Source: the PPO of OpenAI baselines, kept by Ziegler et al. (2019).
    """
    values, returns = at_least_float32(values), at_least_float32(returns)
    squared = unclipped = (values - returns).masked_fill(~mask, 0.0).square()
    if clip_range is not None:
        old_values = at_least_float32(old_values)
        near = old_values + (values - old_values).clamp(-clip_range, clip_range)
        squared = torch.maximum(unclipped, (near - returns).masked_fill(~mask, 0.0).square())
    loss = 0.5 * mean_over(squared, mask, denominator)
    with torch.no_grad():
        metrics = {
            "value/loss": loss.detach(),
            "value/clipfrac": mean_over((squared > unclipped).to(values.dtype), mask, denominator),
        }
    return loss, metrics


def explained_variance(
    values: Float[Tensor, "*N"], returns: Float[Tensor, "*N"], mask: Bool[Tensor, "*N"]
) -> Float[Tensor, ""]:
    """1 - Var(returns - values) / Var(returns) over unmasked tokens; 0 where Var(returns) is 0.

    1 is a perfect value model, 0 is no better than a constant. It does not add up over
    microbatches: call it once, over the whole rollout batch.
    """
    values, returns = at_least_float32(values), at_least_float32(returns)
    # Equal returns are told by their extremes: their variance may round to more than 0.
    lowest = returns.masked_fill(~mask, math.inf).amin()
    highest = returns.masked_fill(~mask, -math.inf).amax()
    constant = highest <= lowest
    variance = masked_variance(returns, mask).masked_fill(constant, 1.0)
    residual = masked_variance(returns - values, mask)
    return (1 - residual / variance).masked_fill(constant, 0.0).detach()


def adapt_kl_coef(
    kl_coef: float,
    observed_kl: float,
    *,
    target_kl: float,
    horizon: int,
    num_episodes: int,
) -> float:
    """The KL coefficient after `num_episodes` more episodes of mean KL `observed_kl`.

    Proportional to the relative error, which is clipped to +-0.2 (Ziegler et al., 2019,
    section 2.2). `observed_kl` and `target_kl` are nats per completion, `horizon` is in
    episodes.
    """
    error = min(max(observed_kl / target_kl - 1, -0.2), 0.2)
    return kl_coef * (1 + error * num_episodes / horizon)


def best_of_n_kl(n: int) -> float:
    """KL in nats between the best of n samples and the policy they come from: ln n - (n-1)/n.

    Source: Stiennon et al. (2020).
    """
    if n < 1:
        raise ConfigError(f"best-of-n of n = {n}", "n is a number of samples, at least 1")
    return math.log(n) - (n - 1) / n
