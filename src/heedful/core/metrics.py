"""The one table of metric names with units and meanings, and the logger that keeps to it.

A metric that is not in the table cannot be logged: what a chart shows is always
defined somewhere. Every row goes to a JSONL file.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from heedful.core.errors import nearest
from heedful.core.jsonl import write_text_atomic
from heedful.core.run import read_jsonl


@dataclass(frozen=True, slots=True)
class Metric:
    """What a logged number means. `better` says which way is up, where there is one."""

    unit: str
    meaning: str
    better: Literal["higher", "lower", ""] = ""


METRICS: dict[str, Metric] = {
    # Every stage
    "progress/step": Metric("steps", "Optimiser steps (SFT, RM) or PPO iterations done"),
    "progress/epoch": Metric("epochs", "Passes over the training data so far"),
    "progress/seconds": Metric("s", "Wall-clock time since the run started, pauses left out"),
    "progress/tokens_per_second": Metric(
        "tokens/s", "Training tokens over wall-clock time of the step", "higher"
    ),
    "optim/learning_rate": Metric("", "Learning rate of this step"),
    "optim/grad_norm": Metric("", "Global gradient norm before clipping"),
    # Language modelling
    "language/loss": Metric(
        "nats/token", "Mean negative log-likelihood of completion tokens (training)", "lower"
    ),
    "language/num_tokens": Metric("tokens", "Completion tokens in the loss"),
    "pretrain/loss": Metric(
        "nats/token", "Mean negative log-likelihood of pretraining tokens (training)", "lower"
    ),
    "validation/loss": Metric(
        "nats/token", "Mean negative log-likelihood of held-out completion tokens", "lower"
    ),
    "validation/score": Metric(
        "score", "Mean reward model score of samples on held-out prompts", "higher"
    ),
    # Reward model
    "reward/loss": Metric("nats", "K-wise ranking loss, mean over prompts", "lower"),
    "reward/accuracy": Metric("share", "Strict pairs ordered right, mean over prompts", "higher"),
    "reward/margin": Metric("score", "Mean score difference of preferred and other completion"),
    "reward/num_pairs": Metric("pairs", "Strict pairs in the step"),
    # PPO: the objective
    "objective/score": Metric(
        "score", "Mean reward model score of the rollouts, before penalties", "higher"
    ),
    "objective/reward": Metric(
        "score", "Mean score after penalties minus kl_coef times KL", "higher"
    ),
    "objective/kl": Metric(
        "nats", "Mean over rollouts of the summed log-ratio to the reference (k1, may be negative)"
    ),
    "objective/kl_k3": Metric("nats", "The same divergence by the k3 estimator (never negative)"),
    "objective/kl_coef": Metric("", "KL coefficient in force"),
    "objective/entropy": Metric(
        "nats/token", "Mean entropy of the policy at the sampled positions"
    ),
    "objective/length": Metric("tokens", "Mean completion length, end token counted"),
    "objective/eos_rate": Metric("share", "Rollouts that ended by themselves"),
    "objective/score_length_correlation": Metric(
        "", "Pearson correlation of score and length over the rollouts"
    ),
    # PPO: the policy and value updates
    "policy/loss": Metric("", "Clipped surrogate loss"),
    "policy/approx_kl": Metric("nats/token", "KL of the new to the rollout policy, (r - 1) - ln r"),
    "policy/clipfrac": Metric("share", "Tokens whose ratio was clipped"),
    "policy/ratio": Metric("", "Mean probability ratio of new to rollout policy"),
    "policy/grad_norm": Metric("", "Policy gradient norm before clipping"),
    "policy/learning_rate": Metric("", "Policy learning rate"),
    "policy/sampling_gap": Metric(
        "nats/token",
        "Mean absolute difference of the decoder's and the trainer's log-probabilities",
        "lower",
    ),
    "policy/sampling_gap_max": Metric("nats", "The largest of those differences", "lower"),
    "ptx/loss": Metric("nats/token", "Pretraining loss inside PPO-ptx, before ptx_coef", "lower"),
    "value/loss": Metric("", "Clipped value loss", "lower"),
    "value/clipfrac": Metric("share", "Tokens whose value update was clipped"),
    "value/explained_variance": Metric("", "1 - Var(returns - values) / Var(returns)", "higher"),
    "value/grad_norm": Metric("", "Value gradient norm before clipping"),
    # PPO: where the time goes
    "time/rollout": Metric("s", "Sampling completions"),
    "time/scoring": Metric("s", "Reference pass, reward, and what else is read before an update"),
    "time/update": Metric("s", "Policy and value updates"),
    # PPO: the fixed held-out prompts
    "validation/kl": Metric("nats", "KL to the reference on the fixed held-out prompts"),
    "validation/length": Metric("tokens", "Mean completion length on the fixed held-out prompts"),
    "validation/eos_rate": Metric(
        "share", "Completions that ended by themselves on the fixed held-out prompts"
    ),
}


class MetricLogger:
    """Appends one JSON row per step to `metrics.jsonl`.

    Args:
        path: The JSONL file; created if absent.
        resume_step: Rows after this step, left by a run that died, are cut off; steps
            count from 1.
        mirror: Called with (step, values) for every row; TensorBoard hangs here.
    """

    def __init__(
        self,
        path: Path,
        *,
        resume_step: int = 0,
        mirror: Callable[[int, Mapping[str, float]], None] | None = None,
    ) -> None:
        kept = [row for row in read_metrics(path) if row["step"] <= resume_step]
        write_text_atomic(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = path.open("a", encoding="utf-8")
        self._mirror = mirror

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row; a name that the table does not define is refused."""
        for name in values:
            if name not in METRICS:
                near = nearest(name, METRICS)
                raise KeyError(f"metric {name!r} is not in METRICS; nearest: {near}")
        row = {name: _plain(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": step, "at": round(time.time(), 3), **row}) + "\n")
        self._file.flush()
        if self._mirror is not None:
            self._mirror(step, values)

    def close(self) -> None:
        """Close the file; nothing can be logged afterwards."""
        self._file.close()


def _plain(value: float) -> float | None:
    """JSON has no NaN: an undefined number is null."""
    number = float(value)
    return float(f"{number:.7g}") if math.isfinite(number) else None


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a half-written last line (a killed run) is left out."""
    return list(read_jsonl(path))
