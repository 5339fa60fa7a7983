"""The forward pass of decoding, written out: prompts of all lengths, then a token at a time.

It reads the weights of a transformers model but not its code, except the embedding, the rotary
frequencies, the activation and the rules of the vocabulary head. A prompt is read without
padding in any matrix product; a step reads one token for each row, at the row's own position.
`Decoder.of` compares it with the model's own forward pass and gives None where they differ.

It samples nothing, batches nothing and knows no text: `native` does. `step` on a GPU has fixed
shapes and asks the device nothing, so that it can be captured as a graph.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from heedful.core.errors import ModelError
from heedful.generation.decoder_attention import (
    attend_one,
    attend_prompts,
    group_prompts,
    hidden_columns,
)
from heedful.generation.decoder_blocks import Block, Layout, read_layout
from heedful.generation.decoder_rotary import RotaryTables, Turn, turn
from heedful.generation.decoder_weights import Matrix, can_pack
from heedful.generation.inference import inference, token_limits
from heedful.generation.static_cache import StaticCache
from heedful.models.head import vocabulary_logits

# Packing all weights takes as long as is saved in about so many steps (docs/performance.md).
_PAYS_AFTER = {torch.bfloat16: 8, torch.float32: 16}
_PREFILL_TOKENS = 4096  # at once; more are no faster and take more memory
_PROBE_LENGTHS = (5, 9, 2, 8)
_PROBE_STEPS = 2
# Of our log-probabilities from the model's own, over the spread of those. Seen: up to 2e-6 in
# float32 and 0.03 in bfloat16, in which the model's own are as far from float32.
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 0.1}

_Attend = Callable[[int, Block, Tensor, Tensor, Tensor], Tensor]


class _Head:
    """The vocabulary head as `vocabulary_logits` wants it, multiplied by our weights."""

    def __init__(self, model: Any) -> None:
        self.config = model.config
        self.matrix = Matrix(model.get_output_embeddings())

    def get_output_embeddings(self) -> Matrix:
        return self.matrix


class Decoder:
    """See the module; made by `of`."""

    def __init__(self, model: Any, layout: Layout) -> None:
        self._model = model
        self._build(layout)

    def _build(self, layout: Layout) -> None:
        self._layout = layout
        self._head = _Head(self._model)
        kinds = {block.rotary for block in layout.blocks}
        self._rotary = RotaryTables(layout.rotary, kinds, layout.context)
        self._modules = list(self._model.modules())

    @classmethod
    @torch.no_grad()
    def of(cls, model: Any) -> "Decoder | None":
        """A decoder of a causal language model as it is now; None where it cannot be.

        A few short prompts and steps are compared with the model's own forward pass.
        """
        layout = read_layout(model)
        if layout is None:
            return None
        decoder = cls(model, layout)
        if not _agree(decoder, model):
            return None
        decoder.refresh(1, steps_hint=0)  # what was packed for the comparison goes
        return decoder

    @property
    def dtype(self) -> torch.dtype:
        """The compute type."""
        return self._embedded.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._embedded.device

    @property
    def _embedded(self) -> Tensor:
        weight: Tensor = self._layout.embedding.weight  # type: ignore[assignment]
        return weight

    def new_cache(self) -> StaticCache:
        """An empty cache for this model; `StaticCache.reserve` gives it rows."""
        return StaticCache(
            layers=len(self._layout.blocks),
            groups=self._layout.groups,
            head_dim=self._layout.head_dim,
            dtype=self.dtype,
            device=self.device,
        )

    @torch.no_grad()
    def refresh(self, rows_hint: int, steps_hint: int | None = None) -> None:
        """Read the module's weights as they are now; needed after each change of them.

        Args:
            rows_hint: How many rows will be decoded at once.
            steps_hint: How many steps are to come at most: for few, nothing is packed.

        Raises:
            ModelError: The model has got layers that are not known here.
        """
        modules = list(self._model.modules())
        if modules != self._modules:  # compared by identity; adapters were put in, say
            layout = read_layout(self._model)
            if layout is None:
                raise ModelError(
                    f"the layers of this {type(self._model).__name__} were replaced by others "
                    "that cannot be decoded",
                    "Make the engine after the model has its final layers.",
                )
            self._build(layout)
        worth = steps_hint is None or steps_hint >= _PAYS_AFTER.get(self.dtype, 0)
        rows = rows_hint if worth and can_pack(self.dtype, self.device) else None
        for block in self._layout.blocks:
            for matrix in block.matrices():
                matrix.refresh(rows)
            for norm in block.norms():
                norm.refresh()
        self._layout.final_norm.refresh()
        self._head.matrix.refresh(rows)

    def release(self) -> None:
        """Drop copies of weights, which training needs the room of, until `refresh`."""
        for block in self._layout.blocks:
            for matrix in block.matrices():
                matrix.release()
        self._head.matrix.release()

    @torch.no_grad()
    def prefill(
        self,
        prompts: Sequence[Sequence[int]],
        cache: StaticCache,
        rows: Tensor,
        prefix: StaticCache | None = None,
    ) -> Tensor:
        """Read prompts into rows of the cache, whatever those held.

        Args:
            prompts: Token ids, at least one each.
            cache: Grows to the longest prompt where it must.
            rows: `[n]`, one row for each prompt, all different.
            prefix: See `read_prefix`; the prompts come after it, and the rows get it too.

        Returns:
            Logits `[n, V]` of the token after each prompt.
        """
        before = 0 if prefix is None else prefix.width
        lengths = [len(prompt) for prompt in prompts]
        cache.reserve(cache.rows, before + max(lengths))
        self._rotary.reserve(cache.capacity, self._embedded)
        order = sorted(range(len(prompts)), key=lambda number: -lengths[number])
        states = torch.cat(
            [
                self._read([prompts[number] for number in part], cache, rows[part], prefix)
                for part in _parts(order, lengths)
            ]
        )
        cache.end_prompts(rows, torch.tensor(lengths, device=self.device) + before)
        return self._logits(states[torch.tensor(order, device=self.device).argsort()])

    def read_prefix(self, ids: Sequence[int]) -> StaticCache:
        """The beginning that all prompts of a batch have, read once: a cache with one row."""
        prefix = self.new_cache()
        prefix.reserve(1, len(ids))
        self.prefill([ids], prefix, torch.zeros(1, dtype=torch.long, device=self.device))
        return prefix

    @torch.no_grad()
    def step(self, ids: Tensor, cache: StaticCache) -> Tensor:
        """Read one token for each row of the cache, and count it into the row's length.

        Positions past the model's last one repeat that: nothing is raised, because finished
        rows may still be in the batch.

        Args:
            ids: `[rows]`.
            cache: Grows where it must, so reserve before a step is captured.

        Returns:
            Logits `[rows, V]` in the compute type.
        """
        cache.reserve(cache.rows, cache.width + 1)
        self._rotary.reserve(cache.capacity, self._embedded)
        hidden = self._hidden(cache)
        places = cache.next_places()

        def attend(number: int, block: Block, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            cache.write_tokens(number, places, key, value)
            return attend_one(
                query,
                cache.keys[number],
                cache.values[number],
                hidden[block.window],
                scaling=block.scaling,
                softcap=block.softcap,
            )

        states = self._run(ids, cache.lengths, attend)
        cache.end_tokens()
        return self._logits(states)

    def _hidden(self, cache: StaticCache) -> dict[int | None, Tensor]:
        """For each window that layers have, what rows must not see, as `attend_one` takes it."""
        groups, shared = self._layout.groups, self._layout.heads // self._layout.groups
        hidden = {}
        for window in {block.window for block in self._layout.blocks}:
            of_rows = hidden_columns(cache.lengths, cache.capacity, window, self.dtype)
            of_heads = of_rows[:, None, None].expand(-1, groups, shared, -1)
            hidden[window] = of_heads.reshape(-1, shared, cache.capacity)
        return hidden

    def _read(
        self,
        prompts: Sequence[Sequence[int]],
        cache: StaticCache,
        rows: Tensor,
        prefix: StaticCache | None,
    ) -> Tensor:
        """Hidden states `[n, H]` at the last tokens of prompts that come longest first."""
        before = 0 if prefix is None else prefix.width
        lengths = [len(prompt) for prompt in prompts]
        ids = torch.tensor([token for prompt in prompts for token in prompt], device=self.device)
        each = torch.tensor(lengths, device=self.device)
        starts = each.cumsum(0) - each
        positions = torch.arange(len(ids), device=self.device) - starts.repeat_interleave(each)
        groups = group_prompts(lengths, self._layout.heads, self.device, before=before)

        def attend(number: int, block: Block, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            mixed = []
            for group in groups:
                keys, values = group.rows_of(key), group.rows_of(value)
                if prefix is not None:
                    keys, values = prefix.continued(number, keys, values)
                cache.write_prompts(number, rows[group.members], keys, values)
                mixed.append(
                    attend_prompts(
                        group,
                        group.rows_of(query),
                        keys,
                        values,
                        window=block.window,
                        scaling=block.scaling,
                        softcap=block.softcap,
                    )
                )
            return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

        return self._run(ids, before + positions, attend)[starts + each - 1]

    def _run(self, ids: Tensor, positions: Tensor, attend: _Attend) -> Tensor:
        """Hidden states `[N, H]` of tokens `[N]` that stand at `positions` `[N]`."""
        layout = self._layout
        states: Tensor = layout.embedding(ids)
        if layout.positions is not None:
            states = states + layout.positions(positions.clamp_max(layout.context - 1))
        turns = self._rotary.look_up(positions)
        for number, block in enumerate(layout.blocks):
            query, key, value = self._project(block, states, turns.get(block.rotary))
            mixed = block.out(attend(number, block, query, key, value))
            if block.after_attention is not None:
                mixed = block.after_attention(mixed)
            if block.parallel:
                states = _feed_forward(block, states) + mixed + states
            else:
                states = states + mixed
                states = states + _feed_forward(block, states)
        return layout.final_norm(states)

    def _project(
        self, block: Block, states: Tensor, by: Turn | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries `[N, heads, head_dim]`, keys and values `[N, groups, head_dim]`."""
        heads, groups, head_dim = self._layout.heads, self._layout.groups, self._layout.head_dim
        qkv = block.qkv(block.attention_norm(states))
        if block.interleaved:
            qkv = qkv.view(-1, heads, 3, head_dim).transpose(1, 2).flatten(1, 2)
        else:
            qkv = qkv.view(-1, heads + 2 * groups, head_dim)
        turned, value = qkv[:, : heads + groups], qkv[:, heads + groups :]
        if block.query_norm is not None and block.key_norm is not None:
            query, key = turned[:, :heads], turned[:, heads:]
            turned = torch.cat([block.query_norm(query), block.key_norm(key)], dim=1)
        if by is not None:
            turned = turn(turned, by)
        return turned[:, :heads], turned[:, heads:], value

    def _logits(self, states: Tensor) -> Tensor:
        return vocabulary_logits(self._head, states)


def _feed_forward(block: Block, states: Tensor) -> Tensor:
    wide = block.up(block.feedforward_norm(states))
    if block.gated:
        gate, up = wide.chunk(2, dim=-1)
        wide = block.activation(gate) * up
    else:
        wide = block.activation(wide)
    narrow = block.down(wide)
    return narrow if block.after_feedforward is None else block.after_feedforward(narrow)


def _parts(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """`order` in pieces of at most `_PREFILL_TOKENS` tokens, or of one prompt."""
    part: list[int] = []
    for number in order:
        if part and sum(lengths[taken] for taken in (*part, number)) > _PREFILL_TOKENS:
            yield part
            part = []
        part.append(number)
    yield part


def _agree(decoder: Decoder, model: Any) -> bool:
    """Whether prompts and steps give what the model's own forward pass gives."""
    vocabulary, context = token_limits(model)
    lengths = [min(n, (context or n + _PROBE_STEPS) - _PROBE_STEPS) for n in _PROBE_LENGTHS]
    texts = [
        [(11 + 7 * place + 5 * row) % vocabulary for place in range(length + _PROBE_STEPS)]
        for row, length in enumerate(lengths)
    ]
    decoder.refresh(len(texts))
    cache = decoder.new_cache()
    cache.reserve(len(texts), max(lengths) + _PROBE_STEPS)
    rows = torch.arange(len(texts), device=decoder.device)
    prompts = [text[:length] for text, length in zip(texts, lengths, strict=True)]
    ours = [decoder.prefill(prompts, cache, rows)]
    for step in range(_PROBE_STEPS):
        following = [text[n + step] for text, n in zip(texts, lengths, strict=True)]
        ours.append(decoder.step(torch.tensor(following, device=decoder.device), cache))
    # Rows padded on the right, where causal attention does not look.
    padded = [text + [0] * (max(lengths) - n) for text, n in zip(texts, lengths, strict=True)]
    with inference(model):
        ids = torch.tensor(padded, device=decoder.device)
        logits = model(input_ids=ids, use_cache=False).logits
    places = torch.tensor(lengths, device=decoder.device) - 1
    theirs = torch.stack(
        [logits[rows, places + step].float().log_softmax(-1) for step in range(_PROBE_STEPS + 1)]
    )
    gap = (torch.stack(ours).float().log_softmax(-1) - theirs).square().mean().sqrt()
    # Not numbers (a model that diverged) agree with nothing.
    return bool(gap <= _TOLERANCE.get(decoder.dtype, 0.0) * theirs.std() + 1e-6)
