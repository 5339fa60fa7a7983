"""Causal attention as plain matrix products, for the CPU.

PyTorch's fused attention takes several times as long there, above all in the backward pass
(benchmarks/attention.py). This one is registered with transformers under `NAME`; the models
keep their own code. One query token goes to the fused one, heads that share a key together.
What is not taken here (a GPU, long rows, a chunk after cached tokens, masks that are not
boolean, dropout, biases) goes there as transformers would send it.

The probabilities, [B, heads, T, T], are kept for the backward pass: up to `LONGEST` tokens
they are small beside a layer's other activations.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "heedful"
LONGEST = 512  # tokens
_UNKNOWN = ("softcap", "s_aux", "position_bias", "cache")  # options not computed here


def use_our_attention(model: Any) -> None:
    """Let a transformers model attend with `attend`, unless it computes attention itself."""
    if model.config._attn_implementation == "sdpa":  # noqa: SLF001
        model.set_attn_implementation(NAME)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers asks for it: states [B, heads, T, D] to [B, T, heads, D]."""
    batch, heads, length, width = query.shape
    groups = key.shape[1]
    if dropout or not _is_ours(module, query, key, value, attention_mask, options):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **options
        )
    if length == 1:
        # Heads that share a key are further query tokens, which all see the same.
        shared = query.reshape(batch, groups, -1, width)
        one = scaled_dot_product_attention(shared, key, value, attention_mask, scale=scaling)
        return one.reshape(batch, 1, heads, -1), None
    # The heads that share a key stand side by side, as further rows of one product.
    rows = query.reshape(batch * groups, -1, width) * (width**-0.5 if scaling is None else scaling)
    if attention_mask is None:
        seen = torch.ones(length, length, dtype=torch.bool).tril()
    else:
        seen = attention_mask.expand(batch, 1, length, length)[:, :, None]
    hidden = torch.zeros(seen.shape, dtype=query.dtype).masked_fill_(
        ~seen, torch.finfo(query.dtype).min
    )
    mixed: Tensor = _Attention.apply(  # type: ignore[no-untyped-call]
        rows, key.flatten(0, 1), value.flatten(0, 1), hidden, (batch, groups, -1, length, length)
    )
    return mixed.view(batch, heads, length, -1).transpose(1, 2).contiguous(), None


def _is_ours(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    options: dict[str, Any],
) -> bool:
    length = query.shape[2]
    causal = options.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    return (
        query.device.type == "cpu"
        and (length == 1 or key.shape[2] == length <= LONGEST)
        and key.shape[-1] == value.shape[-1]
        and (causal if mask is None else mask.dtype == torch.bool and mask.shape[1] == 1)
        and all(options.get(name) is None for name in _UNKNOWN)
    )


class _Attention(torch.autograd.Function):
    """softmax(Q K^T + hidden) V, its gradient written out; Q is scaled already."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor, shape: tuple[int, ...]
    ) -> Tensor:
        scores = torch.bmm(query, key.transpose(-1, -2))
        scores.view(shape).add_(hidden)
        probs = scores.softmax(-1)
        ctx.save_for_backward(query, key, value, probs)
        return torch.bmm(probs, value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value, probs = ctx.saved_tensors
        grad_value = torch.bmm(probs.transpose(-1, -2), grad)
        grad_probs = torch.bmm(grad, value.transpose(-1, -2))
        # dS = P * (dP - sum(dP * P)); fused.
        grad_scores = torch._softmax_backward_data(grad_probs, probs, -1, probs.dtype)  # noqa: SLF001
        grad_query = torch.bmm(grad_scores, key)
        return grad_query, torch.bmm(grad_scores.transpose(-1, -2), query), grad_value, None, None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
