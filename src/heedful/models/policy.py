"""Log-probabilities of completions under a causal language model.

The vocabulary head is computed only at the positions that predict a completion token, so
that no tensor of the shape [B, T, V] ever exists. Rows are padded on the right and need
no attention mask: under causal attention what comes later cannot reach what comes before.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heedful.core.errors import ModelError
from heedful.models.head import head_logprobs, vocabulary_logits
from heedful.models.loading import trunk_of


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionLogprobs:
    """What `completion_logprobs` returns; padding holds zeros."""

    logprobs: Float[Tensor, "B C"]
    entropy: Float[Tensor, "B C"] | None
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


@torch.no_grad()
def require_known_head(model: Any) -> None:
    """Refuse an architecture whose logits are made in a way that `vocabulary_logits` lacks.

    Raises:
        ModelError: Our logits of a few tokens differ from the model's own.
    """
    ids = _probe(model)
    ours = vocabulary_logits(model, hidden_states(model, ids)[0])
    theirs = model(input_ids=ids, use_cache=False).logits[0]
    if not torch.allclose(ours.float(), theirs.float(), rtol=1e-2, atol=1e-2, equal_nan=True):
        raise ModelError(
            f"{type(model).__name__} scales its logits in a way that is not known here",
            "Choose a model of another architecture, such as Llama, Qwen2 or GPT-2.",
        )


@torch.no_grad()
def keeps_packed_apart(model: Any) -> bool:
    """Whether sequences side by side in one row do not see each other, as packing needs."""
    ids = _probe(model)
    length = ids.shape[1]
    positions = torch.arange(length, device=ids.device)[None]
    both = hidden_states(
        model, torch.cat([ids.flip(1), ids], dim=1), torch.cat([positions, positions], dim=1)
    )
    alone = hidden_states(model, ids, positions)
    return torch.allclose(both[:, length:].float(), alone.float(), rtol=1e-2, atol=1e-2)


def _probe(model: Any) -> Int[Tensor, "1 T"]:
    """A few different tokens; any will do."""
    device = model.get_input_embeddings().weight.device
    return torch.arange(2, 2 + min(8, model.config.vocab_size - 2), device=device)[None]


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
    with_entropy: bool = False,
) -> CompletionLogprobs:
    """Log-probability of every completion token given what precedes it.

    Args:
        model: A transformers causal language model.
        input_ids: Prompt and completion side by side, padded on the right.
        prompt_lengths: At least 1: the first completion token needs a predecessor.
        completion_lengths: Tokens of each completion, the end token counted.
        num_columns: C of the result; the longest completion where left out.
        temperature: See `head_logprobs`.
        with_entropy: Whether to compute the entropy, a metric that costs time.
    """
    columns = int(completion_lengths.max()) if num_columns is None else num_columns
    positions, mask = completion_positions(prompt_lengths, completion_lengths, columns)
    states = hidden_states(model, input_ids)
    before = (positions - 1)[..., None].expand(-1, -1, states.shape[-1])
    flat_states = states.gather(1, before)[mask]
    targets = input_ids.gather(1, positions)[mask]
    logprobs, entropy = head_logprobs(
        model, flat_states, targets, temperature, with_entropy=with_entropy
    )
    zeros = logprobs.new_zeros(mask.shape)
    return CompletionLogprobs(
        logprobs=zeros.masked_scatter(mask, logprobs),
        entropy=None if entropy is None else zeros.masked_scatter(mask, entropy),
        mask=mask,
    )
