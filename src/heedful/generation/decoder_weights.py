"""A model's weights in the form in which the decoder multiplies by them.

Layers that read the same input are one product. On a CPU the weights are copied into the layout
that oneDNN multiplies fastest, if it multiplies their type natively; elsewhere they are the
module's own tensors, or copies where an adapter is added into them. Which layers exist is
`decoder_blocks`'s business.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from heedful.models.adapters import LoraLinear, merged_weight
from heedful.models.precision import native_bfloat16


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether this processor and this PyTorch have a packed layout for such weights."""
    return (
        device.type == "cpu"
        and (dtype == torch.float32 or (dtype == torch.bfloat16 and native_bfloat16(device)))
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def is_plain(layer: Any) -> bool:
    """Whether `layer` is a matrix, with or without bias, under an adapter or not."""
    base = layer.base_layer if isinstance(layer, LoraLinear) else layer
    return type(base) in (nn.Linear, Conv1D)


class Matrix:
    """Several linear layers of one input, side by side.

    Args:
        layers: Each one `is_plain`.
    """

    def __init__(self, *layers: Any) -> None:
        self._layers = layers
        self._weights: list[Tensor] = []  # each [out, in]; empty where packed
        self._merged: list[Tensor | None] = [None] * len(layers)  # copies with adapters added
        self._packed: Tensor | None = None
        self._bias: Tensor | None = None
        self.refresh()

    def refresh(self, rows: int | None = None) -> None:
        """Read the layers' weights as they are now.

        Tensors of our own are written again where they are, as captured graphs need; packed
        ones are new.

        Args:
            rows: Pack for products with about so many rows; None: do not pack.
        """
        self._packed = None
        # A captured graph has read the bias from where it is.
        self._bias = _in_place(self._bias, _joined_bias(self._layers))
        merged = zip(self._layers, self._merged, strict=True)
        self._merged = [_in_place(old, _merged_weight(layer)) for layer, old in merged]
        self._weights = [
            _own_weight(layer) if own is None else own
            for layer, own in zip(self._layers, self._merged, strict=True)
        ]
        if rows is not None:
            together = torch.cat(self._weights) if len(self._weights) > 1 else self._weights[0]
            pack = torch.ops.mkldnn._reorder_linear_weight  # noqa: SLF001  the only name it has
            self._packed = pack(together.contiguous(), rows)
            self._weights = []
            self._merged = [None] * len(self._layers)

    def release(self) -> None:
        """Hold no weights until the next `refresh`."""
        self._packed, self._weights = None, []
        self._merged = [None] * len(self._layers)

    def __call__(self, x: Tensor) -> Tensor:
        """`[N, in]` to `[N, all outs]`."""
        if self._packed is not None:
            multiply = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
            product: Tensor = multiply(x, self._packed, self._bias, "none", [], "")
            return product
        if not self._weights:
            raise RuntimeError("weights were released: refresh the decoder before its next use")
        if len(self._weights) == 1:
            return functional.linear(x, self._weights[0], self._bias)
        product = torch.cat([functional.linear(x, weight) for weight in self._weights], dim=-1)
        return product if self._bias is None else product.add_(self._bias)


def _in_place(old: Tensor | None, new: Tensor | None) -> Tensor | None:
    """`new`, in the memory of `old` where it fits."""
    if old is None or new is None:
        return new
    same = (old.shape, old.dtype, old.device) == (new.shape, new.dtype, new.device)
    return old.copy_(new) if same else new


def _own_weight(layer: Any) -> Tensor:
    """The module's weight as `[out, in]`, without its adapter and not copied."""
    base: Any = layer.base_layer if isinstance(layer, LoraLinear) else layer
    weight: Tensor = base.weight.detach()
    return weight.t() if isinstance(base, Conv1D) else weight


def _merged_weight(layer: Any) -> Tensor | None:
    """A copy of the weight with its adapter added; None where there is none."""
    if not isinstance(layer, LoraLinear):
        return None
    weight = merged_weight(layer, layer.base_layer.weight.dtype)
    return weight.t() if isinstance(layer.base_layer, Conv1D) else weight


def _joined_bias(layers: tuple[Any, ...]) -> Tensor | None:
    """A copy of the biases side by side."""
    bases = [layer.base_layer if isinstance(layer, LoraLinear) else layer for layer in layers]
    if all(base.bias is None for base in bases):
        return None
    parts = [
        _own_weight(base).new_zeros(len(_own_weight(base))) if base.bias is None else base.bias
        for base in bases
    ]
    return torch.cat([part.detach() for part in parts])


class Norm:
    """A layer's normalisation, root-mean-square or with mean and bias.

    Args:
        plus_one: Whether the weight is stored as its distance from 1 (Gemma).
    """

    def __init__(self, module: Any, *, plus_one: bool) -> None:
        self._module = module
        self._plus_one = plus_one
        self._centred = type(module) is nn.LayerNorm
        self._eps: float = getattr(module, "eps", None) or module.variance_epsilon
        self._from_one: Tensor | None = None  # float32, ours
        self.refresh()

    def refresh(self) -> None:
        """Read the module's weight as it is now."""
        if self._plus_one:
            self._from_one = _in_place(self._from_one, self._module.weight.detach().float() + 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the last dimension; float32 inside."""
        shape, weight = x.shape[-1:], self._module.weight
        if self._from_one is not None:
            return functional.rms_norm(x.float(), shape, self._from_one, self._eps).to(x.dtype)
        if self._centred:
            return functional.layer_norm(x, shape, weight, self._module.bias, self._eps)
        return functional.rms_norm(x, shape, weight, self._eps)
