"""Log-probabilities of completions under a causal language model.

The vocabulary head is computed only at the positions that predict a completion token, so
that no tensor of the shape [B, T, V] ever exists. How the tokens reach the trunk is
`heedful.models.token_batch`'s.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from heedful.core.errors import ModelError
from heedful.models.head import head_logprobs, vocabulary_logits
from heedful.models.loading import trunk_of
from heedful.models.token_batch import TokenBatch, token_states


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionLogprobs:
    """Of all completion tokens of a batch, pair after pair."""

    logprobs: Float[Tensor, " M"]
    entropy: Float[Tensor, " M"] | None


def hidden_states(model: Any, input_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
    """The trunk's last hidden states of right-padded rows."""
    output = trunk_of(model)(input_ids=input_ids, use_cache=False)
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


def _probe(model: Any) -> Int[Tensor, "1 T"]:
    """A few different tokens; any will do."""
    device = model.get_input_embeddings().weight.device
    return torch.arange(2, 2 + min(8, model.config.vocab_size - 2), device=device)[None]


def completion_logprobs(
    model: Any, batch: TokenBatch, *, temperature: float = 1.0, with_entropy: bool = False
) -> CompletionLogprobs:
    """Log-probability of every completion token given what precedes it.

    Args:
        model: A transformers causal language model.
        batch: Pairs whose prompts have at least one token.
        temperature: See `head_logprobs`.
        with_entropy: Whether to compute the entropy, a metric that costs time.
    """
    states = token_states(trunk_of(model), batch).index_select(0, batch.before)
    logprobs, entropy = head_logprobs(
        model, states, batch.targets, temperature, with_entropy=with_entropy
    )
    return CompletionLogprobs(logprobs=logprobs, entropy=entropy)
