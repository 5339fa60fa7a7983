from pathlib import Path

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from fakes.tiny_models import build_model, build_model_dir
from fakes.token_pairs import batch_of
from heedful.core.errors import CheckpointError, ModelError
from heedful.models.adapters import (
    LoraLinear,
    adapter_of,
    add_lora,
    load_lora,
    merged_state_dict,
    merged_weight,
    weights_hash,
)
from heedful.models.folders import ModelFolder
from heedful.models.loading import load_causal_lm
from heedful.models.precision import MasterWeights
from heedful.models.scalar import ScalarModel

IDS = torch.arange(3, 12)[None]


def shaken(model: nn.Module) -> MasterWeights:
    """Adapters begin as zero; give them values, as training would."""
    weights = MasterWeights(model, torch.float32)
    torch.manual_seed(5)
    with torch.no_grad():
        for master in weights.masters.values():
            master.add_(0.1 * torch.randn_like(master))
    return weights


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_adapters_change_nothing_at_first_and_are_all_that_trains(architecture: str):
    model = build_model(architecture)
    before = model(input_ids=IDS).logits
    add_lora(model, rank=4, alpha=8.0, seed=0)
    assert torch.equal(model(input_ids=IDS).logits, before)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert all(".lora_" in name for name in trained)
    assert not any("lm_head" in name for name in trained)


def test_the_seed_decides_and_leaves_the_global_noise_alone():
    states = []
    for seed in (0, 0, 1):
        model = build_model()
        torch.manual_seed(9)
        add_lora(model, rank=4, alpha=8.0, seed=seed)
        states.append([p.detach() for p in model.parameters() if p.requires_grad])
        assert torch.rand(()).item() == torch.rand((), generator=torch.manual_seed(9)).item()
    assert all(map(torch.equal, states[0], states[1]))
    assert not all(map(torch.equal, states[0], states[2]))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_merged_state_is_a_plain_model_with_the_same_outputs(
    architecture: str, tied: bool, tmp_path: Path
):
    model = build_model(architecture, tie_word_embeddings=tied)
    names = set(model.state_dict())
    untouched = model(input_ids=IDS).logits
    add_lora(model, rank=4, alpha=8.0, seed=0)
    weights = shaken(model)
    adapted = model(input_ids=IDS).logits
    assert (adapted - untouched).abs().max() > 0.01
    merged = merged_state_dict(model, weights.full_state_dict())
    assert set(merged) == names
    build_model_dir(tmp_path, architecture, tie_word_embeddings=tied)
    model.save_pretrained(tmp_path, state_dict=merged)
    plain = load_causal_lm(ModelFolder("merged", tmp_path), pad_id=0)
    torch.testing.assert_close(plain(input_ids=IDS).logits, adapted, rtol=1e-4, atol=1e-4)


def test_a_scalar_model_trains_its_head_beside_the_adapters():
    trunk = build_model().model
    add_lora(trunk, rank=2, alpha=4.0, seed=0)
    model = ScalarModel(trunk, 32)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "head.weight" in trained
    assert all(name == "head.weight" or ".lora_" in name for name in trained)
    lengths = torch.tensor([IDS.shape[1]])
    weights = shaken(model)
    merged = merged_state_dict(model, weights.full_state_dict())
    plain = ScalarModel(build_model().model, 32)
    plain.load_state_dict(merged)
    torch.testing.assert_close(
        plain.scores(batch_of(IDS, lengths)),
        model.scores(batch_of(IDS, lengths)),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_model_without_linear_layers_is_refused():
    with pytest.raises(ModelError, match="Embedding has no linear layers"):
        add_lora(nn.Embedding(3, 3), rank=2, alpha=4.0, seed=0)


def layer(kind: type[nn.Module], dtype: torch.dtype, *, bias: bool = True) -> LoraLinear:
    """From 6 inputs to 5 outputs, rank 2, with values everywhere."""
    torch.manual_seed(1)
    base = Conv1D(5, 6) if kind is Conv1D else nn.Linear(6, 5, bias=bias)
    nn.init.normal_(base.weight)
    found = LoraLinear(base.requires_grad_(False), torch.randn(2, 6), torch.randn(5, 2), 0.7)
    return found.to(dtype)


def written_plainly(adapted: LoraLinear, states: torch.Tensor) -> torch.Tensor:
    narrow = states @ adapted.lora_A.t()
    return adapted.base_layer(states) + adapted.scaling * (narrow @ adapted.lora_B.t())


class TestLayer:
    @pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
    @pytest.mark.parametrize("bias", [False, True])
    def test_outputs_and_gradients_are_those_of_the_formula(
        self, kind: type[nn.Module], bias: bool
    ):
        adapted = layer(kind, torch.float64, bias=bias)
        found, expected = [], []
        for results, function in ((found, adapted), (expected, written_plainly)):
            states = torch.randn(3, 4, 6, dtype=torch.float64, generator=torch.manual_seed(2))
            states.requires_grad_()
            args = (states,) if function is adapted else (adapted, states)
            outputs = function(*args)
            (outputs**2).sum().backward()
            results += [outputs, states.grad, adapted.lora_A.grad, adapted.lora_B.grad]
            adapted.zero_grad()
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)

    def test_gradients_agree_with_differences(self):
        adapted = layer(nn.Linear, torch.float64)
        states = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda *_: adapted(states), (states, adapted.lora_A, adapted.lora_B)
        )

    def test_without_gradients_the_same_numbers(self):
        adapted = layer(nn.Linear, torch.bfloat16)
        states = torch.randn(2, 3, 6, dtype=torch.bfloat16)
        with torch.no_grad():
            assert torch.equal(adapted(states), adapted(states.requires_grad_()).detach())
        assert adapted(states).dtype == torch.bfloat16

    def test_the_frozen_weight_gets_no_gradient(self):
        adapted = layer(nn.Linear, torch.float32)
        adapted(torch.randn(3, 6)).sum().backward()
        assert adapted.base_layer.weight.grad is None
        assert adapted.lora_A.grad is not None

    @pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
    def test_its_merged_weight_makes_a_plain_layer(self, kind: type[nn.Module]):
        adapted = layer(kind, torch.float32)
        states = torch.randn(3, 6)
        expected = adapted(states)
        adapted.base_layer.weight.copy_(merged_weight(adapted))
        torch.testing.assert_close(adapted.base_layer(states), expected)
        assert merged_weight(nn.Linear(6, 5).bfloat16()).dtype == torch.float32

    @pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
    def test_in_bfloat16_small_updates_survive_on_average(self, kind: type[nn.Module]):
        torch.manual_seed(0)
        base = Conv1D(96, 64) if kind is Conv1D else nn.Linear(64, 96)
        base.bfloat16().requires_grad_(False)
        down, up = 1e-2 * torch.randn(4, 64), 1e-3 * torch.randn(96, 4)
        adapted = LoraLinear(base, down, up, 1.0)
        exact = merged_weight(adapted) - base.weight.float()
        nearest = merged_weight(adapted).bfloat16().float() - base.weight.float()
        found = merged_weight(adapted, torch.bfloat16)
        kept = ((found.float() - base.weight.float()) * exact).sum() / (exact**2).sum()
        assert found.dtype == torch.bfloat16
        assert (nearest * exact).sum() / (exact**2).sum() < 0.6
        assert kept == pytest.approx(1, abs=0.1)
        assert torch.equal(found, merged_weight(adapted, torch.bfloat16))
        # Each is one of the two neighbours.
        away = (found.float() - merged_weight(adapted)).abs()
        assert (away <= merged_weight(adapted).abs() * 2**-7).all()

    def test_in_bfloat16_no_update_is_no_change(self):
        adapted = layer(nn.Linear, torch.bfloat16)
        adapted.lora_B.data.zero_()
        assert torch.equal(merged_weight(adapted, torch.bfloat16), adapted.base_layer.weight)


class TestApart:
    """Adapters taken out of one model and put into another."""

    def test_come_back_exactly(self):
        model, other = build_model(), build_model()
        add_lora(model, rank=3, alpha=6.0, seed=0)
        weights = shaken(model)
        adapter = adapter_of(model, weights.full_state_dict(), "hash")
        assert (adapter.scaling, adapter.trunk_hash) == (2.0, "hash")
        load_lora(other, adapter)
        assert torch.equal(other(input_ids=IDS).logits, model(input_ids=IDS).logits)
        trained = {name for name, p in other.named_parameters() if p.requires_grad}
        assert trained == adapter.weights.keys()
        with torch.no_grad():
            next(p for p in other.parameters() if p.requires_grad).add_(1.0)
        assert not torch.equal(other(input_ids=IDS).logits, model(input_ids=IDS).logits)

    @pytest.mark.parametrize(
        ("other", "shape", "reason"),
        [("gpt2", {}, "no layer"), ("llama", {"intermediate_size": 48}, "another size")],
    )
    def test_another_model_is_refused(self, other: str, shape: dict[str, int], reason: str):
        model = build_model()
        add_lora(model, rank=3, alpha=6.0, seed=0)
        adapter = adapter_of(model, shaken(model).full_state_dict(), "hash")
        with pytest.raises(CheckpointError, match=reason):
            load_lora(build_model(other, **shape), adapter)


def test_the_hash_is_that_of_the_weights_alone(tmp_path: Path):
    build_model_dir(tmp_path)
    loaded = load_causal_lm(ModelFolder("again", tmp_path), pad_id=0)
    expected = weights_hash(build_model())
    assert weights_hash(loaded) == expected
    with torch.no_grad():
        loaded.lm_head.weight[0, 0] += 1e-3
    assert weights_hash(loaded) != expected
    assert weights_hash(build_model().bfloat16()) != expected
