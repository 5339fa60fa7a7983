"""Parts of transformers' blocks in fewer passes over memory, with gradients written out.

RMS norm and rotary embedding on the CPU, where each pass of PyTorch's own costs as much as a
small matrix product. `use_fused_blocks` puts them in the place of modules that are known by
name, after comparing each with the module's own computation. Weights keep their names and
places, linear layers stay modules, with adapters or without, and what is computed is the same,
rounded once where the originals round twice.

Gated activations are not here: autograd's passes over them are already the fewest.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import rms_norm as fused_rms_norm
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from heedful.models.kv_cache import KEYWORDS, cache_keyword, given_cache

BLOCK = 2**18  # numbers whose float32 passes stay in a core's cache
_LLAMA_LIKE = ("Llama", "Mistral", "Qwen2", "Qwen3", "Granite")
_GEMMAS = ("Gemma", "Gemma2", "Gemma3")


def use_fused_blocks(model: nn.Module) -> int:
    """Let the modules of `model` that are known here compute as written here; how many do.

    A module whose own result is another one stays as it is.
    """
    count = 0
    for module in model.modules():
        forward = _forward_of(module)
        if forward is not None and _same(module, forward):
            module.forward = MethodType(forward, module)
            count += 1
    return count


def _forward_of(module: nn.Module) -> Callable[..., Any] | None:
    if not type(module).__module__.startswith("transformers.models."):
        return None
    name = type(module).__name__
    found: dict[Callable[..., Any], list[str]] = {
        _plain_norm: [f"{family}RMSNorm" for family in _LLAMA_LIKE],
        _norm_from_one: [f"{family}RMSNorm" for family in _GEMMAS],
        _attention: [f"{family}Attention" for family in (*_LLAMA_LIKE, "Gemma", "Gemma3")],
    }
    return next((forward for forward, names in found.items() if name in names), None)


def rms_norm(states: Tensor, weight: Tensor, eps: float, *, weight_from: float = 0.0) -> Tensor:
    """RMS norm over the last dimension, times weight_from + weight."""
    if states.device.type != "cpu":
        exact = states if weight_from == 0 else states.float()
        scale = weight if weight_from == 0 else weight_from + weight.float()
        return fused_rms_norm(exact, weight.shape, scale, eps).type_as(states)
    normed: Tensor = _RMSNorm.apply(states, weight, eps, weight_from)  # type: ignore[no-untyped-call]
    return normed


class _RMSNorm(torch.autograd.Function):
    """In blocks of rows, float32 inside; keeps the input and one number a row."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, eps: float, weight_from: float) -> Tensor:
        rows = states.reshape(-1, states.shape[-1])
        precise = torch.promote_types(states.dtype, torch.float32)
        scale = weight.to(precise) + weight_from
        normed = torch.empty_like(rows)
        inverse = rows.new_empty(len(rows), 1, dtype=precise)
        for part in _blocks(rows):
            exact = rows[part].to(precise, copy=True)
            norm = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
            inverse[part] = norm.square_().div_(rows.shape[1]).add_(eps).rsqrt_()
            normed[part] = exact.mul_(inverse[part]).mul_(scale)
        ctx.save_for_backward(rows, weight, inverse)
        ctx.weight_from = weight_from
        return normed.view(states.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        rows, weight, inverse = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1]
        scale = weight.to(inverse.dtype) + ctx.weight_from
        grad_rows, grad_weight = torch.empty_like(rows), torch.zeros_like(scale)
        grads = grad.reshape(rows.shape)
        for part in _blocks(rows):
            unit = rows[part].to(inverse.dtype, copy=True).mul_(inverse[part])
            into = grads[part].to(inverse.dtype, copy=True)
            if wanted:
                grad_weight += torch.linalg.vecdot(unit, into, dim=0)
            into.mul_(scale)
            along = torch.linalg.vecdot(unit, into).div_(rows.shape[1]).unsqueeze(-1)
            grad_rows[part] = into.addcmul_(unit, along, value=-1).mul_(inverse[part])
        narrow = grad_weight.to(weight.dtype) if wanted else None
        return grad_rows.view(grad.shape), narrow, None, None


def _blocks(rows: Tensor) -> list[slice]:
    size = max(1, BLOCK // rows.shape[1])
    return [slice(start, start + size) for start in range(0, len(rows), size)]


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [B, T, heads, D] as contiguous [B, heads, T, D].

    Args:
        states: Projected queries or keys, heads not yet split off.
        cos: [B, T, D] as transformers makes it, its halves alike; B may be 1.
        sin: Likewise.
    """
    rotated: Tensor = _Rotate.apply(states, cos, sin)  # type: ignore[no-untyped-call]
    return rotated


class _Rotate(torch.autograd.Function):
    """Three passes, and back the same with the other sign; keeps nothing but the angles."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(states.transpose(1, 2), cos.unsqueeze(1), sin.unsqueeze(1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turn(grad.transpose(1, 2), cos.unsqueeze(2), -sin.unsqueeze(2)), None, None


def _turn(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each number with the one half a width away, by its angle; a contiguous result."""
    half = states.shape[-1] // 2
    turned = torch.mul(states, cos, out=states.new_empty(states.shape))
    turned[..., :half].addcmul_(states[..., half:], sin[..., :half], value=-1)
    turned[..., half:].addcmul_(states[..., :half], sin[..., half:])
    return turned


def _plain_norm(module: Any, hidden_states: Tensor) -> Tensor:
    return rms_norm(hidden_states, module.weight, module.variance_epsilon)


def _norm_from_one(module: Any, x: Tensor) -> Tensor:
    return rms_norm(x, module.weight, module.eps, weight_from=1.0)


def _attention(
    module: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, Any]:
    """What the attention modules of Llama's family do, in the same order."""
    shape = (*hidden_states.shape[:-1], -1, module.head_dim)
    query = module.q_proj(hidden_states).view(shape)
    key = module.k_proj(hidden_states).view(shape)
    value = module.v_proj(hidden_states).view(shape).transpose(1, 2)
    if hasattr(module, "q_norm"):
        query, key = module.q_norm(query), module.k_norm(key)
    query, key = (rotate(states, *position_embeddings) for states in (query, key))
    cache = given_cache(options)
    if cache is not None:
        key, value = cache.update(key, value, module.layer_idx)
    # Mistral's layers leave their window in the configuration.
    window = getattr(module, "sliding_window", getattr(module.config, "sliding_window", None))
    mixed, probs = ALL_ATTENTION_FUNCTIONS[module.config._attn_implementation](  # noqa: SLF001
        module,
        query,
        key,
        value,
        attention_mask,
        dropout=module.attention_dropout if module.training else 0.0,
        scaling=module.scaling,
        sliding_window=window,
        **{name: option for name, option in options.items() if name not in KEYWORDS},
    )
    return module.o_proj(mixed.reshape(*hidden_states.shape[:-1], -1)), probs


@torch.no_grad()
def _same(module: Any, forward: Callable[..., Any]) -> bool:
    """Whether `forward` finds what the module finds, for a few numbers."""
    width = module.weight.shape[0] if hasattr(module, "weight") else module.config.hidden_size
    states = torch.linspace(-2, 2, 5 * width).sin().view(1, 5, width)
    options: dict[str, Any] = {}
    if not hasattr(module, "weight"):
        if module.config._attn_implementation not in ALL_ATTENTION_FUNCTIONS:  # noqa: SLF001
            return False
        if cache_keyword(type(module).forward) is None:  # its cache would not be read
            return False
        angles = torch.linspace(0, 7, 5 * module.head_dim // 2).view(1, 5, -1).repeat(1, 1, 2)
        options = {"position_embeddings": (angles.cos(), angles.sin()), "attention_mask": None}
    ours, own = (run(module, states, **options) for run in (forward, type(module).forward))
    ours, own = (found[0] if isinstance(found, tuple) else found for found in (ours, own))
    return torch.allclose(ours, own, rtol=1e-4, atol=1e-5 * float(own.abs().max()))
