"""From hidden states to log-probabilities, through the model's own vocabulary head.

Logits are the largest tensor of training. Here they exist for `HEAD_CHUNK` positions at a
time, are computed again in the backward pass, and their gradient is written out. Which
positions are asked for is `heedful.models.policy`'s.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

HEAD_CHUNK = 512


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

    Left to autograd, this step keeps or builds three more tensors of the logits' size; here
    it is one, the gradient itself.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        precise = _at_least_float32(logits)
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
    logprobs = _at_least_float32(logits).log_softmax(-1)
    probs = logprobs.exp()
    return -(probs * logprobs.masked_fill(probs == 0, 0.0)).sum(-1)


def vocabulary_logits(model: Any, states: Float[Tensor, "N H"]) -> Float[Tensor, "N V"]:
    """The model's own vocabulary head, with the scaling that its architecture puts on it.

    Scalings other than Cohere's, Granite's and Gemma 2's are not known here;
    `heedful.models.policy.require_known_head` finds models that have one.
    """
    logits: Tensor = model.get_output_embeddings()(states)
    config = model.config
    scale = getattr(config, "logit_scale", None)
    if scale is not None:
        logits = logits * scale
    scaling = getattr(config, "logits_scaling", None)
    if scaling is not None:
        logits = logits / scaling
    cap = getattr(config, "final_logit_softcapping", None)
    if cap is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


def head_logprobs(
    model: Any,
    states: Float[Tensor, "N H"],
    targets: Int[Tensor, " N"],
    temperature: float = 1.0,
    *,
    with_entropy: bool = False,
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"] | None]:
    """Log-probability of each target and, if asked for, the distribution's entropy; float32.

    The logits are divided by `temperature`, so that the numbers belong to the distribution
    that was sampled from. The entropy carries no gradient.
    """
    logprobs, entropies = [], []
    for start in range(0, len(targets), HEAD_CHUNK):
        rows = slice(start, start + HEAD_CHUNK)
        arguments = (model, states[rows], targets[rows], temperature, with_entropy)
        if torch.is_grad_enabled():
            # Nothing in the head is random.
            logprob, found = checkpoint(
                _chunk, *arguments, use_reentrant=False, preserve_rng_state=False
            )
        else:
            logprob, found = _chunk(*arguments)
        logprobs.append(logprob)
        if found is not None:
            entropies.append(found)
    if not logprobs:
        empty = states.new_zeros(0, dtype=torch.float32)
        return empty, empty if with_entropy else None
    return torch.cat(logprobs), torch.cat(entropies) if with_entropy else None


def _chunk(
    model: Any, states: Tensor, targets: Tensor, temperature: float, with_entropy: bool
) -> tuple[Tensor, Tensor | None]:
    logits = vocabulary_logits(model, states)
    if temperature != 1.0:
        logits = _at_least_float32(logits) / temperature
    logprobs = token_logprobs(logits, targets)
    if not with_entropy:
        return logprobs, None
    with torch.no_grad():
        return logprobs, entropy(logits)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
