"""What the quickstart's stages share that sample from models: opening, asking, counting.

A stage opens one model at a time, and its run directory counts the tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from heedful.core.records import Completion, Prompt, SamplingParameters
from heedful.core.run import RunDirectory
from heedful.core.settings import RunSettings
from heedful.generation.language_model import LanguageModel
from heedful.models.loading import num_matrix_parameters
from heedful.pipeline.quickstart_settings import Quickstart
from heedful.training.display import Display
from heedful.training.loop import prepare


@dataclass(frozen=True, slots=True)
class Sampling:
    """One sampling stage at work; see `start`."""

    config: Quickstart
    directory: RunDirectory
    display: Display
    device: torch.device
    dtype: torch.dtype

    @classmethod
    @contextmanager
    def start(cls, folder: Path, kind: str, config: Quickstart, display: Display) -> Iterator[Self]:
        """The run in `folder` while the block runs; what comes of it is simulated."""
        run = config.run
        settings = RunSettings(dir=folder, seed=run.seed, threads=run.threads)
        device, dtype = prepare(settings, config.model)
        directory = RunDirectory.start(
            folder, kind=kind, seed=run.seed, config=config.sampling_stage()
        )
        with directory:
            directory.card.simulated = True
            yield cls(config, directory, display, device, dtype)

    def open(self, source: str) -> LanguageModel:
        """The model called `source`, with the quickstart's prompt format."""
        return LanguageModel.open(
            source, format_settings=self.config.format, device=self.device, dtype=self.dtype
        )

    def complete(
        self,
        language: LanguageModel,
        prompts: Sequence[Prompt],
        name: str,
        *,
        seed: int,
        counts: Sequence[int] | None = None,
    ) -> list[list[Completion]]:
        """Completions at temperature 1, the paper's; `name` is written into them.

        So many of each prompt as `counts` says, one where it is left out.
        """
        counts = counts or [1] * len(prompts)
        report = language.formatter.format_prompts(prompts).report
        if report.num_truncated or report.num_dropped:
            self.display.say(f"  {name}: {report.summary()}")
        sampling = SamplingParameters(max_tokens=self.config.format.max_completion_tokens)
        most_tokens = sum(counts) * sampling.max_tokens
        with self.display.bar(f"sampling from {name}", most_tokens, unit="tokens") as bar:
            rows = language.complete(
                prompts,
                sampling,
                num_completions=counts,
                seed=seed,
                checkpoint_id=name,
                on_progress=bar.advance,
            )
        tokens = sum(found.num_tokens or 0 for row in rows for found in row)
        num_parameters = num_matrix_parameters(language.model)
        self.directory.card.cost.add_tokens(num_parameters, generated=tokens)
        return rows
