"""Evaluation during PPO: the same held-out prompts each time, numbers and texts.

People look before they read: the samples end up in `samples.jsonl` and in the report.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from heedful.core.jsonl import write_text_atomic
from heedful.core.protocols import Generated
from heedful.core.records import Prompt
from heedful.core.run import Cost, read_jsonl
from heedful.core.settings import Project
from heedful.models.policy import completion_logprobs
from heedful.training.batches import Batcher, TokenPair
from heedful.training.loop import StepMetrics
from heedful.training.ppo_models import Models


class HeldOut:
    """Fixed held-out prompts with fixed noise, so that two evaluations can be compared."""

    def __init__(
        self,
        prompts: Sequence[Prompt],
        models: Models,
        batcher: Batcher,
        config: Project,
        samples_path: Path,
    ) -> None:
        self.prompts = list(prompts)
        self._models = models
        self._batcher = batcher
        self._config = config
        self._samples_path = samples_path

    def measure(self, step: int, cost: Cost) -> StepMetrics:
        """Score, KL, length and EOS rate now; appends the samples."""
        models, config = self._models, self._config
        models.policy.module.eval()
        pairs, generated = models.sample(
            self.prompts, temperature=config.ppo.temperature, seed=config.run.seed + 7
        )
        scores = models.scores(self.prompts, pairs, generated)
        models.count_sampled(cost, pairs)
        self._write_samples(step, generated, scores)
        count = len(pairs)
        return {
            "validation/score": sum(scores) / count,
            "validation/kl": self._kl(pairs) / count,
            "validation/length": sum(len(pair.completion_ids) for pair in pairs) / count,
            "validation/eos_rate": sum(g.finish_reason == "stop" for g in generated) / count,
        }

    def _write_samples(
        self, step: int, generated: Sequence[Generated], scores: Sequence[float]
    ) -> None:
        """Append to the samples of earlier steps; later ones, of a run that died, are dropped."""
        kept = [row for row in read_jsonl(self._samples_path) if row["step"] < step]
        kept += [
            {
                "step": step,
                "prompt_id": prompt.id,
                "prompt": prompt.instruction,
                "completion": found.text,
                "score": round(score, 4),
                "finish_reason": found.finish_reason,
            }
            for prompt, found, score in zip(self.prompts, generated, scores, strict=True)
        ]
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        write_text_atomic(self._samples_path, "".join(lines))

    @torch.no_grad()
    def _kl(self, pairs: Sequence[TokenPair]) -> float:
        """Summed k1 over all pairs, in nats."""
        models, temperature, total = self._models, self._config.ppo.temperature, 0.0
        for _, batch in self._batcher.batches(pairs):
            ours, theirs = (
                completion_logprobs(model, batch, temperature=temperature).logprobs
                for model in (models.policy.module, models.ref_policy)
            )
            total += float((ours - theirs).sum())
        return total
