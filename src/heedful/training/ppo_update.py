"""The updates of PPO: from a scored rollout to optimiser steps of policy and value.

Where a rollout is learnt from in one step, the old log-probabilities and values are by
definition those of that step's own passes: the value model is read once, and so is the policy
if the rollout fits into one microbatch, its graph kept until the advantages are known. With
several steps a rollout, both are read before the first. Policy and value follow one another, so
that the gradients of one are gone when the other's are made.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from heedful.core.run import Cost, RunDirectory
from heedful.core.settings import DEFAULT_MICROBATCH, Project
from heedful.losses.masked import Metrics
from heedful.losses.ppo import explained_variance, policy_loss, value_loss
from heedful.models.policy import completion_logprobs
from heedful.models.token_batch import TokenBatch
from heedful.training.batches import Batcher, TokenPair, epoch_order, stream_slice
from heedful.training.language import accumulate_language_loss
from heedful.training.loop import StepMetrics, add_metrics, warmup_rate
from heedful.training.out_of_memory import TokenBudget
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import (
    Experience,
    Rollout,
    advantages_of,
    count,
    experience_of,
    place,
    rewards_of,
)


@dataclass(slots=True, kw_only=True)
class _Read:
    """The policy's numbers before its update; `graph`: rows, and theirs, to go back from."""

    logprobs: Float[Tensor, "B C"]
    entropy: Float[Tensor, "B C"]
    graph: tuple[list[int], Float[Tensor, " M"]] | None = None


@dataclass(slots=True, kw_only=True)
class Updates:
    """How one run learns from its rollouts.

    Attributes:
        directory: Of the run, whose cost is counted.
        pretraining: Of the ptx term; read where `ppo.ptx_coef` is not 0.
        budget: Of the batcher; shrinks where memory runs out and it may.
    """

    models: Models
    batcher: Batcher
    config: Project
    directory: RunDirectory
    pretraining: Sequence[TokenPair] = field(default_factory=list)
    budget: TokenBudget = field(default_factory=lambda: TokenBudget(DEFAULT_MICROBATCH))

    @property
    def cost(self) -> Cost:
        """The run's, which resuming replaces."""
        return self.directory.card.cost

    @property
    def once(self) -> bool:
        """Whether each rollout is learnt from in a single step."""
        settings = self.config.ppo
        return settings.inner_epochs == 1 and settings.minibatch_size == settings.rollout_batch_size

    def learn(self, rollout: Rollout, iteration: int, kl_coef: float) -> StepMetrics:
        """Update policy and value; returns the iteration's objectives and the updates' means."""
        started = time.monotonic()
        count(self.cost, self.models, rollout, reread=not self.once)
        learn = self._learn_once if self.once else self._learn_in_parts
        experience, metrics = learn(rollout, iteration, kl_coef)
        metrics["value/explained_variance"] = float(
            explained_variance(experience.values, experience.returns, rollout.mask)
        )
        # What was read before the first update is counted as scoring.
        metrics["time/update"] = (
            time.monotonic() - started - metrics["time/scoring"] + rollout.scoring_seconds
        )
        return metrics

    def _learn_once(
        self, rollout: Rollout, iteration: int, kl_coef: float
    ) -> tuple[Experience, StepMetrics]:
        settings, everyone = self.config.ppo, range(len(rollout.pairs))
        read = self.budget.run(
            lambda: self._read_policy(rollout, keep=len(self.batcher.groups(rollout.pairs)) == 1)
        )
        rewards, metrics = rewards_of(rollout, read.logprobs, read.entropy, settings, kl_coef)
        values = rollout.empty()
        metrics |= self.budget.run(
            lambda: self._first_value_gradients(rollout, rewards, values),
            self.models.value.discard_gradients,
        )
        metrics |= self._step_value(iteration)
        experience = experience_of(rollout, read.logprobs, values, rewards, settings)
        metrics |= self._update_policy(rollout, experience, everyone, iteration, 0, read)
        self._count_update(rollout.pairs)
        return experience, metrics

    def _learn_in_parts(
        self, rollout: Rollout, iteration: int, kl_coef: float
    ) -> tuple[Experience, StepMetrics]:
        """Inner epochs over shuffled minibatches."""
        settings = self.config.ppo
        started = time.monotonic()
        read = self._read_policy(rollout, keep=False)
        values = self._read_values(rollout)
        rewards, metrics = rewards_of(rollout, read.logprobs, read.entropy, settings, kl_coef)
        experience = experience_of(rollout, read.logprobs, values, rewards, settings)
        metrics["time/scoring"] += time.monotonic() - started
        totals: StepMetrics = {}
        number = 0
        for epoch in range(settings.inner_epochs):
            order = epoch_order(
                len(rollout.pairs), self.config.run.seed + 1, iteration * 1000 + epoch
            )
            for start in range(0, len(order), settings.minibatch_size):
                rows = order[start : start + settings.minibatch_size]
                found = self._update_policy(rollout, experience, rows, iteration, number)
                found |= self._update_value(rollout, experience, rows, iteration)
                self._count_update([rollout.pairs[row] for row in rows])
                for name, value in found.items():
                    totals[name] = totals.get(name, 0.0) + value
                number += 1
        return experience, metrics | {name: value / number for name, value in totals.items()}

    def _read_policy(self, rollout: Rollout, *, keep: bool) -> _Read:
        """Log-probabilities and entropy; `keep` their graph, where all is one batch."""
        read = _Read(logprobs=rollout.empty(), entropy=rollout.empty())
        for rows, batch in self.batcher.batches(rollout.pairs):
            with torch.set_grad_enabled(keep):
                found = completion_logprobs(
                    self.models.policy.module,
                    batch,
                    temperature=self.config.ppo.temperature,
                    with_entropy=True,
                )
            place(read.logprobs, rows, batch, found.logprobs.detach())
            assert found.entropy is not None
            place(read.entropy, rows, batch, found.entropy)
            if keep:
                read.graph = (rows, found.logprobs)
        return read

    @torch.no_grad()
    def _read_values(self, rollout: Rollout) -> Float[Tensor, "B C"]:
        values = rollout.empty()
        for rows, batch in self.batcher.batches(rollout.pairs):
            place(values, rows, batch, self.models.value.module.values(batch))
        return values

    def _policy_gradients(
        self,
        rollout: Rollout,
        experience: Experience,
        rows: Sequence[int],
        graph: tuple[list[int], Float[Tensor, " M"]] | None = None,
    ) -> StepMetrics:
        """Add those of the clipped loss; `graph` is that of all rows where it was kept."""
        metrics: StepMetrics = {}
        total = sum(len(rollout.pairs[row].completion_ids) for row in rows)
        for group, logprobs in self._policy_passes(rollout, rows) if graph is None else [graph]:
            loss, part = policy_loss(
                logprobs,
                rollout.flat(experience.logprobs, group),
                rollout.flat(experience.advantages, group),
                torch.ones_like(logprobs, dtype=torch.bool),
                clip_range=self.config.ppo.clip_range,
                denominator=total,
            )
            self.models.policy.backward(loss)
            add_metrics(metrics, part)
        return metrics

    def _policy_passes(
        self, rollout: Rollout, rows: Sequence[int]
    ) -> Iterator[tuple[list[int], Float[Tensor, " M"]]]:
        for group, batch in self._batches(rollout, rows):
            found = completion_logprobs(
                self.models.policy.module, batch, temperature=self.config.ppo.temperature
            )
            yield group, found.logprobs

    def _batches(
        self, rollout: Rollout, rows: Sequence[int]
    ) -> Iterator[tuple[list[int], TokenBatch]]:
        """Batches of some rows, with the rows that each holds."""
        for group, batch in self.batcher.batches([rollout.pairs[row] for row in rows]):
            yield [rows[index] for index in group], batch

    def _first_value_gradients(
        self, rollout: Rollout, rewards: Float[Tensor, "B C"], values: Float[Tensor, "B C"]
    ) -> StepMetrics:
        """Add those of the value loss, whose old values are its own; writes them to `values`."""
        metrics: StepMetrics = {}
        total = int(rollout.mask.sum())
        for rows, batch in self._batches(rollout, range(len(rollout.pairs))):
            found = self.models.value.module.values(batch)
            place(values, rows, batch, found.detach())
            index = torch.tensor(rows, device=values.device)
            _, returns = advantages_of(
                rewards[index], values[index], rollout.mask[index], self.config.ppo
            )
            flat = returns[rollout.mask[index]]
            add_metrics(metrics, self._add_value_loss(found, found.detach(), flat, total))
        return metrics

    def _value_gradients(
        self, rollout: Rollout, experience: Experience, rows: Sequence[int]
    ) -> StepMetrics:
        """Add those of the clipped value loss."""
        metrics: StepMetrics = {}
        total = sum(len(rollout.pairs[row].completion_ids) for row in rows)
        for group, batch in self._batches(rollout, rows):
            part = self._add_value_loss(
                self.models.value.module.values(batch),
                rollout.flat(experience.values, group),
                rollout.flat(experience.returns, group),
                total,
            )
            add_metrics(metrics, part)
        return metrics

    def _add_value_loss(
        self,
        values: Float[Tensor, " M"],
        old: Float[Tensor, " M"],
        returns: Float[Tensor, " M"],
        total: int,
    ) -> Metrics:
        loss, metrics = value_loss(
            values,
            old,
            returns,
            torch.ones_like(values, dtype=torch.bool),
            clip_range=self.config.ppo.value_clip_range,
            denominator=total,
        )
        self.models.value.backward(loss)
        return metrics

    def _update_policy(
        self,
        rollout: Rollout,
        experience: Experience,
        rows: Sequence[int],
        iteration: int,
        update: int,
        read: _Read | None = None,
    ) -> StepMetrics:
        """One step: gradients of the clipped loss and of the ptx term, optimiser, average."""
        models = self.models

        def add_gradients() -> StepMetrics:
            graph = None
            if read is not None:
                # Gone back from once: were this to fail, the pass is made again.
                graph, read.graph = read.graph, None
            found = self._policy_gradients(rollout, experience, rows, graph)
            if self.config.ppo.ptx_coef:
                found["ptx/loss"] = self._add_pretraining_gradient(iteration, update)
            return found

        metrics = self.budget.run(add_gradients, models.policy.discard_gradients)
        metrics["policy/learning_rate"] = self._rate(iteration, self.config.ppo.learning_rate)
        metrics["policy/grad_norm"] = models.policy.step(metrics["policy/learning_rate"])
        models.update_ema()
        return metrics

    def _update_value(
        self, rollout: Rollout, experience: Experience, rows: Sequence[int], iteration: int
    ) -> StepMetrics:
        """One step of the value model."""
        metrics = self.budget.run(
            lambda: self._value_gradients(rollout, experience, rows),
            self.models.value.discard_gradients,
        )
        return metrics | self._step_value(iteration)

    def _step_value(self, iteration: int) -> StepMetrics:
        rate = self._rate(iteration, self.config.ppo.value_learning_rate)
        return {"value/grad_norm": self.models.value.step(rate)}

    def _rate(self, iteration: int, peak: float) -> float:
        settings = self.config.ppo
        return warmup_rate(
            iteration, settings.num_iterations, peak=peak, warmup_share=settings.warmup_share
        )

    def _count_update(self, pairs: Sequence[TokenPair]) -> None:
        num_tokens = sum(len(pair) for pair in pairs)
        self.cost.add_tokens(self.models.num_policy_parameters, trained=num_tokens)
        self.cost.add_tokens(self.models.num_value_parameters, trained=num_tokens)

    def _add_pretraining_gradient(self, iteration: int, update: int) -> float:
        """The ptx term: ptx_coef times the mean loss over pretraining tokens."""
        settings = self.config.ppo
        updates = settings.inner_epochs * settings.rollout_batch_size // settings.minibatch_size
        position = (iteration * updates + update) * settings.num_ptx
        chosen = stream_slice(
            len(self.pretraining), position, settings.num_ptx, self.config.run.seed + 2
        )
        pairs = [self.pretraining[index] for index in chosen]
        self.cost.add_tokens(
            self.models.num_policy_parameters, trained=sum(len(pair) for pair in pairs)
        )
        return accumulate_language_loss(
            self.models.policy, pairs, self.batcher, weight=settings.ptx_coef
        )
