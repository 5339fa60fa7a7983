"""Log-probabilities of completions under a causal language model.

The vocabulary head is computed only at the positions that predict a completion token,
and in chunks that are recomputed in the backward pass, so that no tensor of the shape
[B, T, V] ever exists. Rows are padded on the right and need no attention mask: under
causal attention what comes later cannot reach what comes before.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from heedful.models.loading import trunk_of

HEAD_CHUNK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionLogprobs:
    """What `completion_logprobs` returns; padding holds zeros."""

    logprobs: Float[Tensor, "B C"]
    entropy: Float[Tensor, "B C"]
    mask: Bool[Tensor, "B C"]


def hidden_states(
    model: Any, input_ids: Int[Tensor, "B T"], position_ids: Int[Tensor, "B T"] | None = None
) -> Float[Tensor, "B T H"]:
    """The trunk's last hidden states.

    Args:
        model: A transformers causal language model.
        input_ids: Right-padded rows, or rows of several packed sequences.
        position_ids: For packed rows, positions that start again at 0 with each sequence;
            transformers derives from them a mask under which no sequence sees another.
    """
    output = trunk_of(model)(input_ids=input_ids, position_ids=position_ids, use_cache=False)
    states: Tensor = output.last_hidden_state
    return states


def head_logprobs(
    model: Any,
    states: Float[Tensor, "N H"],
    targets: Int[Tensor, " N"],
    temperature: float = 1.0,
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Log-probability of each target and the distribution's entropy, in float32.

    The logits are divided by `temperature`, so that the numbers belong to the distribution
    that was sampled from. The entropy carries no gradient.
    """
    logprobs, entropies = [], []
    for start in range(0, len(targets), HEAD_CHUNK):
        rows = slice(start, start + HEAD_CHUNK)
        arguments = (model, states[rows], targets[rows], temperature)
        if torch.is_grad_enabled():
            logprob, entropy = checkpoint(_chunk, *arguments, use_reentrant=False)
        else:
            logprob, entropy = _chunk(*arguments)
        logprobs.append(logprob)
        entropies.append(entropy)
    if not logprobs:
        empty = states.new_zeros(0, dtype=torch.float32)
        return empty, empty
    return torch.cat(logprobs), torch.cat(entropies)


def _chunk(
    model: Any, states: Tensor, targets: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    logits = vocabulary_logits(model, states).float()
    if temperature != 1.0:
        logits = logits / temperature
    normaliser = torch.logsumexp(logits, dim=-1)
    logprobs = logits.gather(-1, targets[:, None])[:, 0] - normaliser
    with torch.no_grad():
        probabilities = torch.exp(logits - normaliser[:, None])
        entropy = normaliser - (probabilities * logits).sum(-1)
    return logprobs, entropy


def vocabulary_logits(model: Any, states: Float[Tensor, "N H"]) -> Float[Tensor, "N V"]:
    """The model's own vocabulary head, with the scaling that its architecture puts on it."""
    logits: Tensor = model.get_output_embeddings()(states)
    config = model.config
    scale = getattr(config, "logit_scale", None)
    if scale is not None:
        logits = logits * scale
    scaling = getattr(config, "logits_scaling", None)
    if scaling is not None:
        logits = logits / scaling
    cap = getattr(config, "final_logit_softcapping", None)
    if cap is not None:
        logits = torch.tanh(logits / cap) * cap
    return logits


def completion_positions(
    prompt_lengths: Int[Tensor, " B"], completion_lengths: Int[Tensor, " B"], num_columns: int
) -> tuple[Int[Tensor, "B C"], Bool[Tensor, "B C"]]:
    """Column of each completion token in its row, and which of them exist.

    Columns of padding are 1, a valid index whose values are masked.
    """
    offsets = torch.arange(num_columns, device=prompt_lengths.device)[None, :]
    mask = offsets < completion_lengths[:, None]
    positions = prompt_lengths[:, None] + offsets
    return torch.where(mask, positions, 1), mask


def completion_logprobs(
    model: Any,
    input_ids: Int[Tensor, "B T"],
    prompt_lengths: Int[Tensor, " B"],
    completion_lengths: Int[Tensor, " B"],
    *,
    num_columns: int | None = None,
    temperature: float = 1.0,
) -> CompletionLogprobs:
    """Log-probability of every completion token given what precedes it.

    Args:
        model: A transformers causal language model.
        input_ids: Prompt and completion side by side, padded on the right.
        prompt_lengths: At least 1: the first completion token needs a predecessor.
        completion_lengths: Tokens of each completion, the end token counted.
        num_columns: C of the result; the longest completion where left out.
        temperature: See `head_logprobs`.
    """
    columns = int(completion_lengths.max()) if num_columns is None else num_columns
    positions, mask = completion_positions(prompt_lengths, completion_lengths, columns)
    states = hidden_states(model, input_ids)
    before = (positions - 1)[..., None].expand(-1, -1, states.shape[-1])
    flat_states = states.gather(1, before)[mask]
    targets = input_ids.gather(1, positions)[mask]
    logprobs, entropy = head_logprobs(model, flat_states, targets, temperature)
    zeros = logprobs.new_zeros(mask.shape)
    return CompletionLogprobs(
        logprobs=zeros.masked_scatter(mask, logprobs),
        entropy=zeros.masked_scatter(mask, entropy),
        mask=mask,
    )
