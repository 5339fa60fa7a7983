"""Evaluation during PPO: the same held-out prompts each time, numbers and texts.

People look before they read: the samples end up in `samples.jsonl` and in the report.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from heedful.core.records import Prompt, SamplingParameters
from heedful.core.run import Cost
from heedful.core.settings import Project
from heedful.losses.ppo import kl_estimates
from heedful.models.policy import completion_logprobs
from heedful.training.batches import TokenPair, pad_rows, token_budget_groups
from heedful.training.loop import StepMetrics
from heedful.training.ppo_models import Models
from heedful.training.scoring import RewardModel


class HeldOut:
    """Fixed held-out prompts with fixed noise, so that two evaluations can be compared."""

    def __init__(
        self, prompts: Sequence[Prompt], models: Models, config: Project, samples_path: Path
    ) -> None:
        self._prompts = list(prompts)
        self._models = models
        self._config = config
        self._samples_path = samples_path

    def measure(self, step: int, cost: Cost) -> StepMetrics:
        """Score, KL, length and EOS rate now; appends the samples."""
        models, config = self._models, self._config
        language = models.language
        sampling = SamplingParameters(
            temperature=config.ppo.temperature,
            max_tokens=language.formatter.settings.max_completion_tokens,
        )
        models.policy.module.eval()
        rows = language.sample(self._prompts, sampling, seed=config.run.seed + 7)
        generated = [row[0] for row in rows]
        pairs = [
            TokenPair(
                prompt_ids=language.formatter.prompt_ids(prompt), completion_ids=found.token_ids
            )
            for prompt, found in zip(self._prompts, generated, strict=True)
        ]
        if isinstance(models.scorer, RewardModel):
            scores = models.scorer.score_pairs(pairs)
        else:
            scores = models.scorer.score(self._prompts, [found.text for found in generated])
        num_tokens = sum(len(pair) for pair in pairs)
        cost.add_tokens(
            models.num_policy_parameters,
            generated=sum(len(pair.completion_ids) for pair in pairs),
            scored=2 * num_tokens,
        )
        kept = [row for row in _read(self._samples_path) if row["step"] < step]
        kept += [
            {
                "step": step,
                "prompt_id": prompt.id,
                "prompt": prompt.instruction,
                "completion": found.text,
                "score": round(score, 4),
                "finish_reason": found.finish_reason,
            }
            for prompt, found, score in zip(self._prompts, generated, scores, strict=True)
        ]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        self._samples_path.write_text(text, encoding="utf-8")
        count = len(pairs)
        return {
            "validation/score": sum(scores) / count,
            "validation/kl": self._kl(pairs) / count,
            "validation/length": sum(len(pair.completion_ids) for pair in pairs) / count,
            "validation/eos_rate": sum(g.finish_reason == "stop" for g in generated) / count,
        }

    @torch.no_grad()
    def _kl(self, pairs: Sequence[TokenPair]) -> float:
        """Summed k1 over all pairs, in nats."""
        models, total = self._models, 0.0
        budget = self._config.model.microbatch_tokens
        for group in token_budget_groups([len(pair) for pair in pairs], budget):
            rows = pad_rows([pairs[index] for index in group], models.pad_id, models.device)
            lengths = (rows.prompt_lengths, rows.completion_lengths)
            temperature = self._config.ppo.temperature
            ours, theirs = (
                completion_logprobs(model, rows.input_ids, *lengths, temperature=temperature)
                for model in (models.policy.module, models.ref_policy)
            )
            total += float(kl_estimates(ours.logprobs, theirs.logprobs, ours.mask).k1.sum())
        return total


def _read(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
