"""When memory runs out: what the run was doing, how much it asked for, what to set.

`explained` goes around a whole run; an error of PyTorch, NumPy or Python that means memory
becomes one clear paragraph. `TokenBudget` goes around the passes: where
`model.microbatch_tokens` is `auto`, a pass that did not fit is taken again in smaller
microbatches. A process that the system kills cannot say anything: what is expected is
compared with what is free before the run (`heedful.training.forecast`).
"""

import errno
import gc
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from heedful.core.errors import HeedfulError
from heedful.core.settings import FormatSettings, Project
from heedful.training.batches import Batcher

T = TypeVar("T")

SMALLEST = 64  # tokens; a smaller microbatch saves nothing that matters
_MESSAGES = re.compile(
    r"can't allocate memory|cannot allocate memory|out of memory|bad_alloc", re.IGNORECASE
)
_ASKED = re.compile(r"allocate ([\d.]+) ?(bytes|[KMGTP]iB)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50}

# The innermost frame of ours that is named here says what the run was doing.
PHASES = {
    "heedful.models.loading": "load",
    "heedful.models.checkpoint": "save",
    "heedful.generation": "draw",
    "heedful.training.scoring": "score",
    "heedful.training.ppo_rollout": "score",
    "heedful.training.loop:step": "update",
    "heedful.training.loop:full_state_dict": "save",
    "heedful.training": "pass",
}
_DOING = {
    "load": "loading a model",
    "save": "reading or writing a checkpoint",
    "draw": "drawing completions",
    "score": "scoring completions",
    "update": "the optimiser's step",
    "pass": "a forward and backward pass",
}


class OutOfMemory(HeedfulError):  # noqa: N818 - what it is called everywhere
    """A run asked for more memory than there is."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or one that it was raised in place of, says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError | OSError) and _MESSAGES.search(str(error)):
        return True
    return error.__context__ is not None and is_out_of_memory(error.__context__)


@contextmanager
def explained(config: Project, stage: str, budget: "TokenBudget | None" = None) -> Iterator[None]:
    """Turn an error that means memory into one that says what to set.

    Args:
        config: Of the run.
        stage: `sft`, `reward` or `ppo`.
        budget: Of its microbatches, where it may have shrunk.

    Raises:
        OutOfMemory: In place of such an error.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError, HeedfulError) as error:
        if isinstance(error, OutOfMemory) or not is_out_of_memory(error):
            raise
        now = config if budget is None else with_microbatch(config, budget.tokens)
        raise explain(error, now, stage) from None


def with_microbatch(config: Project, tokens: int) -> Project:
    """The same settings with that number of tokens in a microbatch."""
    model = config.model.model_copy(update={"microbatch_tokens": tokens})
    return config.model_copy(update={"model": model})


def explain(error: BaseException, config: Project, stage: str) -> OutOfMemory:
    """What the run was doing, how much it asked for, and what to set."""
    phase = _phase(error)
    asked = asked_bytes(error)
    amount = "" if asked is None else f" (asked for {asked / 1e9:.2g} GB more)"
    where = "the GPU's memory" if isinstance(error, torch.OutOfMemoryError) else "memory"
    first, *others = remedies(phase, config, stage)
    return OutOfMemory(
        f"{where} ran out in {_DOING[phase]}{amount}",
        first
        + "".join(f" Or {other[0].lower()}{other[1:]}" for other in others)
        + " `--dry-run` shows what a run needs, part by part; docs/how-to/memory.md tells more.",
    )


def asked_bytes(error: BaseException) -> int | None:
    """The size of the allocation that failed, where the message has it."""
    found = _ASKED.search(str(error))
    if found is not None:
        return int(float(found[1]) * _UNITS[found[2].lower()])
    return None if error.__context__ is None else asked_bytes(error.__context__)


def _phase(error: BaseException) -> str:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        module = frame.f_globals.get("__name__", "")
        function = f"{module}:{frame.f_code.co_name}"
        for name, phase in PHASES.items():
            if function == name or module == name or module.startswith(f"{name}."):
                return phase
    return "pass"


def remedies(phase: str, config: Project, stage: str) -> list[str]:
    """Sentences that name a setting and a value for it, the cheapest first."""
    model, found = config.model, []
    formatting = config.format or FormatSettings()
    budget = model.microbatch_tokens
    if phase in ("pass", "score") and isinstance(budget, int) and budget // 2 >= SMALLEST:
        found.append(
            f"set model.microbatch_tokens = {budget // 2} (now {budget}; results change by "
            "rounding only, and an unfinished run resumes with it)."
        )
    if phase == "pass" and not model.activation_checkpointing:
        found.append(
            "set model.activation_checkpointing = true, for about a third more time in passes."
        )
    if phase == "draw" and stage == "ppo" and config.ppo.rollout_batch_size > 1:
        size = min(config.ppo.rollout_batch_size, 64) // 2
        found.append(f"set ppo.rollout_batch_size = {size} (now {config.ppo.rollout_batch_size}).")
    if phase in ("draw", "score", "pass"):
        length = formatting.max_completion_tokens
        found.append(f"set format.max_completion_tokens = {max(1, length // 2)} (now {length}).")
    if phase in ("load", "update", "save", "pass") and model.lora_rank == 0:
        found.append("set model.lora_rank = 16, which trains and keeps far fewer numbers.")
    if not found or phase == "load":
        found.append("choose a smaller model (`heedful model list`).")
    return [sentence[0].upper() + sentence[1:] for sentence in found]


@dataclass(slots=True)
class TokenBudget:
    """Most tokens of a microbatch, halved for good when memory runs out, if it may be.

    Attributes:
        tokens: The number now.
        halves: Whether it may be halved (`model.microbatch_tokens = "auto"`).
        on_change: Told the new number.
    """

    tokens: int
    halves: bool = False
    on_change: Callable[[int], None] = lambda _: None
    _followers: list[Batcher] = field(default_factory=list)

    def follow(self, batcher: Batcher) -> None:
        """Keep `batcher.max_tokens` at the number, now and later."""
        self._followers.append(batcher)
        batcher.max_tokens = self.tokens

    def set(self, tokens: int) -> None:
        """Take another number, such as the one that a saved state was made with."""
        self.tokens = tokens
        for batcher in self._followers:
            batcher.max_tokens = tokens

    def resume(self, tokens: int) -> None:
        """Go on with the number of a saved state, unless it was set by hand since."""
        if self.halves:
            self.set(tokens)

    def run(self, work: Callable[[], T], discard: Callable[[], None] = lambda: None) -> T:
        """What `work` returns, called again with smaller microbatches where it ran out of memory.

        Args:
            work: Reads `tokens`; may be called again, and then starts from the same noise.
            discard: Forgets what a failed call left, such as some microbatches' gradients.
        """
        while True:
            noise = torch.get_rng_state()
            try:
                return work()
            except (MemoryError, RuntimeError) as error:
                if not (self.halves and self.tokens >= 2 * SMALLEST and is_out_of_memory(error)):
                    raise
            # Outside `except`, so that nothing holds the tensors of the failed pass.
            discard()
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            torch.set_rng_state(noise)
            self.set(self.tokens // 2)
            self.on_change(self.tokens)
