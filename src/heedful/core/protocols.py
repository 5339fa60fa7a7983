"""What rooms on one floor hand each other: engines, scorers, annotators.

Token ids and log-probabilities cross these borders as plain sequences, so that `core`
needs no torch and an engine may live in another process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from heedful.core.records import (
    Completion,
    FinishReason,
    Prompt,
    Ranking,
    Rating,
    SamplingParameters,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """K completions wanted of one prompt.

    Attributes:
        prompt_ids: The formatted prompt as token ids.
        num_completions: K; the prompt is prefilled once for all of them.
        seed: Noise of completion k depends on (seed, k) alone, not on its neighbours.
    """

    prompt_ids: Sequence[int]
    sampling: SamplingParameters
    num_completions: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """One sampled completion.

    Attributes:
        token_ids: What was sampled, the end token included when it was drawn.
        logprobs: Natural log-probability of each token under the distribution it was
            sampled from (after temperature, top-k and top-p); 0.0 throughout when greedy.
        finish_reason: `stop` for the end token or a stop string, `length` otherwise.
        text: The decoded completion, without the end token and the stop string.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason
    text: str


@runtime_checkable
class Engine(Protocol):
    """Samples completions from one model."""

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_progress: Callable[[int], None] | None = None,
    ) -> list[list[Generated]]:
        """One inner list of `num_completions` for each request, in the order asked.

        `on_progress` is called with the number of tokens drawn since the last call.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """Turns a prompt and a completion's text into a number."""

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """One score per (prompt, text); higher is more of what the scorer measures."""
        ...


@runtime_checkable
class Annotator(Protocol):
    """Somebody who labels: a person through the store, a program, a model."""

    @property
    def labeller_id(self) -> str:
        """Who labels, as written into every label."""
        ...

    def rank(self, prompt: Prompt, completions: Sequence[Completion]) -> Ranking:
        """Rank K >= 2 completions of one prompt; ties allowed."""
        ...

    def rate(self, prompt: Prompt, completion: Completion) -> Rating:
        """Judge one completion on its own."""
        ...
