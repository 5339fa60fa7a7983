"""What every engine does with requests besides running a model.

Checks them, and turns sampled ids into text: end tokens, stop strings, finish reasons.
Decoding goes through the function given; no tokenizer is known here, and no torch.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence

from heedful.core.errors import DataError, ModelError
from heedful.core.protocols import Generated, GenerationRequest
from heedful.core.records import FinishReason

Decode = Callable[[Sequence[int]], str]
Slot = tuple[int, int]  # (which request, which of its completions)
_HALF_CHARACTER = "\N{REPLACEMENT CHARACTER}"


def check_requests(
    requests: Sequence[GenerationRequest], *, vocab_size: int, context: int | None
) -> None:
    """Refuse requests that cannot be answered, naming the first such one.

    `context` is the most tokens that the model can hold, None where it has no limit.
    """
    for number, request in enumerate(requests):
        what = f"generation request {number}"
        num_tokens, max_tokens = len(request.prompt_ids), request.sampling.max_tokens
        if num_tokens == 0:
            raise DataError(f"{what} has an empty prompt", "Give at least one token.")
        if request.num_completions < 1:
            raise DataError(
                f"{what} asks for {request.num_completions} completions", "Ask for at least 1."
            )
        if "" in request.sampling.stop:
            raise DataError(f"{what} has an empty stop string", "Leave it out.")
        if not 0 <= min(request.prompt_ids) <= max(request.prompt_ids) < vocab_size:
            raise DataError(
                f"{what} has a token id outside the model's vocabulary of {vocab_size}",
                "Encode the prompt with the tokenizer that belongs to the model.",
            )
        if context is not None and num_tokens + max_tokens > context:
            raise ModelError(
                f"{what}: a prompt of {num_tokens} tokens and a completion of up to "
                f"{max_tokens} exceed the model's context of {context}",
                f"Cut the prompt to {context - max_tokens} tokens or lower max_tokens.",
            )


def plan_batches(
    requests: Sequence[GenerationRequest], max_batch_size: int, max_batch_tokens: int | None
) -> Iterator[list[Slot]]:
    """Batches of completions, longest prompts first, each within both limits.

    A batch counts rows times (longest prompt + longest completion) tokens. A request's
    completions stay together unless they alone exceed a limit; one row always fits.
    """
    order = sorted(range(len(requests)), key=lambda n: -len(requests[n].prompt_ids))
    batch: list[Slot] = []
    for number in order:
        request = requests[number]
        waiting = [(number, completion) for completion in range(request.num_completions)]
        while waiting:
            together = [requests[n] for n, _ in batch] + [request]
            width = len(together[0].prompt_ids) + max(r.sampling.max_tokens for r in together)
            limit = max_batch_size
            if max_batch_tokens is not None:
                limit = min(limit, max(1, max_batch_tokens // width))
            if batch and len(batch) + len(waiting) > limit:
                yield batch
                batch = []
                continue
            batch += waiting[:limit]
            waiting = waiting[limit:]
    if batch:
        yield batch


class Transcript:
    """One completion as it grows, token by token, until it is finished."""

    def __init__(
        self, request: GenerationRequest, eos_ids: Collection[int], decode: Decode
    ) -> None:
        self._sampling = request.sampling
        self._eos_ids = eos_ids
        self._decode = decode
        self._ids: list[int] = []
        self._logprobs: list[float] = []
        self._stop_bytes = max((len(stop.encode()) for stop in request.sampling.stop), default=0)

    def append(self, token_id: int, logprob: float) -> Generated | None:
        """Add a token; the finished completion if this token ends it, None otherwise."""
        if not math.isfinite(logprob):
            raise ModelError(
                "the model's logits are not finite numbers",
                "Its weights have diverged or overflow their dtype: go back to an earlier "
                "checkpoint, or compute in float32.",
            )
        self._ids.append(token_id)
        self._logprobs.append(logprob)
        if token_id in self._eos_ids:
            return self._finish("stop", self._decode(self._ids[:-1]))
        if self._stop_bytes and self._find_stop(self._tail()) is not None:
            text = self._decode(self._ids)
            return self._finish("stop", text[: self._find_stop(text)])
        if len(self._ids) == self._sampling.max_tokens:
            # A cut inside a multi-byte character leaves a half that is no text.
            return self._finish("length", self._decode(self._ids).removesuffix(_HALF_CHARACTER))
        return None

    def _finish(self, finish_reason: FinishReason, text: str) -> Generated:
        return Generated(
            token_ids=tuple(self._ids),
            logprobs=tuple(self._logprobs),
            finish_reason=finish_reason,
            text=text,
        )

    def _find_stop(self, text: str) -> int | None:
        starts = (text.find(stop) for stop in self._sampling.stop)
        return min((start for start in starts if start >= 0), default=None)

    def _tail(self) -> str:
        """Text of the last tokens: enough to hold a stop string that the newest completes."""
        start = len(self._ids) - 1
        # Counted in characters too, because special tokens decode to nothing.
        while start > 0 and len(self._decode(self._ids[start:-1])) <= self._stop_bytes:
            start = max(0, start - self._stop_bytes - 1)
        return self._decode(self._ids[start:])
