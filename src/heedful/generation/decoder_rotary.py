"""Rotary positions from tables.

The model's own rotary module makes the cosines and sines, whatever its variant (Llama 3's,
linear, YaRN ...), once for all positions that the cache has room for; a token looks its own up.
Variants that depend on the longest row of a batch are not for tables (`decoder_blocks`).
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

Turn = tuple[Tensor, Tensor]  # cosines and signed sines, each [N, 1, rotary_dim]


class RotaryTables:
    """Cosines and sines of every kind of layer.

    Args:
        module: The model's rotary module; None for a model without.
        kinds: What the module calls its layer types; `[None]` if it knows one only.
        context: Positions that the model knows.
    """

    def __init__(self, module: Any, kinds: Collection[str | None], context: int) -> None:
        self._module = module
        self._kinds = kinds if module is not None else ()
        self._context = context
        self._tables: dict[str | None, tuple[Tensor, Tensor]] = {}

    def reserve(self, capacity: int, like: Tensor) -> None:
        """Have tables for `capacity` positions, of the dtype and on the device of `like`."""
        needed = min(capacity, self._context)
        for kind in self._kinds:
            table = self._tables[kind][0] if kind in self._tables else like.new_empty(0)
            if len(table) >= needed and (table.dtype, table.device) == (like.dtype, like.device):
                continue
            positions = torch.arange(needed, device=like.device)[None]
            options = () if kind is None else (kind,)
            cosines, sines = self._module(like.new_empty(0), positions, *options)
            before, after = sines[0].chunk(2, dim=-1)
            # The sign of rotate_half, so that a roll does for it.
            self._tables[kind] = (cosines[0], torch.cat([-before, after], dim=-1))

    def look_up(self, positions: Tensor) -> dict[str | None, Turn]:
        """What turns tokens `[N]` at these positions, for each kind of layer."""
        within = positions.clamp_max(self._context - 1)
        return {
            kind: (cosines[within, None], sines[within, None])
            for kind, (cosines, sines) in self._tables.items()
        }


def turn(states: Tensor, by: Turn) -> Tensor:
    """Rotate queries or keys `[N, heads, head_dim]`; dimensions past rotary_dim stay."""
    cosines, sines = by
    width = cosines.shape[-1]
    part = states[..., :width]
    turned = torch.addcmul(part * cosines, part.roll(width // 2, dims=-1), sines)
    if width == states.shape[-1]:
        return turned
    return torch.cat([turned, states[..., width:]], dim=-1)
