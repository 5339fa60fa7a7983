"""Token log-probabilities and the language-model loss (SFT, and the ptx term of PPO-ptx).

Shifting targets by one place and masking prompts is the caller's: here position n of the
logits already predicts target n.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from heedful.losses.masked import Denominator, Metrics, at_least_float32, mean_over


def token_logprobs(
    logits: Float[Tensor, "*N V"], targets: Int[Tensor, "*N"]
) -> Float[Tensor, "*N"]:
    """Natural log-probability of each target, in float32 or better.

    The chosen logit minus logsumexp: autograd keeps the logits, but no log-softmax of
    their size beside them. Divide the logits by the sampling temperature before.
    """
    logits = at_least_float32(logits)
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return chosen - logits.logsumexp(-1)


def entropy(logits: Float[Tensor, "*N V"]) -> Float[Tensor, "*N"]:
    """Entropy in nats of each next-token distribution; logits of -inf have no share."""
    logprobs = at_least_float32(logits).log_softmax(-1)
    probs = logprobs.exp()
    return -(probs * logprobs.masked_fill(probs == 0, 0.0)).sum(-1)


def language_model_loss(
    logprobs: Float[Tensor, "*N"],
    mask: Bool[Tensor, "*N"],
    *,
    denominator: Denominator = None,
) -> tuple[Float[Tensor, ""], Metrics]:
    """Negative log-likelihood per unmasked token (InstructGPT, section 3.5; eq. 2, last term).

    Args:
        denominator: What the sum over tokens is divided by; default, the number of unmasked
            tokens. A caller that accumulates gradients over microbatches passes the
            minibatch's count.

    Returns:
        The loss, and metrics `language/loss` (adds up over microbatches where `denominator`
        is given) and `language/num_tokens` (always adds up).
    """
    loss = mean_over(-logprobs, mask, denominator)
    metrics = {
        "language/loss": loss.detach(),
        "language/num_tokens": mask.sum().to(loss.dtype),
    }
    return loss, metrics
