"""One frozen trunk under several models, each with adapters and heads of its own.

A model here is a whole transformers model with modules of its own whose frozen weights are
the very tensors of the others. So there is no adapter to switch: a pass, its backward and
what is computed again in it see the model that was called, and a frozen copy for reference
costs nothing. What is trained, and from where it starts, is the trainers' affair.
"""

import copy
from itertools import chain
from typing import Any

import torch

from heedful.core.errors import CheckpointError
from heedful.models.adapters import load_lora, weights_hash
from heedful.models.checkpoint import load_scalar, read_adapter
from heedful.models.folders import ModelFolder
from heedful.models.loading import trunk_of
from heedful.models.precision import compute_in
from heedful.models.scalar import ScalarModel


def share_weights(model: Any) -> Any:
    """Another model on the same weights and buffers; adapters put into one are not in the other.

    Freeze the weights, and bring them to their device and type, before.
    """
    shared = chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})


class SharedTrunk:
    """A frozen causal language model in the compute type, for others to stand on.

    Args:
        model: In float32 as loaded; it is moved, frozen and rounded in place.
        name: How messages call it.
        device: Where it computes.
        dtype: The compute type.
    """

    def __init__(self, model: Any, name: str, device: torch.device, dtype: torch.dtype) -> None:
        self._hash = weights_hash(trunk_of(model))
        self._name = name
        self.model: Any = model.to(device).requires_grad_(False)
        compute_in(self.model, dtype)

    def scalar_model(self, folder: ModelFolder) -> ScalarModel:
        """The reward model saved in `folder`, its adapter and head on this trunk.

        Raises:
            CheckpointError: It has no adapter, or one that was trained on another trunk.
        """
        adapter = read_adapter(folder.path)
        if adapter is None or adapter.trunk_hash != self._hash:
            reason = "all its weights" if adapter is None else "adapters on another model"
            raise CheckpointError(
                f"{folder.name} cannot share the trunk of {self._name}: it trained {reason}",
                f"Train the reward model with model.name = {self._name} and model.lora_rank, "
                "or set ppo.shared_trunk = false.",
            )
        trunk = trunk_of(share_weights(self.model))
        load_lora(trunk, adapter)
        return load_scalar(folder, trunk).to(next(trunk.parameters()).device)
