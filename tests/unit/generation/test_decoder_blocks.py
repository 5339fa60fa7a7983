from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from fakes.tiny_models import CONFIGS, RELATED, build_model
from heedful.generation.decoder_blocks import FAMILIES, read_layout

LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 100.0,
    "short_factor": [1.0] * 4,
    "long_factor": [2.0] * 4,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize("name", sorted({*CONFIGS, *RELATED, "gemma2"}))
def test_every_layer_is_described(name: str) -> None:
    model = build_model(name)
    assert model.config.model_type in FAMILIES
    layout = read_layout(model)
    assert layout is not None
    assert len(layout.blocks) == 2
    assert layout.heads % layout.groups == 0
    windows = [block.window for block in layout.blocks]
    assert windows == ([8, None] if name in ("gemma2", "gemma3") else [None, None])
    for block in layout.blocks:
        assert len(list(block.matrices())) == 4
        expected = {"gemma3": 6, "qwen3": 4, "gemma2": 4}.get(name, 2)
        assert len(list(block.norms())) == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cohere", {}),
        ("granite", {}),
        ("llama", {"rope_parameters": LONGROPE}),
        ("gemma3", {"use_bidirectional_attention": True}),
        ("gpt2", {"add_cross_attention": True}),
    ],
)
def test_what_is_not_known_has_no_layout(name: str, options: dict[str, Any]) -> None:
    assert read_layout(build_model(name, **options)) is None


def test_layers_that_are_more_than_a_matrix_have_no_layout() -> None:
    class Other(nn.Linear):
        pass

    model = build_model("llama")
    attention = model.model.layers[1].self_attn
    attention.o_proj = Other(32, 32, bias=False)
    assert read_layout(model) is None


def test_layers_of_several_types_have_no_layout() -> None:
    model = build_model("llama")
    model.model.layers[1].mlp.bfloat16()
    assert read_layout(model) is None


def test_layers_past_the_configured_number_are_not_read() -> None:
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(**shape, num_hidden_layers=3, vocab_size=8))
    model.config.num_hidden_layers = 2
    with torch.no_grad():
        layout = read_layout(model)
    assert layout is not None
    assert len(layout.blocks) == 2


def test_under_autocast_there_is_no_layout() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert read_layout(build_model("llama")) is None
