"""Two-layer random models of several architectures, in memory and on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from fakes.tokenizer_folder import EOS, VOCABULARY, build_tokenizer_dir
from heedful.models.attention import use_our_attention
from heedful.models.fused import use_fused_blocks


def _llama_like(config: type[PretrainedConfig], **own: object) -> Callable[..., PretrainedConfig]:
    def build(**shape: object) -> PretrainedConfig:
        defaults: dict[str, Any] = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
            "bos_token_id": None,
            "tie_word_embeddings": False,
        }
        return config(**defaults | own | shape)

    return build


def _gpt2(**shape: Any) -> PretrainedConfig:
    context = shape.pop("max_position_embeddings", 256)
    defaults = {"bos_token_id": None, "tie_word_embeddings": False, "n_positions": context}
    return GPT2Config(n_embd=32, n_layer=2, n_head=4, **defaults | shape)


_SLIDING = {
    "num_key_value_heads": 2,
    "head_dim": 8,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
}
CONFIGS: dict[str, Callable[..., PretrainedConfig]] = {
    "llama": _llama_like(LlamaConfig, num_key_value_heads=2),
    "qwen2": _llama_like(Qwen2Config, num_key_value_heads=2),
    "gpt_neox": _llama_like(GPTNeoXConfig),
    "gemma3": _llama_like(Gemma3TextConfig, **_SLIDING),
    "gpt2": _gpt2,
}
# Architectures that do something to their logits.
SCALED: dict[str, Callable[..., PretrainedConfig]] = {
    "gemma2": _llama_like(Gemma2Config, **_SLIDING, final_logit_softcapping=1.5),
    "cohere": _llama_like(CohereConfig, num_key_value_heads=2, logit_scale=0.3),
    "granite": _llama_like(GraniteConfig, num_key_value_heads=2, logits_scaling=3.0),
}
# Relatives of those in CONFIGS, for what reads weights by itself.
RELATED: dict[str, Callable[..., PretrainedConfig]] = {
    "mistral": _llama_like(MistralConfig, num_key_value_heads=2, sliding_window=None),
    "qwen3": _llama_like(Qwen3Config, num_key_value_heads=2),
    "gemma": _llama_like(GemmaConfig, num_key_value_heads=2, head_dim=16),
}


def build_model(
    architecture: str = "llama", *, seed: int = 0, initial_std: float = 0.4, **shape: Any
) -> PreTrainedModel:
    """A random model; the end token is also its pad token, as models on hubs have it.

    `initial_std` is wider than usual, so that attention is not uniform and choices are not
    near ties; give a smaller one to a model that is to learn.
    """
    defaults = {"vocab_size": VOCABULARY, "eos_token_id": EOS, "pad_token_id": EOS}
    configs = CONFIGS | SCALED | RELATED
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(configs[architecture](**defaults | shape))
    use_our_attention(model)
    use_fused_blocks(model)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=initial_std)
    # Narrower, so that a token's successor is not decided by that token alone.
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=min(initial_std, 0.05))
    return model.eval()


def build_model_dir(path: Path, architecture: str = "llama", **options: Any) -> Path:
    """Write a whole model folder: weights, configuration and tokenizer."""
    build_model(architecture, **options).save_pretrained(path)
    return build_tokenizer_dir(path)
