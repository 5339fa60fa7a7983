"""From hidden states to log-probabilities, through the model's own vocabulary head.

Logits are the largest tensor of training. Here they exist in float32 for `HEAD_CHUNK`
positions at a time, and their gradient is written out. A plain linear head has its backward
pass written out too, from what is kept up to `KEPT_BYTES` and otherwise computed again; its
float32 passes go through blocks that stay in the cache. Which positions are asked for is
`heedful.models.policy`'s.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

HEAD_CHUNK = 512
KEPT_BYTES = 2**28
BLOCK_BYTES = 2**20  # of float32: what a core's own cache holds


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
    weight = _plain_weight(model)
    if weight is not None and len(targets):
        found: tuple[Tensor, Tensor | None] = _LinearHead.apply(  # type: ignore[no-untyped-call]
            states, weight, targets, temperature, with_entropy, torch.is_grad_enabled()
        )
        return found
    logprobs, entropies = [], []
    for start, chunk in _chunks(states):
        arguments = (model, chunk, targets[start : start + len(chunk)], temperature, with_entropy)
        if torch.is_grad_enabled():
            # Nothing in the head is random.
            logprob, uncertainty = checkpoint(
                _chunk, *arguments, use_reentrant=False, preserve_rng_state=False
            )
        else:
            logprob, uncertainty = _chunk(*arguments)
        logprobs.append(logprob)
        if uncertainty is not None:
            entropies.append(uncertainty)
    if not logprobs:
        empty = states.new_zeros(0, dtype=torch.float32)
        return empty, empty if with_entropy else None
    return torch.cat(logprobs), torch.cat(entropies) if with_entropy else None


def _plain_weight(model: Any) -> Tensor | None:
    """The [V, H] weight of a head that is nothing but a matrix; None for any other."""
    module, config = model.get_output_embeddings(), model.config
    scaled = ("logit_scale", "logits_scaling", "final_logit_softcapping")
    plain = type(module) is nn.Linear and module.bias is None
    if not plain or any(getattr(config, name, None) is not None for name in scaled):
        return None
    weight: Tensor = module.weight
    return weight


class _LinearHead(torch.autograd.Function):
    """`_chunk` over all positions for a head that is one matrix, in as few passes as can be.

    What is kept for the backward pass is onehot - softmax, in the logits' own place. Each
    position's gradient is a multiple of it, which is put on the narrow side of the products:
    backward, nothing of the logits' size is computed.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        targets: Tensor,
        temperature: float,
        with_entropy: bool,
        differentiable: bool,
    ) -> tuple[Tensor, Tensor | None]:
        number, vocabulary = len(targets), len(weight)
        precise = torch.promote_types(states.dtype, torch.float32)
        logprobs, logsumexp = (states.new_empty(number, dtype=precise) for _ in range(2))
        entropies = states.new_empty(number, dtype=precise) if with_entropy else None
        keep = differentiable and number * vocabulary * states.element_size() <= KEPT_BYTES
        kept = []
        for start, chunk in _chunks(states):
            logits = chunk @ weight.t()
            for first, block in _blocks(logits):
                rows = slice(start + first, start + first + len(block))
                exact = block.to(precise, copy=True).div_(temperature)
                chosen = exact.gather(-1, targets[rows, None])
                peak = exact.amax(-1, keepdim=True)
                total = exact.sub_(peak).exp_().sum(-1, keepdim=True)
                sums = total.log() + peak
                logsumexp[rows], logprobs[rows] = sums[:, 0], (chosen - sums)[:, 0]
                if entropies is not None:
                    # sum p (logsumexp - logit); a logit of -inf has no share.
                    means = torch.linalg.vecdot(exact, block.to(precise).clamp_min(-1e30))
                    entropies[rows] = logsumexp[rows] - means / (total[:, 0] * temperature)
                if keep:
                    block.copy_(_onehot_minus(exact.div_(total), targets[rows]))
            if keep:
                kept.append(logits)
        if entropies is not None:
            ctx.mark_non_differentiable(entropies)
        ctx.temperature = temperature
        ctx.save_for_backward(states, weight, targets, logsumexp, *kept)
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Tensor, _: Tensor | None
    ) -> tuple[Tensor, Tensor | None, None, None, None, None]:
        states, weight, targets, logsumexp, *kept = ctx.saved_tensors
        grad_states = torch.empty_like(states)
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        scale = (grad / ctx.temperature).unsqueeze(-1)
        for place, (start, chunk) in enumerate(_chunks(states)):
            rows = slice(start, start + len(chunk))
            residuals = kept[place] if kept else chunk @ weight.t()
            for first, block in () if kept else _blocks(residuals):
                here = slice(start + first, start + first + len(block))
                exact = block.to(logsumexp.dtype, copy=True).div_(ctx.temperature)
                probs = exact.sub_(logsumexp[here, None]).exp_()
                block.copy_(_onehot_minus(probs, targets[here]))
            grad_states[rows] = (residuals @ weight) * scale[rows]
            if grad_weight is not None:
                grad_weight.addmm_(residuals.t(), (chunk * scale[rows]).to(chunk.dtype))
        return grad_states, grad_weight, None, None, None, None


def _onehot_minus(probs: Tensor, targets: Tensor) -> Tensor:
    """onehot(targets) - probs, in the place of `probs`."""
    column = targets.unsqueeze(-1)
    return probs.neg_().scatter_add_(-1, column, probs.new_ones(column.shape))


def _chunks(values: Tensor) -> list[tuple[int, Tensor]]:
    """Rows at a time that one product takes, with the number of the first."""
    return _pieces(values, HEAD_CHUNK)


def _blocks(logits: Tensor) -> list[tuple[int, Tensor]]:
    """On a CPU, rows of logits whose float32 passes stay in its cache; elsewhere all of them."""
    size = len(logits)
    if logits.device.type == "cpu":
        size = max(1, BLOCK_BYTES // (4 * logits.shape[1]))
    return _pieces(logits, size)


def _pieces(values: Tensor, size: int) -> list[tuple[int, Tensor]]:
    return [(start, values[start : start + size]) for start in range(0, len(values), size)]


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
