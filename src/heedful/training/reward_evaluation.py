"""How well a reward model predicts held-out rankings, beside "the longer one wins".

Pairs of one prompt are not independent, so intervals resample whole prompts.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from heedful.core.records import EvalResult, Record
from heedful.core.statistics import (
    Interval,
    bootstrap_interval,
    calibration_bins,
    expected_calibration_error,
    share_interval,
)
from heedful.training.examples import RankedExample
from heedful.training.scoring import RewardModel


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """A strict held-out pair, the first of the two in the order they were stored.

    Attributes:
        probability: Predicted probability that the first is preferred.
        first_wins: Whether it is.
        longer_wins: 1, 0.5 (equal lengths) or 0.
    """

    prompt_id: str
    probability: float
    first_wins: bool
    longer_wins: float

    @property
    def correct(self) -> float:
        """1 where the model orders the pair right; equal scores count half."""
        if self.probability == 0.5:
            return 0.5
        return float((self.probability > 0.5) == self.first_wins)

    @property
    def log_loss(self) -> float:
        """In nats; log 2 for a guess."""
        likely = self.probability if self.first_wins else 1 - self.probability
        return -math.log(max(likely, 1e-12))


class SourceScore(Record):
    """The score of a completion, and who wrote it: a checkpoint id, or `demonstrations`."""

    source: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardEvaluation:
    """Held-out numbers of a reward model, and the scores behind them."""

    results: list[EvalResult]
    scores: list[SourceScore]
    calibration: dict[str, Any]

    def summary(self) -> str:
        """The numbers that a person wants first, with their intervals."""
        by_metric = {result.metric: result for result in self.results}

        def share(name: str) -> str:
            found = by_metric[name]
            if found.ci_low is None or found.ci_high is None:
                return f"{found.value:.1%}"
            return f"{found.value:.1%} ({found.ci_low:.1%} to {found.ci_high:.1%})"

        return (
            f"Held-out pairs ordered right: reward model {share('accuracy')}, the longer one wins "
            f"{share('length_accuracy')}; log-loss {by_metric['log_loss'].value:.3f} "
            f"(chance {math.log(2):.3f}); {by_metric['accuracy'].num_examples} pairs."
        )


def judge_pairs(examples: Sequence[RankedExample], scores: Sequence[float]) -> list[JudgedPair]:
    """Every strict pair of the rankings with its probability; `scores` of all completions."""
    remaining = iter(scores)
    judged = []
    for example in examples:
        members = [
            (next(remaining), rank, len(pair.completion_ids))
            for pair, rank in zip(example.pairs, example.ranking.ranks, strict=True)
        ]
        for (score, rank, length), (other_score, other_rank, other_length) in combinations(
            members, 2
        ):
            if rank == other_rank:
                continue
            first_wins = rank < other_rank
            longer = 0.5 if length == other_length else float((length > other_length) == first_wins)
            judged.append(
                JudgedPair(
                    prompt_id=example.ranking.prompt_id,
                    probability=1 / (1 + math.exp(min(700.0, other_score - score))),
                    first_wins=first_wins,
                    longer_wins=longer,
                )
            )
    return judged


def evaluate_reward_model(
    model: RewardModel, examples: Sequence[RankedExample], seed: int
) -> RewardEvaluation:
    """Accuracy, log-loss, calibration and the length baseline on held-out rankings."""
    scores = model.score_pairs([pair for example in examples for pair in example.pairs])
    sources = [source for example in examples for source in example.sources]
    judged = judge_pairs(examples, scores)
    prompts = [pair.prompt_id for pair in judged]
    bins = calibration_bins(
        [pair.probability for pair in judged], [pair.first_wins for pair in judged]
    )
    error = expected_calibration_error(bins)
    numbers: dict[str, Interval] = {
        "accuracy": share_interval([pair.correct for pair in judged], clusters=prompts),
        "length_accuracy": share_interval([pair.longer_wins for pair in judged], clusters=prompts),
        "log_loss": bootstrap_interval([pair.log_loss for pair in judged], clusters=prompts),
        "calibration_error": Interval(error, None, None),
    }
    makers = {example.ranking.made_by for example in examples}
    made_by = makers.pop() if len(makers) == 1 else None
    results = [
        EvalResult(
            task="reward_model",
            metric=name,
            value=number.value,
            ci_low=number.low,
            ci_high=number.high,
            num_examples=len(judged),
            checkpoint_id=model.card.id,
            seed=seed,
            made_by=made_by,
        )
        for name, number in numbers.items()
    ]
    calibration = {
        "bins": [asdict(found) for found in bins],
        "error": error,
        "num_pairs": len(judged),
        "num_prompts": len(set(prompts)),
    }
    return RewardEvaluation(
        results=results,
        scores=[
            SourceScore(source=source, score=score)
            for source, score in zip(sources, scores, strict=True)
        ],
        calibration=calibration,
    )
