"""A batch whose finished rows are taken over by requests that wait.

Each row of the cache holds one completion at its own position. A prompt is read once; its
other completions copy what the row of the first holds. So is the beginning that all prompts have,
such as a system message or examples. When nothing waits any more, finished
rows are dropped. Rows are drawn each with its own noise, so that none of this changes a token.

It decides which row computes what, and knows neither a model (`decoder` does) nor how a
completion ends (`requests.Transcripts`).
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from heedful.core.protocols import Generated, GenerationRequest
from heedful.generation.decoder import Decoder
from heedful.generation.requests import Decode, Slot, Transcripts, common_prefix
from heedful.generation.sampling import RowSampling, to_host, uniforms_of
from heedful.generation.steps import Steps

# Reading a few short prompts costs nearly as much as reading many: wait until an eighth of the
# rows is free. Dropping rows copies the cache: wait until a quarter of them is.
_REFILL_AT = 1 / 8
_COMPACT_AT = 1 / 4
# A beginning that all prompts have is read by itself where that leaves out so many tokens: the
# reading takes about as long as one step.
_SHARED_TOKENS = 256


class ContinuousBatch:
    """See the module; `run` answers `requests` once.

    Args:
        decoder: Refreshed.
        requests: Checked.
        numbers: Which of `requests`, in the order in which they get their rows.
        rows: How many completions are decoded at once.
        eos_ids: Tokens that end a completion.
        decode: Token ids to text.
        on_progress: Called with the number of tokens drawn.
    """

    def __init__(
        self,
        decoder: Decoder,
        requests: Sequence[GenerationRequest],
        numbers: Sequence[int],
        *,
        rows: int,
        eos_ids: Collection[int],
        decode: Decode,
        on_progress: Callable[[int], None],
    ) -> None:
        self._decoder = decoder
        self._requests = requests
        self._waiting = deque((n, k) for n in numbers for k in range(requests[n].num_completions))
        rows = min(rows, len(self._waiting))
        self._longest = max(requests[number].sampling.max_tokens for number in numbers)
        self._transcripts = Transcripts(rows, self._longest, eos_ids, decode)
        self._on_progress = on_progress
        prompts = {tuple(requests[number].prompt_ids) for number in numbers}
        shared = common_prefix(prompts)
        worth = len(shared) * (len(prompts) - 1) >= _SHARED_TOKENS
        self._prefix = decoder.read_prefix(shared) if worth else None
        self._cache = decoder.new_cache()
        self._cache.reserve(rows, max(len(requests[number].prompt_ids) for number in numbers))
        self._steps = Steps(decoder, self._cache, self._longest)
        self._slots: list[Slot | None] = [None] * rows  # None: free
        self._prompts = [-1] * rows  # whose prompt the row still holds; -1: nobody's
        self._lengths = np.zeros(rows, dtype=np.int64)  # the cache's, known to the host
        self._last_ids = torch.zeros(rows, dtype=torch.long, device=decoder.device)
        self._sampling: RowSampling | None = None
        # The request of which only some completions got rows, and its logits [V]; or none.
        self._begun: dict[int, Tensor] = {}

    def run(self) -> dict[Slot, Generated]:
        """Every completion."""
        finished: dict[Slot, Generated] = {}
        while True:
            while self._is_refill_due():
                self._refill(finished)
            if not any(self._slots):
                return finished
            if not self._waiting:
                self._compact()
            self._step(finished)

    def _is_refill_due(self) -> bool:
        free = self._slots.count(None)
        return bool(self._waiting) and free >= max(1, _REFILL_AT * len(self._slots))

    def _refill(self, finished: dict[Slot, Generated]) -> None:
        """Give every free row to a completion that waits, and draw its first token."""
        rows = [row for row, slot in enumerate(self._slots) if slot is None]
        # The begun request's prompt may be in a free row: that one goes to the same request.
        held = [self._prompts.index(number) for number in self._begun]
        rows.sort(key=lambda row: row not in held)
        rows = rows[: len(self._waiting)]
        slots = [self._waiting.popleft() for _ in rows]
        logits = self._read_prompts(rows, [number for number, _ in slots])
        asked = [self._requests[number] for number, _ in slots]
        noise = uniforms_of([(self._requests[n].seed, k) for n, k in slots], self._longest)
        sampling = RowSampling(
            [request.sampling for request in asked], noise.to(self._decoder.device)
        )
        ids, logprobs = sampling.draw(logits)
        if self._sampling is None:
            self._sampling = sampling
        else:
            self._sampling.replace(rows, sampling)
        self._last_ids[rows] = ids
        self._transcripts.open(rows, asked)
        for row, slot in zip(rows, slots, strict=True):
            self._slots[row] = slot
        self._on_progress(len(rows))
        self._close(self._transcripts.append(*to_host(ids, logprobs), rows), finished)

    def _read_prompts(self, rows: Sequence[int], numbers: Sequence[int]) -> Tensor:
        """Put the prompt of request `numbers[i]` into `rows[i]`; logits `[n, V]` after each."""
        new = [number for number in dict.fromkeys(numbers) if number not in self._begun]
        places = {number: rows[numbers.index(number)] for number in new}
        places |= {number: self._prompts.index(number) for number in self._begun}
        logits = dict(self._begun)
        if new:
            into = torch.tensor([places[number] for number in new], device=self._decoder.device)
            before = 0 if self._prefix is None else self._prefix.width
            prompts = [self._requests[number].prompt_ids[before:] for number in new]
            after = self._decoder.prefill(prompts, self._cache, into, self._prefix)
            logits |= zip(new, after, strict=True)
        self._copy([(places[n], row) for row, n in zip(rows, numbers, strict=True)])
        for row, number in zip(rows, numbers, strict=True):
            self._prompts[row] = number
            self._lengths[row] = len(self._requests[number].prompt_ids)
        self._write_lengths(rows)
        last = numbers[-1]
        is_begun = bool(self._waiting) and self._waiting[0][0] == last
        self._begun = {last: logits[last].clone()} if is_begun else {}
        return torch.stack([logits[number] for number in numbers])

    def _copy(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Let rows hold what other rows hold: (source, target), the same row is none."""
        device = self._decoder.device
        different = [pair for pair in pairs if pair[0] != pair[1]]
        if different:
            sources, targets = torch.tensor(different, device=device).unbind(1)
            self._cache.copy_rows(sources, targets)

    def _write_lengths(self, rows: Sequence[int]) -> None:
        """Tell the cache how long `rows` are."""
        lengths = torch.from_numpy(self._lengths[list(rows)])
        self._cache.lengths[list(rows)] = lengths.to(self._decoder.device)

    def _step(self, finished: dict[Slot, Generated]) -> None:
        """Read the tokens just drawn and draw the next ones."""
        assert self._sampling is not None, "a row was filled"
        free = [row for row, slot in enumerate(self._slots) if slot is None]
        if free:
            # They compute along; back to the prompt, so that none outgrows the others.
            prompts = [self._requests[self._prompts[row]].prompt_ids for row in free]
            self._lengths[free] = [len(prompt) for prompt in prompts]
            self._write_lengths(free)
        self._cache.width = int(self._lengths.max())
        if 2 * (self._cache.width + 1) <= self._cache.capacity:
            # The long ones have gone, and attention reads all columns.
            self._cache.trim(self._cache.width + 1)
        logits = self._steps(self._last_ids)
        self._lengths += 1
        self._last_ids, logprobs = self._sampling.draw(logits)
        drawn = to_host(self._last_ids, logprobs)
        self._on_progress(len(self._slots) - len(free))
        self._close(self._transcripts.append(*drawn), finished)

    def _close(
        self, ended: Sequence[tuple[int, Generated]], finished: dict[Slot, Generated]
    ) -> None:
        for row, generated in ended:
            slot = self._slots[row]
            assert slot is not None, "a closed row ends nothing"
            finished[slot] = generated
            self._slots[row] = None

    def _compact(self) -> None:
        """Drop the free rows, once there are enough of them."""
        rows = [row for row, slot in enumerate(self._slots) if slot is not None]
        if len(rows) > (1 - _COMPACT_AT) * len(self._slots):
            return
        assert self._sampling is not None, "a row was filled"
        kept = torch.tensor(rows, device=self._decoder.device)
        self._cache.keep(kept)
        self._transcripts.keep(rows)
        self._sampling = self._sampling.select(rows)
        self._last_ids = self._last_ids[kept]
        self._lengths = self._lengths[rows]
        self._slots = [self._slots[row] for row in rows]
        self._prompts = [self._prompts[row] for row in rows]
