"""LoRA: low-rank adapters on the linear layers of a frozen trunk (Hu et al. 2021).

The adapters are put into the model in place, so that it keeps its class and every pass
keeps its code; for saving they are merged, so that a checkpoint is a plain model. The
layer is our own: forward and backward pass are written out, nothing is computed for the
frozen weight's gradient, and nothing else of an adapter library was used. How several
models share one trunk is `heedful.models.shared_trunk`'s.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.pytorch_utils import Conv1D

from heedful.core.errors import CheckpointError, ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """The adapters of one model, apart from it.

    Attributes:
        weights: Layer name and `.lora_A` or `.lora_B` -> tensor in float32.
        scaling: Updates count this much, alpha / rank.
        trunk_hash: `weights_hash` of the trunk that they were trained on.
    """

    weights: Mapping[str, Tensor]
    scaling: float
    trunk_hash: str


class LoraLinear(nn.Module):
    """y = x W^T + b + scaling (x A^T) B^T with W and b frozen.

    Args:
        base_layer: An `nn.Linear`, or GPT-2's `Conv1D`, which keeps its weight transposed.
        down: The initial A.
        up: The initial B.
        scaling: See `Adapter`.
    """

    def __init__(
        self,
        base_layer: nn.Module,
        down: Float[Tensor, "rank inputs"],
        up: Float[Tensor, "outputs rank"],
        scaling: float,
    ) -> None:
        super().__init__()
        self.base_layer: Any = base_layer
        self.lora_A = nn.Parameter(down)
        self.lora_B = nn.Parameter(up)
        self.scaling = scaling

    def forward(self, states: Float[Tensor, "*N inputs"]) -> Float[Tensor, "*N outputs"]:
        """The layer's output in the type of `states`, which is the compute type."""
        weight = _plain_layout(self.base_layer, self.base_layer.weight)
        inputs = (states, weight, self.base_layer.bias, self.lora_A, self.lora_B, self.scaling)
        if not torch.is_grad_enabled():
            return _adapted(*inputs)[0]
        outputs: Tensor = _Adapted.apply(*inputs)  # type: ignore[no-untyped-call]
        return outputs

    def update(
        self, down: Float[Tensor, "rank inputs"], up: Float[Tensor, "outputs rank"]
    ) -> Tensor:
        """What A = `down` and B = `up` add to the base layer's weight, in its own layout."""
        return _plain_layout(self.base_layer, up @ down * self.scaling)


def _plain_layout(layer: nn.Module, weight: Tensor) -> Tensor:
    return weight.t() if isinstance(layer, Conv1D) else weight


def _adapted(
    states: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scaling: float
) -> tuple[Tensor, Tensor]:
    """The layer's output, and scaling x A^T as [N, rank].

    The large product is added to the small one and their sum rounded once: a small number
    added to a large one that is rounded already would often leave it as it is.
    """
    flat = states.reshape(-1, states.shape[-1])
    narrow = (flat @ down.t()).mul_(scaling)
    outputs = (narrow @ up.t()).addmm_(flat, weight.t())
    if bias is not None:
        outputs += bias
    return outputs.view(*states.shape[:-1], -1), narrow


class _Adapted(torch.autograd.Function):
    """`_adapted` with gradients of x, A and B alone."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        scaling: float,
    ) -> Tensor:
        outputs, narrow = _adapted(states, weight, bias, down, up, scaling)
        ctx.save_for_backward(states, weight, down, up, narrow)
        ctx.scaling = scaling
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        states, weight, down, up, narrow = ctx.saved_tensors
        flat = states.reshape(-1, states.shape[-1])
        into = grad.reshape(-1, grad.shape[-1])
        into_narrow = (into @ up).mul_(ctx.scaling)
        grad_states = None
        if ctx.needs_input_grad[0]:
            grad_states = (into_narrow @ down).addmm_(into, weight).view(states.shape)
        return grad_states, None, None, into_narrow.t() @ flat, into.t() @ narrow, None


def add_lora(model: Any, *, rank: int, alpha: float, seed: int) -> None:
    """Freeze `model` and add trainable adapters to every linear layer of its blocks.

    A begins as noise in float32, B as zero, so that nothing changes at first.

    Raises:
        ModelError: No linear layer that adapters fit was found.
    """
    noise = torch.Generator().manual_seed(seed)
    layers = _linear_layers(model)
    if not layers:
        raise ModelError(f"model.lora_rank: {type(model).__name__} has no linear layers to adapt")
    model.requires_grad_(False)
    for name, layer in layers.items():
        num_outputs, num_inputs = _plain_layout(layer, layer.weight).shape
        down = torch.empty(rank, num_inputs).uniform_(-1, 1, generator=noise) / num_inputs**0.5
        _adapt(model, name, layer, down, torch.zeros(num_outputs, rank), alpha / rank)


def load_lora(model: Any, adapter: Adapter) -> None:
    """Freeze `model` and add `adapter`, trainable, to the layers that it names.

    Raises:
        CheckpointError: It was made for layers of other names or sizes.
    """
    layers = _linear_layers(model)
    names = {name.rpartition(".")[0] for name in adapter.weights}
    if not names <= layers.keys():
        missing = min(names - layers.keys())
        raise CheckpointError(f"the adapter belongs to another architecture: no layer {missing}")
    model.requires_grad_(False)
    for name in (name for name in layers if name in names):
        down, up = (adapter.weights[f"{name}.lora_{part}"].clone() for part in "AB")
        layer = layers[name]
        if _plain_layout(layer, layer.weight).shape != (len(up), down.shape[1]):
            raise CheckpointError(f"the adapter belongs to another model: {name} has another size")
        _adapt(model, name, layer, down, up, adapter.scaling)


def _linear_layers(model: Any) -> dict[str, Any]:
    """Every linear layer of the blocks; the vocabulary head is none of them."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head
    }


def _adapt(
    model: nn.Module, name: str, layer: Any, down: Tensor, up: Tensor, scaling: float
) -> None:
    device = layer.weight.device
    model.set_submodule(name, LoraLinear(layer, down.to(device), up.to(device), scaling))


@torch.no_grad()
def merged_weight(layer: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    """The weight of a linear layer as its adapter makes it, in the layer's own layout.

    Args:
        layer: A linear layer with or without an adapter.
        dtype: Of the result; in bfloat16 the adapter's part is kept on average, see `_dithered`.
    """
    if not isinstance(layer, LoraLinear):
        weight: Tensor = layer.weight.to(dtype)
        return weight
    base: Tensor = layer.base_layer.weight.float()
    merged = base + layer.update(layer.lora_A.float(), layer.lora_B.float())
    return _dithered(merged) if dtype == torch.bfloat16 else merged.to(dtype)


def _dithered(weight: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """`weight` in bfloat16, rounded up as often as it is near the upper neighbour.

    A frozen weight in bfloat16 lies on the grid: rounded to nearest, it would swallow every
    update below half its last digit, and little of what was trained would be left. Here the
    thresholds differ from weight to weight, always in the same way, so that what is lost
    in one is made up for in others. A weight on the grid stays as it is.
    """
    noise = torch.Generator().manual_seed(0)
    thresholds = [torch.randint(2**16, (size,), generator=noise) for size in weight.shape]
    rows, columns = (found.to(weight.device, torch.int32) for found in thresholds)
    # The lower 16 bits are those that bfloat16 lacks.
    bits = weight.contiguous().view(torch.int32) + ((rows[:, None] + columns) & 0xFFFF)
    return (bits & ~0xFFFF).view(torch.float32).bfloat16()


def merged_state_dict(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`weights` with every adapter added into the layer it belongs to, under plain names.

    Where the model computes in bfloat16 the sums lie on bfloat16's grid, see `_dithered`: who
    computes with them in bfloat16 again has the model that was trained.

    Args:
        model: The model with its adapters (it is not changed).
        weights: Its full state in float32, see `MasterWeights.full_state_dict`.
    """
    merged = {name: tensor for name, tensor in weights.items() if ".lora_" not in name}
    for name, module in model.named_modules():
        if isinstance(module, LoraLinear):
            update = module.update(weights[f"{name}.lora_A"], weights[f"{name}.lora_B"])
            found = merged[f"{name}.base_layer.weight"] + update
            rounded = module.base_layer.weight.dtype == torch.bfloat16
            merged[f"{name}.base_layer.weight"] = _dithered(found).float() if rounded else found
    return {name.replace(".base_layer.", "."): tensor for name, tensor in merged.items()}


def adapter_of(model: nn.Module, weights: Mapping[str, Tensor], trunk_hash: str) -> Adapter:
    """The adapters of `model`, as in `weights` (see `merged_state_dict`)."""
    layers = [module for module in model.modules() if isinstance(module, LoraLinear)]
    return Adapter(
        weights={name: tensor for name, tensor in weights.items() if ".lora_" in name},
        scaling=layers[0].scaling,
        trunk_hash=trunk_hash,
    )


def weights_hash(model: nn.Module) -> str:
    """SHA-256 of every weight, whatever file it came from; take it before anything is rounded."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        digest.update(f"{name}:{weight.dtype}:{tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
