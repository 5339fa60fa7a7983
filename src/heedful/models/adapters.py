"""LoRA: low-rank adapters on the linear layers of a frozen trunk (Hu et al. 2021), by peft.

The adapters are injected in place, so that the model keeps its class and every pass
keeps its code; for saving they are merged, so that a checkpoint is a plain model. One
trunk shared by policy, value and reward model is not done here.
"""

from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from heedful.core.errors import ModelError


def add_lora(model: Any, *, rank: int, alpha: float, seed: int) -> None:
    """Freeze `model` and add trainable adapters to every linear layer of its blocks.

    Raises:
        ModelError: No linear layer that adapters fit was found.
    """
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    targets = {
        name: type(module).__name__
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and module is not head
    }
    if not targets:
        raise ModelError(f"model.lora_rank: {type(model).__name__} has no linear layers to adapt")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]  # annotated int, used as a number
            target_modules=list(targets),
            fan_in_fan_out="Conv1D" in targets.values(),
        )
        inject_adapter_in_model(config, model)


def merged_state_dict(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """`weights` with every adapter added into the layer it belongs to, under plain names.

    Args:
        model: The model with injected adapters (it is not changed).
        weights: Its full state in float32, see `MasterWeights.full_state_dict`.
    """
    merged = {name: tensor for name, tensor in weights.items() if ".lora_" not in name}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            for adapter in module.lora_A:
                base = merged[f"{name}.base_layer.weight"].float()
                down = weights[f"{name}.lora_A.{adapter}.weight"].float()
                up = weights[f"{name}.lora_B.{adapter}.weight"].float()
                update = up @ down * module.scaling[adapter]
                # GPT-2's Conv1D keeps its weight the other way round.
                update = update.T if getattr(module, "fan_in_fan_out", False) else update
                merged[f"{name}.base_layer.weight"] = base + update
    return {name.replace(".base_layer.", "."): tensor for name, tensor in merged.items()}
