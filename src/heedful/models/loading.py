"""Loading transformers causal language models from the folders that `folders` finds.

Code from a hub is never executed (`trust_remote_code` stays off).
"""

from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from heedful.core.errors import ModelError
from heedful.models.attention import use_our_attention
from heedful.models.folders import ModelFolder
from heedful.models.fused import use_fused_blocks


def quiet_transformers() -> None:
    """Keep transformers' own progress bars and advice out of our display."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def load_causal_lm(folder: ModelFolder, *, pad_id: int, dropout: float | None = None) -> Any:
    """The model of `folder` in float32, on the CPU, in evaluation mode.

    Args:
        folder: See `find_model`.
        pad_id: A token other than the end token. transformers gives the embedding row of
            a model's pad token no gradient; where that is the end token, the model could
            never learn what its input means, so the row is freed.
        dropout: See `set_dropout`; None for none.

    Raises:
        ModelError: The folder cannot be loaded whole, or has no dropout to set.
    """
    model = load_whole(AutoModelForCausalLM, folder)
    model.config.pad_token_id = pad_id
    set_dropout(model, dropout or 0.0)
    return model


def load_whole(auto: Any, folder: ModelFolder) -> Any:
    """What `auto` (a transformers Auto class) makes of `folder`; every weight from its files.

    Raises:
        ModelError: It cannot be loaded, or weights are missing, which transformers would
            fill with noise.
    """
    quiet_transformers()
    try:
        model, found = auto.from_pretrained(
            folder.path,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder.name}: cannot be loaded as a language model: {error}") from None
    if found["missing_keys"]:
        missing = sorted(found["missing_keys"])
        raise ModelError(
            f"{folder.name}: {len(missing)} of the model's weights are not in its files, "
            f"{missing[0]} first",
            "Name a whole causal language model, not an encoder or a part.",
        )
    use_our_attention(model)
    use_fused_blocks(model)
    embedding = model.get_input_embeddings()
    if isinstance(embedding, nn.Embedding):
        embedding.padding_idx = None
    return model.eval()


def set_dropout(model: nn.Module, probability: float) -> None:
    """Drop activations of embeddings and residual branches; attention weights never.

    What counts is every `nn.Dropout` but those on attention weights (`attn_dropout`,
    `attention_dropout`). Those, and probabilities that layers keep as plain numbers, are
    switched off.

    Raises:
        ModelError: `probability` is not 0 and the architecture has no such layer.
    """
    num_set = 0
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if "dropout" in name and isinstance(value, float):
                setattr(module, name, 0.0)
        if isinstance(module, nn.Dropout):
            on_attention = path.rpartition(".")[2].startswith("att")
            module.p = 0.0 if on_attention else probability
            num_set += not on_attention
    if probability > 0 and not num_set:
        raise ModelError(
            f"sft.dropout = {probability}: {type(model).__name__} has no dropout layers",
            "Leave sft.dropout out for this architecture.",
        )


def trunk_of(model: Any) -> Any:
    """The transformer below a causal language model's vocabulary head."""
    return model.get_decoder() if hasattr(model, "get_decoder") else model.base_model


def num_matrix_parameters(model: nn.Module) -> int:
    """Parameters in matrix products per token, for FLOP counts: all but lookups.

    A tied vocabulary head counts once, since it is multiplied once.
    """
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    heads = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    return sum(
        parameter.numel()
        for parameter in model.parameters()
        if parameter.dim() > 1 and (id(parameter) not in embeddings or id(parameter) in heads)
    )
