"""Tiny random models of several architectures whose tokens are bytes; shapes are checked."""

import sys
from collections.abc import Callable, Sequence

import pytest
import torch
from jaxtyping import install_import_hook
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

# A test collected earlier may have imported the room unchecked; import it again, checked.
for name in [name for name in sys.modules if f"{name}.".startswith("heedful.generation.")]:
    del sys.modules[name]
install_import_hook("heedful.generation.sampling", "beartype.beartype")

EOS, PAD, CONTEXT = 0, 1, 96
_SHAPE = {
    "vocab_size": 256,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": None,
    "eos_token_id": EOS,
    "pad_token_id": PAD,
    "tie_word_embeddings": False,
}
CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**_SHAPE, num_key_value_heads=2),
    "qwen2": lambda: Qwen2Config(**_SHAPE, num_key_value_heads=2),
    "gpt_neox": lambda: GPTNeoXConfig(**_SHAPE),
    "gemma3": lambda: Gemma3TextConfig(
        **_SHAPE,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "gpt2": lambda: GPT2Config(
        **{key: _SHAPE[key] for key in ("vocab_size", "bos_token_id", "eos_token_id")},
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=CONTEXT,
        tie_word_embeddings=False,
    ),
}


def _build(architecture: str) -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture]())
    for parameter in model.parameters():
        if parameter.dim() == 2:
            # Wider than the usual initialisation, so that greedy choices are not near ties
            # and attention is not uniform.
            torch.nn.init.normal_(parameter, std=0.4)
    # Narrower, so that a token's successor is not decided by that token alone.
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.05)
    return model.eval()


@pytest.fixture(params=sorted(CONFIGS))
def any_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return _build(request.param)


@pytest.fixture
def model() -> PreTrainedModel:
    return _build("llama")


@pytest.fixture
def gpt2() -> PreTrainedModel:
    return _build("gpt2")


@pytest.fixture
def decode() -> Callable[[Sequence[int]], str]:
    """Token n is the byte n."""
    return lambda token_ids: bytes(token_ids).decode("utf-8", errors="replace")
