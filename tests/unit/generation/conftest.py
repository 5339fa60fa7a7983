"""Tiny random models of several architectures, and a decoder of bytes."""

from collections.abc import Callable, Sequence

import pytest
import torch
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

EOS, PAD, VOCAB = 0, 1, 128
_SHAPE = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 96,
    "bos_token_id": None,
    "eos_token_id": EOS,
    "pad_token_id": PAD,
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
        vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=96,
        bos_token_id=None, eos_token_id=EOS, pad_token_id=PAD,
    ),
}  # fmt: skip


def build(architecture: str) -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture]())
    for parameter in model.parameters():
        # Wider than the usual initialisation, so that greedy choices are not near ties.
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def decode(token_ids: Sequence[int]) -> str:
    """Token n is byte n; ids above 127 stand for the bytes of a multi-byte character."""
    return bytes(token_ids).decode("utf-8", errors="replace")


@pytest.fixture(scope="session", params=sorted(CONFIGS))
def any_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return build(request.param)


@pytest.fixture(scope="session")
def model() -> PreTrainedModel:
    return build("llama")
