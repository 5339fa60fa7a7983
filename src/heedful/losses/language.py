"""Token log-probabilities and the language-model loss (SFT, and the ptx term of PPO-ptx).

Shifting targets by one place and masking prompts is the caller's: here position n of the
logits already predicts target n.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from heedful.losses.masked import Denominator, Metrics, at_least_float32, mean_over


def token_logprobs(
    logits: Float[Tensor, "*N V"], targets: Int[Tensor, "*N"]
) -> Float[Tensor, "*N"]:
    """Natural log-probability of each target, in float32 or better.

    Divide the logits by the sampling temperature before. Targets that a mask will hide must
    still be ids below V.
    """
    logprobs: Tensor = _TokenLogprobs.apply(logits, targets)  # type: ignore[no-untyped-call]
    return logprobs


class _TokenLogprobs(torch.autograd.Function):
    """The chosen logit minus logsumexp, with its gradient onehot - softmax written out.

    Logits are the largest tensor of training. Left to autograd, this step keeps or builds
    three more of their size; here it is one, the gradient itself.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        precise = at_least_float32(logits)
        logsumexp = precise.logsumexp(-1)
        ctx.save_for_backward(logits, targets, logsumexp)
        return precise.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logsumexp

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        logits, targets, logsumexp = ctx.saved_tensors
        grad = grad.unsqueeze(-1)
        grad_logits = (logits - logsumexp.unsqueeze(-1)).exp_().mul_(-grad)
        grad_logits.scatter_add_(-1, targets.unsqueeze(-1), grad)
        return grad_logits.to(logits.dtype), None


def entropy(logits: Float[Tensor, "*N V"]) -> Float[Tensor, "*N"]:
    """Entropy in nats of each next-token distribution; logits of -inf have no share.

    Holds two tensors of the logits' size, for a metric: call it without gradients.
    """
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
