"""Decoding through a transformers model's own forward pass, for what `decoder` does not know.

Slower: prompts are padded on the left to the longest of a batch, and a batch runs until its
last completion ends; rows that are finished before leave it. The samples are those that the
decoder would draw. Encoder-decoders and models that carry recurrent states are not driven
(`hf.TransformersEngine` does).
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from heedful.core.errors import ModelError
from heedful.core.protocols import Generated, GenerationRequest
from heedful.generation.inference import inference, token_limits
from heedful.generation.requests import Decode, Slot, Transcripts, plan_batches
from heedful.generation.sampling import RowSampling, to_host, uniforms_of
from heedful.models.head import vocabulary_logits
from heedful.models.kv_cache import cache_keyword
from heedful.models.loading import trunk_of
from heedful.models.policy import require_known_head

# Dropping finished rows copies the cache: wait until a quarter of the rows idle.
_COMPACT_AT = 0.75


@dataclass(slots=True, kw_only=True)
class _Batch:
    """The completions being drawn together; every tensor has one row for each."""

    slots: list[Slot]
    transcripts: Transcripts
    logits: Tensor  # [B, V], of the token to draw next
    cache: DynamicCache
    mask: Tensor  # [B, tokens so far], False where padded
    last_ids: Tensor  # [B], the token before that one
    sampling: RowSampling

    def compact(self) -> None:
        """Drop finished rows, once there are enough of them."""
        keep = self.transcripts.open_rows
        if len(keep) > _COMPACT_AT * len(self.slots):
            return
        self.slots = [self.slots[row] for row in keep]
        self.transcripts.keep(keep)
        self.sampling = self.sampling.select(keep)
        kept = torch.tensor(keep, device=self.mask.device)
        self.cache.batch_select_indices(kept)
        self.mask = self.mask[kept]
        self.last_ids = self.last_ids[kept]


class PlainDecoding:
    """See the module; the arguments are those of `native.NativeEngine`."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_ids: Collection[int],
        decode: Decode,
        max_batch_size: int,
        max_batch_tokens: int | None,
    ) -> None:
        self._cache_keyword = _check_drivable(model)
        self._model = model
        self._eos_ids = eos_ids
        self._decode = decode
        self._max_batch_size = max_batch_size
        self._max_batch_tokens = max_batch_tokens
        _, self._context = token_limits(model)

    def run(
        self, requests: Sequence[GenerationRequest], on_progress: Callable[[int], None]
    ) -> dict[Slot, Generated]:
        """Every completion of requests that have been checked."""
        finished: dict[Slot, Generated] = {}
        for slots in plan_batches(requests, self._max_batch_size, self._max_batch_tokens):
            batch = self._prefill(requests, slots)
            while True:
                batch.last_ids, logprobs = batch.sampling.draw(batch.logits)
                on_progress(len(batch.transcripts.open_rows))
                for row, generated in batch.transcripts.append(*to_host(batch.last_ids, logprobs)):
                    finished[batch.slots[row]] = generated
                if not batch.transcripts.open_rows:
                    break
                batch.compact()
                self._advance(batch)
        return finished

    def _prefill(self, requests: Sequence[GenerationRequest], slots: Sequence[Slot]) -> _Batch:
        """Run each distinct prompt once; a batch in which every completion is one row."""
        numbers = list(dict.fromkeys(number for number, _ in slots))
        device = self._model.device
        prompts = [requests[number].prompt_ids for number in numbers]
        width = max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
        mask = torch.zeros(len(prompts), width, dtype=torch.bool, device=device)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
            mask[row, width - len(prompt) :] = True
        cache = DynamicCache(config=self._model.config)
        logits = self._forward(ids, mask, cache)
        source = torch.tensor([numbers.index(number) for number, _ in slots], device=device)
        if len(numbers) < len(slots):
            cache.batch_select_indices(source)
        asked = [requests[number] for number, _ in slots]
        longest = max(request.sampling.max_tokens for request in asked)
        transcripts = Transcripts(len(slots), longest, self._eos_ids, self._decode)
        transcripts.open(range(len(slots)), asked)
        noise = uniforms_of([(requests[number].seed, k) for number, k in slots], longest)
        return _Batch(
            slots=list(slots),
            transcripts=transcripts,
            logits=logits[source],
            cache=cache,
            mask=mask[source],
            last_ids=ids[source, -1],
            sampling=RowSampling([request.sampling for request in asked], noise.to(device)),
        )

    def _advance(self, batch: _Batch) -> None:
        """Run the model on the tokens just drawn."""
        batch.mask = torch.cat([batch.mask, torch.ones_like(batch.mask[:, :1])], dim=1)
        batch.logits = self._forward(batch.last_ids[:, None], batch.mask, batch.cache)

    def _forward(self, ids: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        """Logits `[B, V]` at the last position."""
        positions = (mask.cumsum(-1) - 1)[:, -ids.shape[1] :].clamp_min(0)
        if self._context is not None:
            # A finished row still in the batch must not run past the model's last position.
            positions.clamp_(max=self._context - 1)
        output = trunk_of(self._model)(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{self._cache_keyword: cache},
        )
        # Of a slice in three dimensions, matmul would copy the head's weights for each row.
        return vocabulary_logits(self._model, output.last_hidden_state[:, -1].contiguous())


def _check_drivable(model: PreTrainedModel) -> str:
    """The keyword of its cache; refuses what cannot be driven."""
    forward = trunk_of(model).forward
    keyword = cache_keyword(forward)
    placed = "position_ids" in inspect.signature(forward).parameters
    if keyword is None or not placed or model._is_stateful or model.config.is_encoder_decoder:  # noqa: SLF001
        raise ModelError(
            f"the native engine cannot drive a {type(model).__name__}",
            "Use heedful.generation.hf.TransformersEngine, which is slower.",
        )
    with inference(model):
        require_known_head(model)
    return keyword
