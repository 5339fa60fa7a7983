"""What bfloat16 would swallow of an adapter, and does not."""

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from heedful.models.adapters import LoraLinear, merged_state_dict, merged_weight


def slightly_changed(kind: type[nn.Module]) -> LoraLinear:
    """A layer in bfloat16 whose update is mostly below its weights' last digits."""
    torch.manual_seed(0)
    base = Conv1D(96, 64) if kind is Conv1D else nn.Linear(64, 96, bias=False)
    nn.init.normal_(base.weight)
    down, up = 1e-1 * torch.randn(4, 64), 2e-3 * torch.randn(96, 4)
    return LoraLinear(base.requires_grad_(False), down, up, 1.0).bfloat16()


def share_of(found: torch.Tensor, exact: torch.Tensor) -> float:
    """How much of `exact` is in `found`, by least squares."""
    return float((found * exact).sum() / (exact**2).sum())


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_small_updates_survive_merging_on_average(kind: type[nn.Module]):
    adapted = slightly_changed(kind)
    base = adapted.base_layer.weight.float()
    exact = merged_weight(adapted) - base
    found = merged_weight(adapted, torch.bfloat16)
    assert found.dtype == torch.bfloat16
    assert share_of(merged_weight(adapted).bfloat16().float() - base, exact) < 0.6
    assert share_of(found.float() - base, exact) == pytest.approx(1, abs=0.1)
    assert torch.equal(found, merged_weight(adapted, torch.bfloat16))
    # Each is one of the two neighbours.
    away = (found.float() - merged_weight(adapted)).abs()
    assert (away <= merged_weight(adapted).abs() * 2**-7).all()
    plain = {"weight": base, "base_layer.weight": base}
    plain |= {name: p.detach().float() for name, p in adapted.named_parameters()}
    holder = nn.ModuleDict({"layer": adapted})
    saved = merged_state_dict(holder, {f"layer.{name}": w for name, w in plain.items()})
    assert torch.equal(saved["layer.weight"].bfloat16(), found)
    assert saved["layer.weight"].dtype == torch.float32


def test_small_updates_survive_the_pass_on_average():
    adapted = slightly_changed(nn.Linear)
    states = torch.randn(200, 64).bfloat16()
    exact = states.float() @ (merged_weight(adapted) - adapted.base_layer.weight.float()).t()
    with torch.no_grad():
        found = adapted(states).float() - adapted.base_layer(states).float()
        naive = adapted.base_layer(states) + exact.bfloat16() - adapted.base_layer(states)
    assert share_of(naive.float(), exact) < 0.9
    assert share_of(found, exact) == pytest.approx(1, abs=0.1)
