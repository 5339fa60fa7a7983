"""Causal attention of our own, over rows and over sequences side by side.

On the CPU attention is plain matrix products: PyTorch's fused attention takes several times as
long there, above all in the backward pass (benchmarks/attention.py). Elsewhere, and for long
rows, the fused one is called. It is registered with transformers under `NAME`; the models keep
their own code. One query token goes to the fused one, heads that share a key together. What is
not known here (biases, masks that are not boolean, dropout) goes where transformers would send
it. Capped scores (Gemma 2), which no fused attention takes, are computed step by step.

With a `layout` (`heedful.models.ragged`) the one row given is many sequences. The probabilities,
[B, heads, T, T], are kept for the backward pass: up to `LONGEST` tokens they are small beside a
layer's other activations.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from heedful.core.errors import ModelError
from heedful.models.ragged import Group, Layout, Steps

NAME = "heedful"
LONGEST = 512  # tokens
_UNKNOWN = ("s_aux", "position_bias", "cache")  # options not computed here


def use_our_attention(model: Any) -> None:
    """Let a transformers model attend with `attend`, unless it computes attention itself.

    Models that cap their scores ask for transformers' slow attention only because the fused
    one cannot do that.
    """
    chosen = model.config._attn_implementation  # noqa: SLF001
    capped = getattr(model.config, "attn_logit_softcapping", None) is not None
    if chosen == "sdpa" or (chosen == "eager" and capped):
        model.set_attn_implementation(NAME)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: Layout | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers asks for it: states [B, heads, T, D] to [B, T, heads, D].

    Raises:
        ModelError: There is a layout, and something in the call that is not known here.
    """
    if layout is not None:
        _require_known(module, dropout, options)
        return _attend_side_by_side(query, key, value, layout, scaling, options), None
    batch, heads, length, width = query.shape
    groups = key.shape[1]
    if options.get("softcap") is not None:
        seen = attention_mask
        if seen is None and length > 1:
            seen = torch.ones(length, key.shape[2], dtype=torch.bool, device=query.device).tril()
        mixed = _capped(query, key, value, seen, scaling, options["softcap"])
        return mixed.transpose(1, 2).contiguous(), None
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
    mixed = _Attention.apply(  # type: ignore[no-untyped-call]
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
    return (
        query.device.type == "cpu"
        and (length == 1 or key.shape[2] == length <= LONGEST)
        and key.shape[-1] == value.shape[-1]
        and (_causal(module, options) if mask is None else _of_heads(mask))
        and all(options.get(name) is None for name in _UNKNOWN)
    )


def _of_heads(mask: Tensor) -> bool:
    """Whether a mask says seen or not, for all heads alike."""
    return mask.dtype == torch.bool and mask.shape[1] == 1


def _causal(module: Any, options: dict[str, Any]) -> bool:
    causal = options.get("is_causal")
    return bool(getattr(module, "is_causal", True) if causal is None else causal)


def _require_known(module: Any, dropout: float, options: dict[str, Any]) -> None:
    unknown = [name for name in _UNKNOWN if options.get(name) is not None]
    if dropout or unknown or not _causal(module, options):
        raise ModelError(
            f"{type(module).__name__} attends in a way that sequences side by side cannot: "
            + (", ".join(unknown) or ("dropout" if dropout else "not causal")),
            "Choose a model of another architecture, such as Llama, Qwen2 or GPT-2.",
        )


def _attend_side_by_side(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    scaling: float | None,
    options: dict[str, Any],
) -> Tensor:
    """Attention within one row of many sequences: [1, heads, N, D] to [1, N, heads, D].

    Groups with many keys, and all on a GPU, go to the fused attention.
    """
    scaling = query.shape[3] ** -0.5 if scaling is None else scaling
    window, cap = options.get("sliding_window"), options.get("softcap")
    parts: list[Tensor] = []
    for stretch in layout.stretches(LONGEST):
        if query.device.type == "cpu" and cap is None and stretch.groups[0].keys <= LONGEST:
            found = _SideBySide.apply(query, key, value, stretch, scaling, window)  # type: ignore[no-untyped-call]
            parts.append(found)
            continue
        parts += [
            _fused((query, key, value), group, scaling, window, cap) for group in stretch.groups
        ]
    mixed = parts[0] if len(parts) == 1 else torch.cat(parts)
    return mixed.view(1, layout.num_tokens, query.shape[1], -1)


def _fused(
    states: Sequence[Tensor],
    group: Group,
    scaling: float,
    window: int | None,
    cap: float | None,
) -> Tensor:
    """One group's results, [tokens * heads, D], by the fused attention or with capped scores."""
    batch, heads, groups = len(group.segments), states[0].shape[1], states[1].shape[1]
    query, steps = _flat(states[0])
    rows = query.index_select(0, group.query_places(heads, steps))
    rows = rows.view(batch, heads, group.queries, -1)
    keys, values = (
        flat.index_select(0, group.key_places(groups, steps))
        .view(batch, groups, group.keys, -1)
        .repeat_interleave(heads // groups, dim=1)
        for flat, steps in map(_flat, states[1:])
    )
    causal = group.plain and (window is None or window >= group.keys)
    if cap is not None:
        mixed = _capped(rows, keys, values, group.seen(window), scaling, cap)
    elif causal:
        mixed = scaled_dot_product_attention(rows, keys, values, is_causal=True, scale=scaling)
    else:
        mixed = scaled_dot_product_attention(rows, keys, values, group.seen(window), scale=scaling)
    return mixed.reshape(-1, mixed.shape[-1]).index_select(0, group.token_rows(heads))


def _capped(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    seen: Tensor | None,
    scaling: float | None,
    cap: float,
) -> Tensor:
    """softmax(cap * tanh(Q K^T / cap)) V over the keys seen; [B, heads, T, D]."""
    repeats = query.shape[1] // key.shape[1]
    key, value = (states.repeat_interleave(repeats, dim=1) for states in (key, value))
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.tanh(query @ key.transpose(-1, -2) * (scaling / cap)) * cap
    if seen is not None:
        scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
    return scores.softmax(-1, dtype=torch.float32).to(query.dtype) @ value


class _Attention(torch.autograd.Function):
    """softmax(Q K^T + hidden) V, its gradient written out; Q is scaled already."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor, shape: tuple[int, ...]
    ) -> Tensor:
        probs, mixed = _products(query, key, value, hidden, shape)
        ctx.save_for_backward(query, key, value, probs)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        return *_product_gradients(grad, *ctx.saved_tensors), None, None


def _products(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Probabilities and their mixture of values; `hidden` is added to scores of `shape`."""
    scores = torch.bmm(query, key.transpose(-1, -2))
    scores.view(shape).add_(hidden)
    probs = scores.softmax(-1)
    return probs, torch.bmm(probs, value)


def _product_gradients(
    grad: Tensor, query: Tensor, key: Tensor, value: Tensor, probs: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the (scaled) query, key and value."""
    grad_value = torch.bmm(probs.transpose(-1, -2), grad)
    grad_probs = torch.bmm(grad, value.transpose(-1, -2))
    # dS = P * (dP - sum(dP * P)); fused.
    grad_scores = torch._softmax_backward_data(grad_probs, probs, -1, probs.dtype)  # noqa: SLF001
    grad_query = torch.bmm(grad_scores, key)
    return grad_query, torch.bmm(grad_scores.transpose(-1, -2), query), grad_value


class _SideBySide(torch.autograd.Function):
    """Attention of a layout's groups by matrix products: [1, heads, N, D] to [N * heads, D].

    A prompt that several completions see is gathered for each of them; its gradient is the
    sum over them.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layout: Layout,
        scaling: float,
        window: int | None,
    ) -> Tensor:
        heads, groups = query.shape[1], key.shape[1]
        mixed = value.new_empty((layout.stop - layout.start) * heads, value.shape[3])
        (flat, steps), *of_keys = map(_flat, (query, key, value))
        kept = []
        for group in layout.groups:
            batch = len(group.segments) * groups
            rows = flat.index_select(0, group.query_places(heads, steps)).mul_(scaling)
            rows = rows.view(batch, -1, rows.shape[1])
            keys, values = (
                states.index_select(0, group.key_places(groups, step)).view(batch, group.keys, -1)
                for states, step in of_keys
            )
            shape = (len(group.segments), groups, -1, group.queries, group.keys)
            hidden = group.hidden(window, query.dtype)
            probs, found = _products(rows, keys, values, hidden, shape)
            into = mixed[_tokens(group, heads, layout.start)]
            torch.index_select(found.view(-1, found.shape[2]), 0, group.token_rows(heads), out=into)
            kept += [rows, keys, values, probs]
        ctx.save_for_backward(*kept)
        ctx.layout, ctx.heads, ctx.groups, ctx.scaling = layout, heads, groups, scaling
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layout, heads, groups, kept = ctx.layout, ctx.heads, ctx.groups, ctx.saved_tensors
        grad_query = _room(layout, heads, kept[0])
        steps = (heads, 1)
        grad_keys: list[Tensor] = []
        grad_values: list[Tensor] = []
        for number, group in enumerate(layout.groups):
            rows = grad.index_select(0, group.query_places(heads, steps, layout.start))
            rows.index_fill_(0, group.padded_places(heads), 0)
            states = kept[4 * number : 4 * number + 4]
            rows = rows.view(len(states[0]), -1, rows.shape[1])
            of_query, of_key, of_value = _product_gradients(rows, *states)
            into = grad_query[_tokens(group, heads)]
            flat = of_query.view(-1, of_query.shape[2])
            torch.index_select(flat, 0, group.token_rows(heads), out=into)
            grad_keys.append(of_key.view(-1, of_key.shape[2]))
            grad_values.append(of_value.view(-1, of_value.shape[2]))
        found = (
            grad_query.mul_(ctx.scaling),
            _to_tokens(grad_keys, layout, groups),
            _to_tokens(grad_values, layout, groups),
        )
        return (
            *(of.view(1, layout.num_tokens, -1, of.shape[1]).transpose(1, 2) for of in found),
            *(None,) * 3,
        )


def _to_tokens(parts: Sequence[Tensor], layout: Layout, heads: int) -> Tensor:
    """Gradients of the rows of all groups' keys, as gradients of the [N * heads] keys."""
    if layout.shared:
        rows, starts = layout.key_bags(heads)
        every = parts[0] if len(parts) == 1 else torch.cat([*parts])
        return embedding_bag(rows, every, starts, mode="sum")
    found = _room(layout, heads, parts[0])
    for group, part in zip(layout.groups, parts, strict=True):
        torch.index_select(part, 0, group.token_rows(heads), out=found[_tokens(group, heads)])
    return found


def _flat(states: Tensor) -> tuple[Tensor, Steps]:
    """[1, heads, N, D] as a list of [D], and the steps in it; no copy if dense."""
    _, heads, length, width = states.shape
    if states.transpose(1, 2).is_contiguous():
        return states.transpose(1, 2).reshape(-1, width), (heads, 1)
    return states.reshape(-1, width), (1, length)


def _room(layout: Layout, heads: int, like: Tensor) -> Tensor:
    """[N * heads, D] for the gradients of a stretch; those of other tokens are 0."""
    size = (layout.num_tokens * heads, like.shape[-1])
    whole = layout.stop - layout.start == layout.num_tokens
    return like.new_empty(size) if whole else like.new_zeros(size)


def _tokens(group: Group, heads: int, start: int = 0) -> slice:
    """Where the group's tokens lie in [N * heads] from token `start` on."""
    return slice((group.start - start) * heads, (group.stop - start) * heads)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
