"""Keys and values of past tokens in blocks that stay where they are.

Each row begins at column 0, whatever its prompt's length; which columns it holds is said by
`lengths`. A batched product over a slice of columns takes several times as long as one over
whole blocks, so whole blocks are read and `capacity` is kept close to what is needed.

There are no pages: rows of one batch grow together, and a block that doubles as the operand of
a batched product needs no gather. Nothing is known here of models or of sampling.
"""

import torch
from torch import Tensor

# Columns by which the cache grows. A CPU reads every column at every step; on a GPU a captured
# step, which is captured again when the blocks move, costs more than columns that hold nothing.
BLOCK = 32
GPU_BLOCK = 256


class StaticCache:
    """One pair of blocks for each layer.

    Attributes:
        keys: For each layer `[rows, groups, capacity, head_dim]`, zero where never written.
        values: The same of the values.
        lengths: `[rows]` int64, tokens that each row holds.
        width: The longest row, known without asking the device. Whoever replays a captured
            step, or writes `lengths`, sets it.
    """

    def __init__(
        self, *, layers: int, groups: int, head_dim: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        empty = torch.zeros(0, groups, 0, head_dim, dtype=dtype, device=device)
        self.keys: list[Tensor] = [empty] * layers
        self.values: list[Tensor] = [empty] * layers
        self.lengths = torch.zeros(0, dtype=torch.int64, device=device)
        self.width = 0
        self._block = BLOCK if device.type == "cpu" else GPU_BLOCK

    @property
    def rows(self) -> int:
        """Rows there is room for."""
        return len(self.lengths)

    @property
    def capacity(self) -> int:
        """Columns there is room for."""
        return self.keys[0].shape[2]

    def reserve(self, rows: int, capacity: int) -> None:
        """Make room for at least so many rows and columns, keeping what is held.

        The blocks move, so that a captured step must be captured again.
        """
        rows = max(rows, self.rows)
        capacity = max(-(-capacity // self._block) * self._block, self.capacity)
        if (rows, capacity) == (self.rows, self.capacity):
            return
        for blocks in (self.keys, self.values):
            for layer, old in enumerate(blocks):
                new = old.new_zeros(rows, old.shape[1], capacity, old.shape[3])
                new[: old.shape[0], :, : old.shape[2]] = old
                blocks[layer] = new
        lengths = self.lengths.new_zeros(rows)
        lengths[: self.rows] = self.lengths
        self.lengths = lengths

    def trim(self, capacity: int) -> None:
        """Give back columns beyond `capacity`, which no row reaches; the blocks move."""
        capacity = -(-capacity // self._block) * self._block
        if capacity < self.capacity:
            for blocks in (self.keys, self.values):
                blocks[:] = [block[:, :, :capacity].contiguous() for block in blocks]

    def copy_rows(self, source: Tensor, target: Tensor) -> None:
        """Let rows `target` [n] hold what rows `source` [n] hold; a source is no target."""
        for blocks in (self.keys, self.values):
            for block in blocks:
                block[target] = block[source]
        self._set_lengths(target, self.lengths[source])

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but `rows` [n], which become rows 0 to n - 1 in that order."""
        for blocks in (self.keys, self.values):
            for layer, block in enumerate(blocks):
                blocks[layer] = block[rows]
        self.lengths = self.lengths[rows]
        self._measure()

    def clear(self, rows: Tensor) -> None:
        """Let rows `rows` [n] hold nothing, ready for another prompt."""
        self._set_lengths(rows, self.lengths.new_zeros(len(rows)))

    def write_prompts(self, layer: int, rows: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write `[n, groups, T, head_dim]` into the first T columns of `rows` [n]."""
        self.keys[layer][rows, :, : keys.shape[2]] = keys
        self.values[layer][rows, :, : values.shape[2]] = values

    def continued(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """What the only row holds, and then `[n, groups, T, head_dim]`, for each of the n."""
        together = []
        for block, states in ((self.keys[layer], keys), (self.values[layer], values)):
            held = block[:, :, : self.width].expand(len(states), -1, -1, -1)
            together.append(torch.cat([held, states], dim=2))
        return together[0], together[1]

    def end_prompts(self, rows: Tensor, lengths: Tensor) -> None:
        """Say how many tokens were written into `rows` [n]; once, after all layers."""
        self._set_lengths(rows, lengths)

    def next_places(self) -> Tensor:
        """Where each row's next token belongs, `[rows * groups]`; see `write_tokens`."""
        groups = self.keys[0].shape[1]
        blocks = torch.arange(self.rows * groups, device=self.lengths.device)
        columns = self.lengths[:, None].expand(-1, groups).flatten()
        return blocks * self.capacity + columns

    def write_tokens(self, layer: int, places: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write `[rows, groups, head_dim]`, one token for each row."""
        for block, states in ((self.keys[layer], keys), (self.values[layer], values)):
            block.flatten(0, 2).index_copy_(0, places, states.flatten(0, 1))

    def end_tokens(self) -> None:
        """Say that every row has one token more; once, after all layers."""
        self.lengths += 1
        self.width += 1

    def _set_lengths(self, rows: Tensor, lengths: Tensor) -> None:
        self.lengths[rows] = lengths
        self._measure()

    def _measure(self) -> None:
        self.width = int(self.lengths.max()) if len(self.lengths) else 0
