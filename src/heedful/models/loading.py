"""Loading transformers causal language models from the folders that `folders` finds.

Code from a hub is never executed (`trust_remote_code` stays off).
"""

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from heedful.core.errors import ModelError
from heedful.models.folders import ModelFolder


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
        dropout: Residual dropout, or None for the model's own.

    Raises:
        ModelError: The folder cannot be loaded, or has no dropout to set.
    """
    quiet_transformers()
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder.path, dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder.name}: cannot be loaded as a causal language model: {error}") from None
    model.config.pad_token_id = pad_id
    if model.generation_config is not None:
        model.generation_config.pad_token_id = pad_id
    embedding = model.get_input_embeddings()
    if isinstance(embedding, nn.Embedding):
        embedding.padding_idx = None
    set_dropout(model, 0.0 if dropout is None else dropout, refuse=dropout is not None)
    return model.eval()


def set_dropout(model: nn.Module, probability: float, *, refuse: bool = True) -> None:
    """Set every dropout layer of `model`.

    Raises:
        ModelError: `refuse` is set and the architecture has no dropout layer.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    if refuse and probability > 0 and not layers:
        raise ModelError(
            f"sft.dropout = {probability}: {type(model).__name__} has no dropout layers",
            "Leave sft.dropout out for this architecture.",
        )
    for layer in layers:
        layer.p = probability


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
    heads = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)
    }
    return sum(
        parameter.numel()
        for parameter in model.parameters()
        if parameter.dim() > 1 and (id(parameter) not in embeddings or id(parameter) in heads)
    )
