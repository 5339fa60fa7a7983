"""The language-model loss over token pairs: what SFT, the pretraining mix and ptx share."""

from collections.abc import Sequence
from typing import Any

import torch

from heedful.core.run import Cost
from heedful.losses.language import language_model_loss
from heedful.models.policy import completion_logprobs
from heedful.training.batches import Batcher, TokenPair
from heedful.training.loop import Trainable


def accumulate_language_loss(
    policy: Trainable, pairs: Sequence[TokenPair], batcher: Batcher, *, weight: float
) -> float:
    """Add the gradients of `weight` times the mean loss over the pairs' completion tokens.

    Returns:
        That mean loss in nats per token, without `weight`.
    """
    denominator = sum(len(pair.completion_ids) for pair in pairs)
    total = 0.0
    for _, batch in batcher.batches(pairs):
        logprobs = completion_logprobs(policy.module, batch).logprobs
        mask = torch.ones_like(logprobs, dtype=torch.bool)
        loss, _ = language_model_loss(logprobs, mask, denominator=denominator)
        policy.backward(weight * loss)
        total += float(loss.detach())
    return total


@torch.no_grad()
def language_loss(
    model: Any,
    pairs: Sequence[TokenPair],
    batcher: Batcher,
    *,
    cost: Cost | None = None,
    num_parameters: int = 0,
) -> float:
    """Mean loss over the pairs' completion tokens, in nats per token, without gradients."""
    was_training = model.training
    model.eval()
    total = sum(
        -float(completion_logprobs(model, batch).logprobs.sum())
        for _, batch in batcher.batches(pairs)
    )
    model.train(was_training)
    if cost is not None:
        cost.add_tokens(num_parameters, scored=sum(len(pair) for pair in pairs))
    return total / sum(len(pair.completion_ids) for pair in pairs)
