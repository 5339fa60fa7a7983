"""Scores for PPO and checkpoint choice: a reward model, or a Python function.

Both take prompts and texts; a reward model formats them as it was trained with and
reads its score at the end token.
"""

import importlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import torch

from heedful.core.errors import ConfigError
from heedful.core.protocols import Scorer
from heedful.core.records import Checkpoint, Completion, Prompt
from heedful.data.formatting import PromptFormatter
from heedful.generation.language_model import open_format
from heedful.models.checkpoint import load_scalar, require_kind
from heedful.models.loading import num_matrix_parameters
from heedful.models.precision import compute_in
from heedful.models.scalar import ScalarModel
from heedful.training.batches import Batcher, TokenPair


class RewardModel:
    """A trained reward model as a `Scorer`."""

    def __init__(
        self,
        model: ScalarModel,
        card: Checkpoint,
        formatter: PromptFormatter,
        *,
        pad_id: int,
        device: torch.device,
        microbatch_tokens: int = 4096,
    ) -> None:
        self.model = model
        self.card = card
        self.formatter = formatter
        self.num_parameters = num_matrix_parameters(model)
        self.batcher = Batcher(
            model.trunk, pad_id=pad_id, device=device, max_tokens=microbatch_tokens
        )

    @classmethod
    def open(
        cls,
        name: str,
        device: torch.device,
        dtype: torch.dtype,
        *,
        microbatch_tokens: int = 4096,
    ) -> Self:
        """The reward checkpoint called `name`, its trunk computing in `dtype`."""
        folder, card = require_kind(name, ("reward",))
        tokenizer, formatter = open_format(folder, None)
        model = load_scalar(folder).to(device).requires_grad_(False)
        compute_in(model.trunk, dtype)
        return cls(
            model,
            card,
            formatter,
            pad_id=tokenizer.pad_id,
            device=device,
            microbatch_tokens=microbatch_tokens,
        )

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """Scores of whole texts, each taken to have ended; demonstrations have mean 0."""
        return self._score(prompts, texts, [True] * len(texts))

    def score_completions(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[float]:
        """Scores of sampled completions; one cut by the length limit has no end token."""
        ended = [completion.finish_reason != "length" for completion in completions]
        return self._score(prompts, [completion.text for completion in completions], ended)

    def _score(
        self, prompts: Sequence[Prompt], texts: Sequence[str], ended: Sequence[bool]
    ) -> list[float]:
        return self.score_pairs(
            [
                TokenPair(
                    prompt_ids=self.formatter.prompt_ids(prompt),
                    completion_ids=self.formatter.completion_ids(text, ended=whole),
                )
                for prompt, text, whole in zip(prompts, texts, ended, strict=True)
            ]
        )

    @torch.no_grad()
    def score_pairs(self, pairs: Sequence[TokenPair]) -> list[float]:
        """Scores of token pairs, read at each pair's last token."""
        scores = [0.0] * len(pairs)
        for group, batch in self.batcher.batches(pairs):
            for index, score in zip(group, self.model.scores(batch).tolist(), strict=True):
                scores[index] = score
        return scores


class FunctionScorer:
    """A Python function `(prompts, texts) -> scores` as a `Scorer`, its answers checked."""

    def __init__(
        self, name: str, function: Callable[[Sequence[Prompt], Sequence[str]], Sequence[float]]
    ) -> None:
        self._name = name
        self._function = function

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[float]:
        """What the function returns.

        Raises:
            ConfigError: It returned another number of scores, or one that is not finite.
        """
        scores = [float(score) for score in self._function(prompts, texts)]
        if len(scores) != len(texts):
            raise ConfigError(
                f"ppo.reward = {self._name} returned {len(scores)} scores for {len(texts)} texts",
                "Return one number per text, in their order.",
            )
        for text, score in zip(texts, scores, strict=True):
            if not math.isfinite(score):
                raise ConfigError(
                    f"ppo.reward = {self._name} returned {score} for the text {text[:80]!r}",
                    "Return a finite number for every text, the empty one too.",
                )
        return scores


def names_function(name: str) -> bool:
    """Whether `name` is a function, `package.module:function`, rather than a checkpoint."""
    return ":" in name and not Path(name).exists()


def open_scorer(
    name: str, device: torch.device, dtype: torch.dtype, *, microbatch_tokens: int = 4096
) -> Scorer:
    """The scorer called `name`: `package.module:function`, else a reward checkpoint.

    Raises:
        ConfigError: There is no such function.
        CheckpointError: There is no such reward checkpoint.
    """
    if not names_function(name):
        return RewardModel.open(name, device, dtype, microbatch_tokens=microbatch_tokens)
    module_name, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"ppo.reward = {name}: {error}",
            "Write it as package.module:function, with the package on PYTHONPATH.",
        ) from None
    if not callable(function):
        raise ConfigError(f"ppo.reward = {name} is not a function")
    return FunctionScorer(name, function)
