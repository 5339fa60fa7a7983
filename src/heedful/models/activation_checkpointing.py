"""Memory for time: what a layer computed is forgotten, and computed again in the backward pass.

Only the states between the layers stay. Gradients are the very same: dropout draws again what
it drew, and the layer computes in the same order.
"""

from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from heedful.core.errors import ModelError
from heedful.models.kv_cache import given_cache


def checkpoint_layers(model: nn.Module) -> None:
    """Let every layer of `model`, a transformers model or a module around one, forget.

    transformers' own switch works in training mode only; PPO trains in evaluation mode, so
    that sampled and trained log-probabilities are of one model.

    Raises:
        ModelError: The model has no layers that transformers marks as able to.
    """
    layers = [one for one in model.modules() if isinstance(one, GradientCheckpointingLayer)]
    if not layers:
        raise ModelError(
            f"model.activation_checkpointing: the layers of {type(model).__name__} cannot be "
            "computed again",
            "Set model.activation_checkpointing = false.",
        )
    for layer in layers:
        layer.forward = MethodType(_forward, layer)


def _forward(layer: nn.Module, *inputs: Any, **options: Any) -> Any:
    forward = type(layer).forward
    # A cache must not be written twice.
    if not torch.is_grad_enabled() or given_cache(options) is not None:
        return forward(layer, *inputs, **options)
    return checkpoint(forward, layer, *inputs, use_reentrant=False, **options)
