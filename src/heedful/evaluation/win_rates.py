"""Labellers compare two models and rate one: verdicts, win rates, Likert scores, flags.

The paper's headline (section 4.1, figure 1) is the win rate against the SFT model. Who
labels is passed in; this module never asks whether a labeller is a person or a program,
but every number says so (`made_by`). Intervals draw whole users: prompts of one user
are alike, and the claim is about new users.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field

from heedful.core.errors import DataError
from heedful.core.protocols import Annotator
from heedful.core.records import (
    Completion,
    EvalResult,
    MadeBy,
    Prompt,
    Rating,
    RatingFlags,
    Record,
)
from heedful.core.statistics import Interval, bootstrap_interval, share_interval

Intervals = Callable[..., Interval]


class Verdict(Record):
    """One labeller's preference between the completions of two models.

    Attributes:
        outcome: 1 where the candidate is preferred, 0 where the baseline is, 0.5 for a tie.
        candidate: Checkpoint id of the model that is judged.
        baseline: Checkpoint id of the model it is judged against.
    """

    schema_version: Literal[1] = 1
    prompt_id: str
    user_id: str
    labeller_id: str
    candidate: str
    baseline: str
    outcome: float = Field(ge=0, le=1)
    made_by: MadeBy


def compare(
    annotators: Sequence[Annotator],
    prompts: Sequence[Prompt],
    candidate: Mapping[str, Completion],
    baseline: Mapping[str, Completion],
    *,
    seed: int = 0,
) -> list[Verdict]:
    """Every labeller ranks the candidate's and the baseline's completion of every prompt.

    Args:
        annotators: Who judges; none of them sees which model wrote what.
        prompts: Held-out prompts.
        candidate: Completion by prompt id.
        baseline: Completion by prompt id.
        seed: Decides which of the two is shown first, by prompt and labeller.

    Raises:
        DataError: A prompt has no completion by one of the two, or the same one by both.
    """
    verdicts = []
    for prompt in prompts:
        ours = _completion(candidate, prompt, "candidate")
        theirs = _completion(baseline, prompt, "baseline")
        if ours.id == theirs.id:
            raise DataError(
                f"prompt {prompt.id}: completion {ours.id} would be compared with itself",
                "Candidate and baseline must be completions of two models.",
            )
        for annotator in annotators:
            pair = (ours, theirs)
            if _swapped(seed, prompt.id, annotator.labeller_id):
                pair = (theirs, ours)
            ranking = annotator.rank(prompt, pair)
            rank = dict(zip(ranking.completion_ids, ranking.ranks, strict=True))
            verdicts.append(
                Verdict(
                    prompt_id=prompt.id,
                    user_id=prompt.user_id,
                    labeller_id=annotator.labeller_id,
                    candidate=ours.checkpoint_id,
                    baseline=theirs.checkpoint_id,
                    outcome=_outcome(rank[ours.id], rank[theirs.id]),
                    made_by=ranking.made_by,
                )
            )
    return verdicts


def win_rate(
    verdicts: Sequence[Verdict],
    *,
    checkpoint_id: str,
    task: str = "win_rate_vs_sft",
    seed: int | None = None,
) -> EvalResult:
    """Mean over prompts of the labellers' mean outcome, with its 95 % interval over users."""
    return _win_rate(verdicts, {0: verdicts}, checkpoint_id, task, seed)


def pooled_win_rate(
    verdicts_by_seed: Mapping[int, Sequence[Verdict]],
    *,
    checkpoint_id: str,
    task: str = "win_rate_vs_sft",
) -> EvalResult:
    """The win rate over several seeds of the whole method; a user is one cluster in all.

    A prompt counts once in each seed. The interval is about new users for these runs; the
    spread over seeds is shown by the seeds' own win rates beside it.
    """
    everything = [verdict for verdicts in verdicts_by_seed.values() for verdict in verdicts]
    return _win_rate(everything, verdicts_by_seed, checkpoint_id, task, None)


def likert(
    annotators: Sequence[Annotator],
    prompts: Sequence[Prompt],
    completions: Mapping[str, Completion],
) -> list[Rating]:
    """Every labeller rates the completion (by prompt id) of every prompt on its own."""
    return [
        annotator.rate(prompt, _completion(completions, prompt, "completions"))
        for prompt in prompts
        for annotator in annotators
    ]


def summarise_ratings(
    ratings: Sequence[Rating],
    prompts: Sequence[Prompt],
    *,
    checkpoint_id: str,
    task: str = "likert",
    seed: int | None = None,
) -> list[EvalResult]:
    """Mean quality (1 to 7) and the share of each metadata flag, one model's ratings.

    Metrics are `quality` and the names of `RatingFlags`. A flag counts only where it was
    answered; one that never was is left out. Prompts weigh the same however many
    labellers rated them.

    Raises:
        DataError: There are no ratings, or one is of a prompt that is not in `prompts`.
    """
    made_by = _made_by([rating.made_by for rating in ratings])
    users = {prompt.id: prompt.user_id for prompt in prompts}
    for rating in ratings:
        if rating.prompt_id not in users:
            raise DataError(
                f"rating {rating.id} is of prompt {rating.prompt_id}, which is not given",
                "Pass the prompts that were rated; intervals need their users.",
            )

    def result(metric: str, answers: list[tuple[str, float]], interval: Intervals) -> EvalResult:
        means = _prompt_means(answers)
        estimate = interval(list(means.values()), clusters=[users[key] for key in means])
        return EvalResult(
            task=task,
            metric=metric,
            value=estimate.value,
            ci_low=estimate.low,
            ci_high=estimate.high,
            num_examples=len(means),
            checkpoint_id=checkpoint_id,
            seed=seed,
            made_by=made_by,
        )

    quality = [(rating.prompt_id, float(rating.quality)) for rating in ratings]
    results = [result("quality", quality, bootstrap_interval)]
    for flag in RatingFlags.model_fields:
        answers = [(rating.prompt_id, getattr(rating.flags, flag)) for rating in ratings]
        answered = [(key, float(answer)) for key, answer in answers if answer is not None]
        if answered:
            results.append(result(flag, answered, share_interval))
    return results


def _win_rate(
    everything: Sequence[Verdict],
    groups: Mapping[int, Sequence[Verdict]],
    checkpoint_id: str,
    task: str,
    seed: int | None,
) -> EvalResult:
    users = {verdict.prompt_id: verdict.user_id for verdict in everything}
    values: list[float] = []
    clusters: list[str] = []
    for verdicts in groups.values():
        means = _prompt_means([(v.prompt_id, v.outcome) for v in verdicts])
        values += means.values()
        clusters += [users[prompt_id] for prompt_id in means]
    made_by = _made_by([verdict.made_by for verdict in everything])
    estimate = share_interval(values, clusters=clusters)
    return EvalResult(
        task=task,
        metric="win_rate",
        value=estimate.value,
        ci_low=estimate.low,
        ci_high=estimate.high,
        num_examples=len(values),
        checkpoint_id=checkpoint_id,
        seed=seed,
        made_by=made_by,
    )


def _prompt_means(answers: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The mean answer for each prompt id, in order of first appearance."""
    by_prompt: dict[str, list[float]] = {}
    for prompt_id, answer in answers:
        by_prompt.setdefault(prompt_id, []).append(answer)
    return {prompt_id: fmean(inside) for prompt_id, inside in by_prompt.items()}


def _completion(completions: Mapping[str, Completion], prompt: Prompt, which: str) -> Completion:
    try:
        return completions[prompt.id]
    except KeyError:
        raise DataError(
            f"prompt {prompt.id} has no completion among the {which} completions",
            "Every model must answer every prompt that it is judged on.",
        ) from None


def _swapped(seed: int, prompt_id: str, labeller_id: str) -> bool:
    digest = hashlib.sha256(f"{seed}\x1f{prompt_id}\x1f{labeller_id}".encode()).digest()
    return bool(digest[0] & 1)


def _outcome(ours: int, theirs: int) -> float:
    return 0.5 if ours == theirs else float(ours < theirs)


def _made_by(makers: Sequence[MadeBy]) -> MadeBy:
    """One word for a set of labels: `person` only if persons made them all."""
    if not makers:
        raise DataError("there are no labels to summarise", "Pass at least one labeller.")
    kinds = set(makers)
    return "simulated" if "simulated" in kinds else "model" if "model" in kinds else "person"
