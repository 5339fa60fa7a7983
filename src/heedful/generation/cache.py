"""Keys and values of past tokens, stored with room to grow.

Transformers' own dynamic layer copies everything it holds at each token. Layers of any
other kind (sliding windows) are left as they are.
"""

from torch import Tensor
from transformers import PretrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer

_ROOM = 64  # tokens


class RoomyLayer(DynamicLayer):
    """A cache layer that writes into spare room, and hands out views of what is filled."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._storage: list[Tensor] = []  # keys and values, each [B, heads, capacity, head_dim]
        self._length = 0

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *args: object,  # noqa: ARG002  the signature is transformers'
        **kwargs: object,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Append `[B, heads, tokens, head_dim]` states; all states so far, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self._length, self._length + key_states.shape[-2]
        if not self._storage or self._storage[0].shape[-2] < end:
            self._grow(end + _ROOM, key_states, value_states)
        for storage, states in zip(self._storage, (key_states, value_states), strict=True):
            storage[:, :, start:end] = states
        return self._show(end)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep (or repeat) the given rows."""
        self._storage = [storage[indices] for storage in self._storage]
        self._show(self._length)

    def _grow(self, capacity: int, *states: Tensor) -> None:
        grown = [new.new_empty(*new.shape[:2], capacity, new.shape[-1]) for new in states]
        for storage, old in zip(grown, self._storage, strict=False):  # nothing old at first
            storage[:, :, : self._length] = old[:, :, : self._length]
        self._storage = grown

    def _show(self, length: int) -> tuple[Tensor, Tensor]:
        self._length = length
        keys, values = (storage[:, :, :length] for storage in self._storage)
        self.keys, self.values = keys, values
        return keys, values


def new_cache(config: PretrainedConfig) -> DynamicCache:
    """An empty cache for a model of this config."""
    cache = DynamicCache(config=config)
    cache.layers = [
        RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache
