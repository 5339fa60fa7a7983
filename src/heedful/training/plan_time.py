"""How long a stage takes, phase by phase, at the pace that this machine was measured at.

Without a measured pace, tokens and FLOPs alone: 2 N a token forward, 6 N forward and backward,
N the parameters in matrix products. Completions that are yet to be drawn are assumed to be as long
as the demonstrations that the model learnt from, where that is known, else as long as they may be.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from heedful.models.shape import ModelShape
from heedful.training.plan_case import Case, Parts
from heedful.training.rehearsal import Seconds

READ_RATE = 0.5e9  # bytes of weights a second, checked and loaded
WRITE_RATE = 0.4e9  # bytes of a checkpoint a second, written and hashed
_FROZEN = ("reference", "reward model")  # which read drawn completions


@dataclass(frozen=True, slots=True)
class Effort:
    """By phase; seconds are empty without a pace."""

    seconds: Parts = field(default_factory=dict)
    tokens: Parts = field(default_factory=dict)
    flops: Parts = field(default_factory=dict)


def effort(case: Case, pace: Seconds | None) -> Effort:
    """Everything that the stage will do."""
    work = _Work(case, pace)
    {"sft": work.sft, "reward": work.reward, "ppo": work.ppo}[case.stage]()
    work.files()
    return work.done


class _Work:
    """One method a stage, in the order of its phases."""

    def __init__(self, case: Case, pace: Seconds | None) -> None:
        self.config, self.shape, self.pace = case.config, case.shape, pace
        self.most_drawn = case.work.completion_tokens  # in a completion
        self.work = case.work.expected
        self.case = replace(case, work=self.work)
        self.done = Effort()

    def _add(self, phase: str, seconds: float, tokens: float = 0.0, flops: float = 0.0) -> None:
        added = ((self.done.tokens, tokens), (self.done.flops, flops))
        for parts, count in (*added, (self.done.seconds, seconds)):
            if count:
                parts[phase] = parts.get(phase, 0.0) + count

    def _train(self, phase: str, tokens: float, positions: float, shape: ModelShape) -> None:
        """Forward and backward of `tokens`, the head at `positions`."""
        pace, larger = self.pace, shape.block_parameters / self.shape.block_parameters
        seconds = pace.train * larger * tokens + pace.head_train * positions if pace else 0.0
        self._add(phase, seconds, tokens, 6.0 * shape.matrix_parameters * tokens)

    def _score(self, phase: str, tokens: float, positions: float, shape: ModelShape) -> None:
        """Forward of `tokens`, the head at `positions`."""
        pace, larger = self.pace, shape.block_parameters / self.shape.block_parameters
        seconds = pace.score * larger * tokens + pace.head_score * positions if pace else 0.0
        self._add(phase, seconds, tokens, 2.0 * shape.matrix_parameters * tokens)

    def _update(self) -> None:
        count = self.case.num_steps * self.case.all_trained
        self._add("optimiser", count * self.pace.update if self.pace else 0.0)

    def sft(self) -> None:
        """Steps, and the held-out demonstrations after each epoch."""
        settings, work, case = self.config.sft, self.work, self.case
        count = case.num_steps * settings.num_demonstrations
        self._train(
            "training", count * work.pair_tokens, count * work.completion_tokens, self.shape
        )
        text = float(case.pretraining_tokens)
        self._train("pretraining text", text, text, self.shape)
        self._update()
        held_out = math.ceil(settings.epochs) * work.validation * work.kept
        self._score(
            "validation", held_out * work.pair_tokens, held_out * work.completion_tokens, self.shape
        )

    def reward(self) -> None:
        """Steps, the texts whose mean score becomes 0, and the held-out rankings."""
        work, case = self.work, self.case
        self._train("training", case.num_steps * case.step_tokens, 0.0, self.shape)
        self._update()
        # Demonstrations, or the best of each ranking.
        self._score("centring", work.training * work.kept * work.pair_tokens, 0.0, self.shape)
        held_out = work.validation * work.kept
        self._score("validation", held_out * work.example_tokens, 0.0, self.shape)

    def ppo(self) -> None:
        """Rollouts, updates of policy and value model, pretraining text, evaluations."""
        ppo, work = self.config.ppo, self.work
        shapes = {copy.role: shape for copy, shape in self.case.models}
        self._sampled("", float(ppo.episodes), ppo.rollout_batch_size, shapes, _FROZEN)
        tokens = ppo.episodes * work.pair_tokens
        before = self.case.read_before
        read = before if self.case.keeps_graph else 1.0
        drawn = ppo.episodes * work.completion_tokens
        self._score("scoring", read * tokens, read * drawn, self.shape)
        passes = ppo.inner_epochs * tokens
        positions = ppo.inner_epochs * ppo.episodes * work.completion_tokens
        self._train("updating", passes, positions, self.shape)
        if "value model" in shapes:
            self._score("scoring", before * tokens, 0.0, shapes["value model"])
            self._train("updating", passes, 0.0, shapes["value model"])
        text = float(self.case.pretraining_tokens)
        self._train("pretraining text", text, text, self.shape)
        self._update()
        if ppo.evaluate_every:
            times = math.ceil(ppo.num_iterations / ppo.evaluate_every)
            asked = min(ppo.evaluation_prompts, max(1, work.validation))
            readers = ("policy", *_FROZEN)
            self._sampled("evaluation: ", float(times * asked), asked, shapes, readers)

    def _sampled(
        self,
        prefix: str,
        episodes: float,
        together: int,
        shapes: Mapping[str, ModelShape],
        readers: Sequence[str],
    ) -> None:
        """Draw `together` completions at a time, `episodes` in all, and let `readers` score."""
        work, pace, rehearsed = self.work, self.pace, self.case.decode_rows
        drawn = episodes * work.completion_tokens
        seconds = 0.0
        if pace is not None:
            batches = episodes / together * math.ceil(together / rehearsed)
            rows = episodes / batches / rehearsed
            # Half of a step is reading weights, as often as the longest completion asks for.
            steps = 0.5 * self.most_drawn + 0.5 * rows * work.completion_tokens
            seconds = batches * steps * pace.step
            seconds += episodes * work.prompt_tokens * pace.prefill
        self._add(f"{prefix}drawing", seconds, drawn, 2.0 * self.shape.matrix_parameters * drawn)
        tokens = episodes * work.pair_tokens
        for role in readers:
            if role in shapes:
                positions = 0.0 if role == "reward model" else drawn
                self._score(f"{prefix}scoring", tokens, positions, shapes[role])

    def files(self) -> None:
        """Reading the models and writing the checkpoint."""
        if self.pace is not None:
            read = sum(4.0 * shape.parameters for copy, shape in self.case.models)
            self._add("loading", read / READ_RATE)
            self._add("saving", 4.0 * self.shape.parameters / WRITE_RATE)
