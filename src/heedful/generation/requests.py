"""What every engine does with requests besides running a model.

Checks them, puts them in order, and turns sampled ids into text: end tokens, stop strings,
finish reasons. Decoding goes through the function given; no tokenizer is known here, and no torch.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby

import numpy as np

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


def common_prefix(prompts: Collection[tuple[int, ...]]) -> tuple[int, ...]:
    """The tokens that all prompts begin with; each has at least one more."""
    # Of a sorted list the first and the last differ the earliest.
    first, last = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    differ = (place for place in range(most) if first[place] != last[place])
    return first[: next(differ, most)]


def widest_first(
    requests: Sequence[GenerationRequest], max_batch_tokens: int | None
) -> Iterator[list[int]]:
    """Numbers of requests that may share a cache, by falling room for prompt and completion.

    All of them may, unless the cache is bounded: then those do whose room is the same up to a
    factor of two, so that a few long requests do not leave all the short ones few rows.
    """
    widths = [len(request.prompt_ids) + request.sampling.max_tokens for request in requests]
    order = sorted(range(len(requests)), key=lambda number: -widths[number])
    for _, numbers in groupby(
        order, key=lambda number: max_batch_tokens and widths[number].bit_length()
    ):
        yield list(numbers)


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


class Transcripts:
    """Completions as they grow, one token a row at a time, until each is finished.

    A row whose completion has finished is closed: what is drawn for it is ignored, until
    another completion is opened in its place.

    Args:
        rows: How many grow at once; all are closed at first.
        longest: No completion gets more tokens than this.
        eos_ids: Tokens that end a completion.
        decode: Token ids to text.
    """

    def __init__(self, rows: int, longest: int, eos_ids: Collection[int], decode: Decode) -> None:
        self._eos_ids = np.array(sorted(eos_ids), dtype=np.int64)
        self._decode = decode
        self._stop: list[tuple[str, ...]] = [()] * rows
        self._may_stop = np.zeros(rows, dtype=np.bool_)
        self._is_open = np.zeros(rows, dtype=np.bool_)
        self._counts = np.zeros(rows, dtype=np.int64)
        self._most = np.zeros(rows, dtype=np.int64)
        self._ids = np.zeros((rows, longest), dtype=np.int64)
        self._logprobs = np.zeros((rows, longest))

    @property
    def open_rows(self) -> list[int]:
        """Rows whose completion is not finished."""
        rows: list[int] = self._is_open.nonzero()[0].tolist()
        return rows

    def open(self, rows: Sequence[int], requests: Sequence[GenerationRequest]) -> None:
        """Begin a completion in each of `rows`."""
        for row, request in zip(rows, requests, strict=True):
            self._stop[row] = request.sampling.stop
            self._may_stop[row] = bool(request.sampling.stop)
            self._most[row] = request.sampling.max_tokens
        self._is_open[list(rows)] = True
        self._counts[list(rows)] = 0

    def keep(self, rows: Sequence[int]) -> None:
        """The given rows only."""
        self._stop = [self._stop[row] for row in rows]
        for name in ("_may_stop", "_is_open", "_counts", "_most", "_ids", "_logprobs"):
            setattr(self, name, getattr(self, name)[list(rows)])

    def append(
        self, token_ids: np.ndarray, logprobs: np.ndarray, rows: Sequence[int] | None = None
    ) -> list[tuple[int, Generated]]:
        """Add a token to each row, or to each of `rows`; the rows that it finishes.

        Raises:
            ModelError: A log-probability is not a finite number.
        """
        if rows is None:
            which = self._is_open.nonzero()[0]
            token_ids, logprobs = token_ids[which], logprobs[which]
        else:
            which = np.array(rows, dtype=np.int64)
        if not np.isfinite(logprobs).all():
            raise ModelError(
                "the model's logits are not finite numbers",
                "Its weights have diverged or overflow their dtype: go back to an earlier "
                "checkpoint, or compute in float32.",
            )
        counts = self._counts[which]
        self._ids[which, counts] = token_ids
        self._logprobs[which, counts] = logprobs
        self._counts[which] = counts + 1
        full = counts + 1 == self._most[which]
        ended = np.isin(token_ids, self._eos_ids)
        finished = []
        for place in (full | ended | self._may_stop[which]).nonzero()[0]:
            row = int(which[place])
            generated = self._end(row, bool(ended[place]), bool(full[place]))
            if generated is not None:
                finished.append((row, generated))
        return finished

    def _end(self, row: int, has_ended: bool, is_full: bool) -> Generated | None:
        """The completion of `row` if it is finished."""
        ids: list[int] = self._ids[row, : self._counts[row]].tolist()
        stop = self._stop[row]
        reason: FinishReason = "stop"
        if has_ended:
            text = self._decode(ids[:-1])
        elif stop and _find(stop, self._tail(ids, stop)) is not None:
            text = self._decode(ids)
            text = text[: _find(stop, text)]
        elif is_full:
            reason = "length"
            # A cut inside a multi-byte character leaves a half that is no text.
            text = self._decode(ids).removesuffix(_HALF_CHARACTER)
        else:
            return None
        self._is_open[row] = False
        return Generated(
            token_ids=tuple(ids),
            logprobs=tuple(self._logprobs[row, : len(ids)].tolist()),
            finish_reason=reason,
            text=text,
        )

    def _tail(self, ids: Sequence[int], stop: Sequence[str]) -> str:
        """Text of the last tokens: enough to hold a stop string that the newest completes."""
        longest = max(len(string.encode()) for string in stop)
        start = len(ids) - 1
        # Counted in characters too, because special tokens decode to nothing.
        while start > 0 and len(self._decode(ids[start:-1])) <= longest:
            start = max(0, start - longest - 1)
        return self._decode(ids[start:])


def _find(stop: Sequence[str], text: str) -> int | None:
    starts = (text.find(string) for string in stop)
    return min((start for start in starts if start >= 0), default=None)
