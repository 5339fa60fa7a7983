"""A transformer trunk with one number per position: reward models and value models.

The head computes in float32 whatever the trunk computes in, because scores differ by
little. `offset` is subtracted from every score; the reward trainer sets it so that
demonstrations score 0 on average (paper, section 3.5).
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from heedful.models.token_batch import TokenBatch, token_states


class ScalarModel(nn.Module):
    """Trunk, linear head and offset.

    Args:
        trunk: A transformers model that returns `last_hidden_state`.
        hidden_size: H of the trunk.
        generator: Noise of the head's initial weights, N(0, 1 / (H + 1)) as in Stiennon
            et al. 2020.
    """

    offset: Tensor

    def __init__(
        self, trunk: Any, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(hidden_size, 1, bias=False)
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(hidden_size + 1), generator=generator)
        self.register_buffer("offset", torch.zeros(()))

    @torch.no_grad()
    def zero_head(self) -> None:
        """Make every number 0, the trunk left as it is."""
        self.head.weight.zero_()
        self.offset.zero_()

    def scores(self, batch: TokenBatch) -> Float[Tensor, " B"]:
        """The number at the last token of each pair (the end token)."""
        return self._scalars(batch, batch.last)

    def values(self, batch: TokenBatch) -> Float[Tensor, " M"]:
        """The number before each completion token was drawn, pair after pair."""
        return self._scalars(batch, batch.before)

    def _scalars(self, batch: TokenBatch, places: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        states = token_states(self.trunk, batch).index_select(0, places)
        numbers: Tensor = self.head(states.float())[..., 0] - self.offset
        return numbers
