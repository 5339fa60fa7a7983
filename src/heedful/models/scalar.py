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

from heedful.models.policy import completion_positions


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

    def _scalars(self, states: Tensor) -> Tensor:
        numbers: Tensor = self.head(states.float())[..., 0] - self.offset
        return numbers

    def scores(
        self, input_ids: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " B"]:
        """The number at the last token of each right-padded row (the end token)."""
        states = self.trunk(input_ids=input_ids, use_cache=False).last_hidden_state
        rows = torch.arange(len(lengths), device=lengths.device)
        return self._scalars(states[rows, lengths - 1])

    def values(
        self,
        input_ids: Int[Tensor, "B T"],
        prompt_lengths: Int[Tensor, " B"],
        completion_lengths: Int[Tensor, " B"],
        num_columns: int | None = None,
    ) -> Float[Tensor, "B C"]:
        """The number before each completion token was drawn; padding holds zeros."""
        columns = int(completion_lengths.max()) if num_columns is None else num_columns
        positions, mask = completion_positions(prompt_lengths, completion_lengths, columns)
        states = self.trunk(input_ids=input_ids, use_cache=False).last_hidden_state
        before = (positions - 1)[..., None].expand(-1, -1, states.shape[-1])
        return self._scalars(states.gather(1, before)) * mask
