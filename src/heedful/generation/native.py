"""The decoder that labelling, PPO, evaluation and serving share.

It reads the weights that it is given as they are at each call: a trainer samples from its
policy without a reload. Models that `decoder` knows are decoded by it, in a batch that
waiting requests keep full (`continuous`); others by their own forward pass (`plain`), which
is slower and is said once.
"""

import logging
from collections.abc import Callable, Collection, Sequence

from transformers import PreTrainedModel

from heedful.core.errors import ConfigError
from heedful.core.protocols import Generated, GenerationRequest
from heedful.generation.continuous import ContinuousBatch
from heedful.generation.decoder import Decoder
from heedful.generation.inference import inference, token_limits
from heedful.generation.plain import PlainDecoding
from heedful.generation.requests import Decode, Slot, check_requests, widest_first

log = logging.getLogger("heedful.generation")


class NativeEngine:
    """Samples from a model in place, see the module.

    The model is in evaluation mode while generating; afterwards every module's mode is
    as before. Dtype and device are the caller's.

    Args:
        eos_ids: Tokens that end a completion.
        decode: Token ids to text, without special tokens.
        max_batch_size: Most completions decoded at once.
        max_batch_tokens: Most positions of the cache, rows times the longest prompt and
            completion together; bounds its memory. One row always fits. None: no bound.

    Raises:
        ModelError: The model is an encoder-decoder, or carries recurrent states.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_ids: Collection[int],
        decode: Decode,
        max_batch_size: int = 64,
        max_batch_tokens: int | None = None,
    ) -> None:
        if max_batch_size < 1:
            raise ConfigError(f"max_batch_size is {max_batch_size}", "Set it to at least 1.")
        self._model = model
        self._eos_ids = frozenset(eos_ids)
        self._decode = decode
        self._max_batch_size = max_batch_size
        self._max_batch_tokens = max_batch_tokens
        self._decoder = Decoder.of(model)
        if self._decoder is None:
            self._plain = PlainDecoding(
                model,
                eos_ids=self._eos_ids,
                decode=decode,
                max_batch_size=max_batch_size,
                max_batch_tokens=max_batch_tokens,
            )
            log.warning(
                "%s is not among the architectures that are decoded fast: its completions are "
                "drawn through its own forward pass, which takes longer",
                type(model).__name__,
            )
        else:
            self._decoder.release()

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
        vocab_size, context = token_limits(self._model)
        check_requests(requests, vocab_size=vocab_size, context=context)
        on_progress = on_progress or _ignore
        with inference(self._model):
            if self._decoder is None:
                finished = self._plain.run(requests, on_progress)
            elif requests:
                finished = self._decode_fast(self._decoder, requests, on_progress)
        return [
            [finished[number, completion] for completion in range(request.num_completions)]
            for number, request in enumerate(requests)
        ]

    def _decode_fast(
        self,
        decoder: Decoder,
        requests: Sequence[GenerationRequest],
        on_progress: Callable[[int], None],
    ) -> dict[Slot, Generated]:
        num_slots = sum(request.num_completions for request in requests)
        decoder.refresh(
            min(self._max_batch_size, num_slots),
            max(request.sampling.max_tokens for request in requests),
        )
        finished: dict[Slot, Generated] = {}
        try:
            for numbers in widest_first(requests, self._max_batch_tokens):
                batch = ContinuousBatch(
                    decoder,
                    requests,
                    numbers,
                    rows=self._rows(requests[numbers[0]]),
                    eos_ids=self._eos_ids,
                    decode=self._decode,
                    on_progress=on_progress,
                )
                finished |= batch.run()
        finally:
            decoder.release()
        return finished

    def _rows(self, widest: GenerationRequest) -> int:
        """How many completions may be decoded at once, of which `widest` needs most room."""
        if self._max_batch_tokens is None:
            return self._max_batch_size
        width = len(widest.prompt_ids) + widest.sampling.max_tokens
        return max(1, min(self._max_batch_size, self._max_batch_tokens // width))


def _ignore(num_drawn: int) -> None:
    """Nobody asked for progress."""
