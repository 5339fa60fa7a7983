import copy

import pytest
import torch
from torch import nn

from fakes.tiny_models import build_model
from heedful.core.errors import ConfigError
from heedful.models.precision import MasterWeights, compute_dtype, compute_in, pick_device

CPU = torch.device("cpu")


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def test_float32_has_no_second_copy():
    module = linear()
    weights = MasterWeights(module, torch.float32)
    assert all(weights.masters[name] is p for name, p in module.named_parameters())


def test_bfloat16_is_rounded_from_float32_masters():
    module = linear()
    exact = {name: p.detach().clone() for name, p in module.named_parameters()}
    weights = MasterWeights(module, torch.bfloat16)
    for name, parameter in module.named_parameters():
        assert parameter.dtype == torch.bfloat16
        assert torch.equal(weights.masters[name], exact[name])
        assert torch.equal(parameter, exact[name].bfloat16())


def test_publishing_rounds_again():
    module = linear()
    weights = MasterWeights(module, torch.bfloat16)
    # Far below what bfloat16 can add to a weight; masters collect it.
    for _ in range(100):
        weights.masters["weight"].add_(1e-4)
        weights.publish()
    assert torch.equal(module.weight, weights.masters["weight"].bfloat16())
    torch.testing.assert_close(weights.masters["weight"], linear().weight.detach() + 0.01)


def test_gradients_are_summed_in_float32():
    module = linear()
    weights = MasterWeights(module, torch.bfloat16)
    for value in (1.0, *[1e-3] * 100):
        (module.weight.sum() * value).backward()
        assert module.weight.grad is None
    grad = weights.masters["weight"].grad
    assert grad is not None
    # In bfloat16, 1 + 0.001 is 1.
    torch.testing.assert_close(grad, torch.full((2, 3), 1.1), atol=1e-3, rtol=0)


def test_a_weight_used_twice_gets_both_gradients():
    model = build_model(tie_word_embeddings=True)
    ids, gradients = torch.arange(3, 9)[None], []
    for dtype in (torch.float32, torch.bfloat16):
        weights = MasterWeights(copy.deepcopy(model), dtype)
        weights.module(input_ids=ids).logits.log_softmax(-1)[..., 4].mean().backward()
        gradients.append(weights.masters["model.embed_tokens.weight"].grad)
    exact, ours = gradients
    assert (ours - exact).norm() < 0.04 * exact.norm()  # without one of them: above 0.4


def test_named_parts_stay_in_float32():
    module = nn.ModuleDict({"trunk": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    MasterWeights(module, torch.bfloat16, keep_fp32=("head.",))
    assert module["trunk"].weight.dtype == torch.bfloat16
    assert module["head"].weight.dtype == torch.float32


def test_buffers_keep_their_precision():
    model = build_model()
    frequencies = model.model.rotary_emb.inv_freq.clone()
    compute_in(model, torch.bfloat16)
    assert model.lm_head.weight.dtype == torch.bfloat16
    assert torch.equal(model.model.rotary_emb.inv_freq, frequencies)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tied_weights_stay_tied(dtype: torch.dtype):
    model = build_model(tie_word_embeddings=True)
    exact = model.lm_head.weight.detach().clone()
    weights = MasterWeights(model, dtype)
    assert "lm_head.weight" not in weights.masters
    with torch.no_grad():
        weights.masters["model.embed_tokens.weight"].add_(1.0)
    weights.publish()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    state = weights.full_state_dict()
    assert state["lm_head.weight"].data_ptr() == state["model.embed_tokens.weight"].data_ptr()
    assert torch.equal(state["lm_head.weight"], exact + 1.0)


def test_the_full_state_has_every_name_in_float32():
    model = build_model()
    model.model.embed_tokens.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = MasterWeights(model, torch.bfloat16).full_state_dict()
    assert state.keys() == before.keys()
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    frozen = "model.embed_tokens.weight"
    assert torch.equal(state[frozen], before[frozen].bfloat16().float())
    assert all(torch.equal(state[n], before[n]) for n in state if n != frozen)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loading_sets_masters_and_module(dtype: torch.dtype):
    module = linear()
    weights = MasterWeights(module, dtype)
    weights.load({"weight": torch.ones(2, 3) / 3, "bias": torch.zeros(2)})
    assert torch.equal(weights.state_dict()["weight"], torch.ones(2, 3) / 3)
    assert torch.equal(module.weight, (torch.ones(2, 3) / 3).to(dtype))


def test_settings_name_types_and_devices():
    assert compute_dtype("float32", CPU) == torch.float32
    assert compute_dtype("bfloat16", CPU) == torch.bfloat16
    assert compute_dtype("auto", CPU) in (torch.float32, torch.bfloat16)
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name: str):
    with pytest.raises(ConfigError, match=f"`model.device` = {name}"):
        pick_device(name)
