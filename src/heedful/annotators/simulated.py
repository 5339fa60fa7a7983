"""A team of simulated labellers: one rubric, individual weights, noise and habits.

What they produce is marked `made_by="simulated"`. They stand in for people where a run must
be cheap and repeatable; they do not imitate any person, and what they prefer is what the
rubric counts. No global random state is touched: what a labeller says about a completion
depends on the team's seed, the labeller, the prompt and the completion, not on the order
of the work nor on the other completions shown.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heedful.annotators.rubric import MEAN_WEIGHTS, RUBRIC_VERSION, assess
from heedful.core.errors import DataError
from heedful.core.records import (
    Completion,
    Prompt,
    Ranking,
    Rating,
    RatingFlags,
    derived_id,
)

_MOST_RANKED = 9
_HELD_OUT_EVERY = 3  # every third labeller is kept for evaluation: 4 of 12
_WEIGHT_SPREAD = 0.35  # standard deviation of the logarithm of a labeller's weights
_NOISE = (0.12, 0.2)  # range of a labeller's standard deviation on the rubric's total
_TIE_WITHIN = (0.02, 0.08)  # range of the difference that a labeller cannot see
_ALL_BAD_BELOW = 0.3  # no completion is acceptable where the best looks worse than this
_FLIPS = (0.005, 0.03)  # range of the chance to tick a flag wrongly


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLabeller:
    """One member of the team; an `Annotator`.

    Attributes:
        weights: Own weight of each component of the rubric.
        noise: Standard deviation added to the rubric's total, which lies in [0, 1].
        tie_within: Completions closer than this are tied.
        severity: Added to the total before it becomes a Likert score; below 0 is strict.
        flip_rate: Chance that a flag is ticked wrongly.
        held_out: Takes no part in training data; only used for evaluation.
    """

    labeller_id: str
    team_seed: int
    weights: Mapping[str, float]
    noise: float
    tie_within: float
    severity: float
    flip_rate: float
    held_out: bool

    def utility(self, prompt: Prompt, completion: Completion) -> float:
        """How good this labeller finds a completion: rubric total by own weights, and noise."""
        if completion.prompt_id != prompt.id:
            raise DataError(
                f"completion {completion.id} belongs to {completion.prompt_id}, not to {prompt.id}",
                "Give a labeller completions of the prompt that they see.",
            )
        noise = self._random("utility", prompt, completion).gauss(0.0, self.noise)
        return assess(prompt, completion).total(self.weights) + noise

    def rank(self, prompt: Prompt, completions: Sequence[Completion]) -> Ranking:
        """Rank 2 to 9 completions of one prompt; those hard to tell apart are tied.

        Going down from the best, a completion shares the rank of the one before it where
        it is less than `tie_within` below the first of that rank.

        Raises:
            DataError: Too few or too many completions, or one of another prompt.
        """
        if not 2 <= len(completions) <= _MOST_RANKED:
            raise DataError(
                f"prompt {prompt.id}: {len(completions)} completions to rank",
                f"A labeller ranks 2 to {_MOST_RANKED} completions at a time.",
            )
        utilities = [self.utility(prompt, completion) for completion in completions]
        return Ranking(
            id=derived_id(
                "ranking", self.team_seed, self.labeller_id, *(c.id for c in completions)
            ),
            prompt_id=prompt.id,
            completion_ids=tuple(completion.id for completion in completions),
            ranks=self._ranks(utilities),
            labeller_id=self.labeller_id,
            made_by="simulated",
            split=prompt.split,
            all_bad=max(utilities) + self.severity < _ALL_BAD_BELOW,
            instructions_version=RUBRIC_VERSION,
        )

    def rate(self, prompt: Prompt, completion: Completion) -> Rating:
        """Likert score from 1 to 7 and the flags of the paper's table 3."""
        judged = self.utility(prompt, completion) + self.severity
        return Rating(
            id=derived_id("rating", self.team_seed, self.labeller_id, completion.id),
            prompt_id=prompt.id,
            completion_id=completion.id,
            quality=max(1, min(7, round(1 + 6 * judged))),
            flags=self._flags(prompt, completion),
            labeller_id=self.labeller_id,
            made_by="simulated",
            instructions_version=RUBRIC_VERSION,
        )

    def _random(self, purpose: str, prompt: Prompt, completion: Completion) -> random.Random:
        """Noise of one judgement, the same whenever and in whatever order it is made."""
        key = derived_id(
            purpose, self.team_seed, self.labeller_id, prompt.id, completion.id, completion.text
        )
        return random.Random(key)

    def _ranks(self, utilities: Sequence[float]) -> tuple[int, ...]:
        order = sorted(range(len(utilities)), key=lambda index: -utilities[index])
        ranks, rank, first = [0] * len(utilities), 1, utilities[order[0]]
        for index in order:
            if first - utilities[index] >= self.tie_within:
                rank, first = rank + 1, utilities[index]
            ranks[index] = rank
        return tuple(ranks)

    def _flags(self, prompt: Prompt, completion: Completion) -> RatingFlags:
        noise = self._random("flags", prompt, completion)
        flags = {}
        for name, value in assess(prompt, completion).flags:
            flipped = noise.random() < self.flip_rate
            flags[name] = value if value is None else value != flipped
        return RatingFlags.model_validate(flags)


def simulated_team(seed: int = 0, size: int = 12) -> list[SimulatedLabeller]:
    """A team of `size` labellers, every third of them held out; the same for one seed.

    Raises:
        DataError: `size` is below 3, so that nobody would be held out.
    """
    if size < _HELD_OUT_EVERY:
        raise DataError(
            f"a simulated team of {size}",
            f"Take at least {_HELD_OUT_EVERY} labellers, so that one can be held out.",
        )
    return [_labeller(seed, number) for number in range(1, size + 1)]


def _labeller(seed: int, number: int) -> SimulatedLabeller:
    labeller_id = f"simulated-{number:02d}"
    habits = random.Random(derived_id("labeller", seed, labeller_id))
    return SimulatedLabeller(
        labeller_id=labeller_id,
        team_seed=seed,
        weights={
            name: weight * math.exp(habits.gauss(0.0, _WEIGHT_SPREAD))
            for name, weight in MEAN_WEIGHTS.items()
        },
        noise=habits.uniform(*_NOISE),
        tie_within=habits.uniform(*_TIE_WITHIN),
        severity=habits.gauss(0.0, 0.05),
        flip_rate=habits.uniform(*_FLIPS),
        held_out=number % _HELD_OUT_EVERY == 0,
    )
