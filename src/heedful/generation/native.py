"""The decoder that labelling, PPO, evaluation and serving share.

It drives a transformers causal language model token by token on the weights it is
given, in place: a trainer samples from its policy without copying or synchronising
anything. Requests are batched by length, prompts are left-padded and prefilled once for
all their completions, and finished rows leave the batch.

It does not drive encoder-decoders or models that carry recurrent states
(`hf.TransformersEngine` does), and it does not refill a batch with waiting requests.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from heedful.core.errors import ConfigError, ModelError
from heedful.core.protocols import Generated, GenerationRequest
from heedful.generation.cache import new_cache
from heedful.generation.inference import inference, token_limits
from heedful.generation.requests import Decode, Slot, Transcript, check_requests, plan_batches
from heedful.generation.sampling import RowSampling, row_uniforms
from heedful.models.head import vocabulary_logits
from heedful.models.loading import trunk_of
from heedful.models.policy import require_known_head

# Dropping finished rows copies the cache: wait until a quarter of the rows idle.
_COMPACT_AT = 0.75


@dataclass(slots=True, kw_only=True)
class _Batch:
    """The completions being drawn together; every tensor has one row for each.

    `rows` has None for a completion that is finished but still in the tensors.
    """

    rows: list[tuple[Slot, Transcript] | None]
    logits: Tensor  # [B, V], of the token to draw next
    cache: DynamicCache
    mask: Tensor | None  # [B, P + longest completion], None where nothing is padded
    last_ids: Tensor  # [B], the token before that one
    positions: Tensor  # [B], where that token stands
    sampling: RowSampling
    prompt_width: int  # P
    step: int = 0  # completion tokens drawn so far

    def compact(self) -> None:
        """Drop finished rows, once there are enough of them."""
        keep = [index for index, row in enumerate(self.rows) if row is not None]
        if len(keep) > _COMPACT_AT * len(self.rows):
            return
        self.rows = [self.rows[index] for index in keep]
        kept = torch.tensor(keep, device=self.positions.device)
        self.cache.batch_select_indices(kept)
        self.mask = None if self.mask is None else self.mask[kept]
        self.last_ids = self.last_ids[kept]
        self.positions = self.positions[kept]
        self.sampling = self.sampling.select(keep)


class NativeEngine:
    """Samples from a model in place, see the module.

    The model is in evaluation mode while generating; afterwards every module's mode is
    as before. Dtype, device and autocast are the caller's.

    Args:
        eos_ids: Tokens that end a completion.
        pad_id: Fills padded positions; masks come from lengths, so it may be any id.
        decode: Token ids to text, without special tokens.
        max_batch_size: Most completions decoded at once.
        max_batch_tokens: Most positions, padding and room for completions counted, of a
            batch; bounds the memory of the cache. None: no bound.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_ids: Collection[int],
        pad_id: int,
        decode: Decode,
        max_batch_size: int = 64,
        max_batch_tokens: int | None = None,
    ) -> None:
        _check_drivable(model)
        if max_batch_size < 1:
            raise ConfigError(f"max_batch_size is {max_batch_size}", "Set it to at least 1.")
        self._vocab_size, self._context = token_limits(model)
        if not 0 <= pad_id < self._vocab_size:
            raise ModelError(
                f"pad id {pad_id} is outside the model's vocabulary of {self._vocab_size}",
                "Resize the embeddings after adding a pad token, or pad with another id.",
            )
        self._model = model
        self._eos_ids = frozenset(eos_ids)
        self._pad_id = pad_id
        self._decode = decode
        self._max_batch_size = max_batch_size
        self._max_batch_tokens = max_batch_tokens

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_progress: Callable[[int], None] | None = None,
    ) -> list[list[Generated]]:
        """One inner list of `num_completions` for each request, in the order asked.

        Raises:
            DataError: A request is empty or does not belong to the model's vocabulary.
            ModelError: A request exceeds the model's context, or the model's logits are
                not numbers.
        """
        check_requests(requests, vocab_size=self._vocab_size, context=self._context)
        finished: dict[Slot, Generated] = {}
        with inference(self._model):
            for slots in plan_batches(requests, self._max_batch_size, self._max_batch_tokens):
                batch = self._prefill(requests, slots)
                while True:
                    num_drawn = self._draw(batch, finished)
                    if on_progress is not None:
                        on_progress(num_drawn)
                    if not any(batch.rows):
                        break
                    self._advance(batch)
        return [
            [finished[number, completion] for completion in range(request.num_completions)]
            for number, request in enumerate(requests)
        ]

    def _prefill(self, requests: Sequence[GenerationRequest], slots: Sequence[Slot]) -> _Batch:
        """Run each distinct prompt once; a batch in which every completion is one row."""
        numbers = list(dict.fromkeys(number for number, _ in slots))
        ids, start = self._left_padded([requests[number].prompt_ids for number in numbers])
        width = ids.shape[1]
        asked = [requests[number] for number, _ in slots]
        longest = max(request.sampling.max_tokens for request in asked)
        mask = torch.arange(width + longest, device=ids.device) >= start[:, None]
        positions = (torch.arange(width, device=ids.device) - start[:, None]).clamp_min(0)
        padded = bool(start.any())
        cache = new_cache(self._model.config)
        logits = self._forward(ids, mask[:, :width] if padded else None, positions, cache)
        source = torch.tensor([numbers.index(number) for number, _ in slots], device=ids.device)
        if len(numbers) < len(slots):
            cache.batch_select_indices(source)
        noise = np.stack(
            [
                row_uniforms(request.seed, completion, longest)
                for request, (_, completion) in zip(asked, slots, strict=True)
            ]
        )
        transcripts = [Transcript(request, self._eos_ids, self._decode) for request in asked]
        return _Batch(
            rows=list(zip(slots, transcripts, strict=True)),
            logits=logits[source],
            cache=cache,
            mask=mask[source] if padded else None,
            last_ids=ids[source, -1],
            positions=positions[source, -1],
            prompt_width=width,
            sampling=RowSampling(
                [request.sampling for request in asked],
                torch.from_numpy(noise).to(ids.device),
            ),
        )

    def _left_padded(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Prompts as one tensor `[B, P]`, and where each starts in its row `[B]`."""
        width = max(map(len, prompts))
        rows = [[self._pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        start = [width - len(prompt) for prompt in prompts]
        device = self._model.device
        return torch.tensor(rows, device=device), torch.tensor(start, device=device)

    def _draw(self, batch: _Batch, finished: dict[Slot, Generated]) -> int:
        """Draw one token for each unfinished row; how many that were."""
        batch.last_ids, logprobs = batch.sampling.draw(batch.logits)
        batch.step += 1
        num_drawn = 0
        drawn = zip(batch.last_ids.tolist(), logprobs.tolist(), strict=True)
        for index, (token_id, logprob) in enumerate(drawn):
            row = batch.rows[index]
            if row is None:
                continue
            num_drawn += 1
            slot, transcript = row
            generated = transcript.append(token_id, logprob)
            if generated is not None:
                finished[slot] = generated
                batch.rows[index] = None
        return num_drawn

    def _advance(self, batch: _Batch) -> None:
        """Run the model on the tokens just drawn."""
        batch.compact()
        # A finished row still in the batch must not run past the model's last position.
        batch.positions = batch.positions + 1
        if self._context is not None:
            batch.positions.clamp_(max=self._context - 1)
        width = batch.prompt_width + batch.step
        mask = None if batch.mask is None else batch.mask[:, :width]
        batch.logits = self._forward(
            batch.last_ids[:, None], mask, batch.positions[:, None], batch.cache
        )

    def _forward(
        self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: DynamicCache
    ) -> Tensor:
        """Logits `[B, V]` at the last position."""
        output = trunk_of(self._model)(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        # Of a slice in three dimensions, matmul would copy the head's weights for each row.
        return vocabulary_logits(self._model, output.last_hidden_state[:, -1].contiguous())


def _check_drivable(model: PreTrainedModel) -> None:
    accepted = inspect.signature(trunk_of(model).forward).parameters
    missing = {"position_ids", "past_key_values"} - set(accepted)
    if missing or model._is_stateful or model.config.is_encoder_decoder:  # noqa: SLF001
        raise ModelError(
            f"the native engine cannot drive a {type(model).__name__}",
            "Use heedful.generation.hf.TransformersEngine, which is slower.",
        )
    with inference(model):
        require_known_head(model)
