"""fp32 master weights behind a model that computes in a narrower type.

The module holds its weights in the compute type, so that the trainer's passes and the
decoder read the very same numbers; the optimiser sees fp32 masters with fp32 gradients
summed over microbatches. Where the compute type is float32 both are one and the same.

This is the scheme of the paper (section C: fp16 weights, fp32 master copies) with
bfloat16 in fp16's place, which needs no loss scaling.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from heedful.core.errors import ConfigError


def native_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 natively (emulation is slower than float32)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False


def compute_dtype(setting: str, device: torch.device) -> torch.dtype:
    """The type named by `model.compute_dtype`; `auto` is bfloat16 where it is native."""
    if setting == "auto":
        return torch.bfloat16 if native_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[setting]


def pick_device(setting: str) -> torch.device:
    """The device named by `model.device`; `auto` is a GPU where there is one.

    Raises:
        ConfigError: The device does not exist here.
    """
    if setting == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(setting)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"`model.device` = {setting}: {error}") from None
    return device


def compute_in(module: nn.Module, dtype: torch.dtype, *, keep_fp32: tuple[str, ...] = ()) -> None:
    """Round the parameters of `module` to `dtype`, in place.

    Buffers stay as they are: rotary frequencies rounded to bfloat16, which `module.to(dtype)`
    would do, turn positions into other ones.
    """
    for name, parameter in module.named_parameters():
        if not any(name.startswith(prefix) for prefix in keep_fp32):
            parameter.data = parameter.data.to(dtype)


class MasterWeights:
    """The trainable weights of a module in fp32, with gradients summed in fp32.

    Each gradient goes into its master's while the backward pass goes on, and is freed: the
    module's gradients never exist all at once.

    Args:
        module: Its parameters, frozen ones too, are rounded to `dtype` in place; parameters
            of modules listed in `keep_fp32` stay float32.
        dtype: The compute type.
        keep_fp32: Name prefixes of parameters that compute in float32 too, such as a
            scalar head whose small differences matter.
    """

    def __init__(
        self, module: nn.Module, dtype: torch.dtype, *, keep_fp32: tuple[str, ...] = ()
    ) -> None:
        self.module = module
        self._parameters = {
            name: parameter
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        exact = {name: parameter.detach().float() for name, parameter in self._parameters.items()}
        compute_in(module, dtype, keep_fp32=keep_fp32)
        self.masters: dict[str, Tensor] = {
            name: parameter if parameter.dtype == torch.float32 else exact[name]
            for name, parameter in self._parameters.items()
        }
        self._rounded = {
            name: parameter
            for name, parameter in self._parameters.items()
            if parameter is not self.masters[name]
        }
        for name, parameter in self._rounded.items():
            parameter.register_post_accumulate_grad_hook(_collect_in(self.masters[name]))

    @torch.no_grad()
    def publish(self) -> None:
        """Round the masters into the module's weights; after each optimiser step."""
        if self._rounded:
            exact = [self.masters[name] for name in self._rounded]
            torch._foreach_copy_(list(self._rounded.values()), exact)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Set the masters (and the module) to `weights`, which must name each of them."""
        for name, master in self.masters.items():
            master.copy_(weights[name])
        self.publish()

    def state_dict(self) -> dict[str, Tensor]:
        """The masters by parameter name, not copied."""
        return {name: master.detach() for name, master in self.masters.items()}

    def full_state_dict(self) -> dict[str, Tensor]:
        """The module's whole state in float32, masters in place of rounded weights.

        Shared (tied) weights appear under each of their names, as one tensor.
        """
        exact = {
            parameter.data_ptr(): self.masters[name].detach()
            for name, parameter in self._parameters.items()
        }
        state: dict[str, Tensor] = {}
        for name, tensor in self.module.state_dict().items():
            pointer = tensor.data_ptr()
            if pointer not in exact and tensor.is_floating_point():
                exact[pointer] = tensor.float()
            state[name] = exact.get(pointer, tensor)
        return state


def _collect_in(master: Tensor) -> Callable[[Tensor], None]:
    """What adds a parameter's gradient to `master`'s and clears it."""

    def collect(parameter: Tensor) -> None:
        if parameter.grad is None:
            return
        if master.grad is None:
            master.grad = parameter.grad.float()
        else:
            master.grad += parameter.grad
        parameter.grad = None

    return collect
