"""The language-model loss over token pairs: what SFT, the pretraining mix and ptx share."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from heedful.core.run import Cost
from heedful.losses.language import language_model_loss
from heedful.models.head import head_logprobs
from heedful.models.policy import completion_logprobs, hidden_states
from heedful.training.batches import (
    PackedRow,
    TokenPair,
    pack,
    pad_rows,
    token_budget_groups,
)
from heedful.training.loop import Trainable


def accumulate_language_loss(
    policy: Trainable,
    pairs: Sequence[TokenPair],
    *,
    weight: float,
    max_tokens: int,
    pad_id: int,
    device: torch.device,
    packing: bool = False,
) -> float:
    """Add the gradients of `weight` times the mean loss over the pairs' completion tokens.

    Returns:
        That mean loss in nats per token, without `weight`.
    """
    denominator = sum(len(pair.completion_ids) for pair in pairs)
    total = 0.0
    for logprobs in _passes(policy.module, pairs, max_tokens, pad_id, device, packing):
        mask = torch.ones_like(logprobs, dtype=torch.bool)
        loss, _ = language_model_loss(logprobs, mask, denominator=denominator)
        policy.backward(weight * loss)
        total += float(loss.detach())
    return total


@torch.no_grad()
def language_loss(
    model: Any,
    pairs: Sequence[TokenPair],
    *,
    max_tokens: int,
    pad_id: int,
    device: torch.device,
    cost: Cost | None = None,
    num_parameters: int = 0,
) -> float:
    """Mean loss over the pairs' completion tokens, in nats per token, without gradients."""
    was_training = model.training
    model.eval()
    total = sum(
        -float(logprobs.sum())
        for logprobs in _passes(model, pairs, max_tokens, pad_id, device, False)
    )
    model.train(was_training)
    if cost is not None:
        cost.add_tokens(num_parameters, scored=sum(len(pair) for pair in pairs))
    return total / sum(len(pair.completion_ids) for pair in pairs)


def _passes(
    model: Any,
    pairs: Sequence[TokenPair],
    max_tokens: int,
    pad_id: int,
    device: torch.device,
    packing: bool,
) -> Iterator[Tensor]:
    """Flat completion log-probabilities, one tensor per microbatch."""
    if packing:
        for row in pack(pairs, max_tokens):
            yield _packed_logprobs(model, row, device)
        return
    for group in token_budget_groups([len(pair) for pair in pairs], max_tokens):
        rows = pad_rows([pairs[index] for index in group], pad_id, device)
        result = completion_logprobs(
            model, rows.input_ids, rows.prompt_lengths, rows.completion_lengths
        )
        yield result.logprobs[result.mask]


def _packed_logprobs(model: Any, row: PackedRow, device: torch.device) -> Tensor:
    input_ids = torch.tensor([row.input_ids], device=device)
    position_ids = torch.tensor([row.position_ids], device=device)
    targets = torch.tensor(row.target_columns, device=device)
    states = hidden_states(model, input_ids, position_ids)[0]
    return head_logprobs(model, states[targets - 1], input_ids[0, targets])[0]
