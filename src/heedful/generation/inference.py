"""A model on loan: evaluation mode without gradients, and everything as it was after."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel


@contextmanager
def inference(model: PreTrainedModel) -> Iterator[None]:
    """Evaluate without gradients inside; each module gets its own mode back."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        # Not inference_mode: what the model caches inside must still serve in training.
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
        # Autocast would go on using weights that it cast without a graph.
        torch.clear_autocast_cache()


def token_limits(model: PreTrainedModel) -> tuple[int, int | None]:
    """The size of the vocabulary, and the longest context in tokens (None: no limit)."""
    config = model.config.get_text_config()
    return config.vocab_size, getattr(config, "max_position_embeddings", None)
