"""The language-model loss (SFT, and the ptx term of PPO-ptx).

Shifting targets by one place, masking prompts and taking log-probabilities from a model are
the caller's: here position n of the log-probabilities already belongs to target n.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from heedful.losses.masked import Denominator, Metrics, mean_over


def language_model_loss(
    logprobs: Float[Tensor, "*N"],
    mask: Bool[Tensor, "*N"],
    *,
    denominator: Denominator = None,
) -> tuple[Float[Tensor, ""], Metrics]:
    """Negative log-likelihood per unmasked token (InstructGPT, section 3.5; eq. 2, last term).

    `denominator` divides the sum over tokens; by default, the number of unmasked tokens. A
    caller that accumulates gradients over microbatches passes the minibatch's count.

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
