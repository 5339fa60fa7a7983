from pathlib import Path

import pytest
import torch
from torch import nn

from fakes.tiny_models import build_model, build_model_dir
from heedful.core.errors import ModelError
from heedful.models.adapters import add_lora, merged_state_dict
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
        plain.scores(IDS, lengths), model.scores(IDS, lengths), rtol=1e-4, atol=1e-4
    )


def test_a_model_without_linear_layers_is_refused():
    with pytest.raises(ModelError, match="Embedding has no linear layers"):
        add_lora(nn.Embedding(3, 3), rank=2, alpha=4.0, seed=0)
