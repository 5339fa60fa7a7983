"""The updates of PPO: from a scored rollout to optimiser steps of policy and value.

The old log-probabilities and values of the first minibatch are by definition those of its own
step's passes, so only the other minibatches are read beforehand: the value model reads the first
once, and so does the policy if it fits into half a microbatch, its graph kept until the advantages
are known: the value model's beside it makes one at the most. Policy and value follow one another,
so that the gradients of one are gone when the other's are made.
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
    experience_of,
    place,
    rewards_of,
)


@dataclass(slots=True, kw_only=True)
class _Read:
    """The numbers before the first step.

    Attributes:
        graph: Rows of the first minibatch, and their log-probabilities, to go back from.
    """

    logprobs: Float[Tensor, "B C"]
    entropy: Float[Tensor, "B C"]
    values: Float[Tensor, "B C"]
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

    def learn(self, rollout: Rollout, iteration: int, kl_coef: float) -> StepMetrics:
        """Update policy and value; returns the iteration's objectives and the updates' means."""
        settings, started = self.config.ppo, time.monotonic()
        self.models.count_sampled(self.cost, rollout.pairs, passes=1)
        first, *later = self._minibatches(len(rollout.pairs), iteration)
        read = self._read_before(rollout, sorted(set(range(len(rollout.pairs))) - set(first)))
        before_first = time.monotonic()
        self.budget.run(lambda: self._read_first(rollout, first, read))
        # A pass whose graph is kept is the update's own.
        updating = time.monotonic() if read.graph is None else before_first
        rewards, metrics = rewards_of(rollout, read.logprobs, read.entropy, settings, kl_coef)
        totals: StepMetrics = self.budget.run(
            lambda: self._first_value_gradients(rollout, rewards, first, read.values),
            self.models.value.discard_gradients,
        )
        totals |= self._step_value(iteration)
        experience = experience_of(rollout, read.logprobs, read.values, rewards, settings)
        totals |= self._update_policy(rollout, experience, first, iteration, 0, read)
        for number, rows in enumerate(later, start=1):
            add_metrics(totals, self._update_policy(rollout, experience, rows, iteration, number))
            add_metrics(totals, self._update_value(rollout, experience, rows, iteration))
        for rows in (first, *later):
            self._count_update([rollout.pairs[row] for row in rows])
        metrics |= {name: value / (1 + len(later)) for name, value in totals.items()}
        metrics["value/explained_variance"] = float(
            explained_variance(experience.values, experience.returns, rollout.mask)
        )
        metrics["time/scoring"] += updating - started
        metrics["time/update"] = time.monotonic() - updating
        return metrics

    def _minibatches(self, num_rows: int, iteration: int) -> list[list[int]]:
        """Rows of each step: the shuffled rollout in pieces, once for each inner epoch."""
        settings, seed = self.config.ppo, self.config.run.seed + 1
        orders = [
            epoch_order(num_rows, seed, iteration * 1000 + epoch)
            for epoch in range(settings.inner_epochs)
        ]
        size = settings.minibatch_size
        return [
            order[start : start + size] for order in orders for start in range(0, num_rows, size)
        ]

    @torch.no_grad()
    def _read_before(self, rollout: Rollout, rows: Sequence[int]) -> _Read:
        """What policy and value model say of `rows`; zeros for the others."""
        read = _Read(logprobs=rollout.empty(), entropy=rollout.empty(), values=rollout.empty())
        for group, batch in self._batches(rollout, rows):
            self._read_policy(group, batch, read)
            place(read.values, group, batch, self.models.value.module.values(batch))
        num_tokens = sum(len(rollout.pairs[row]) for row in rows)
        self.cost.add_tokens(self.models.num_policy_parameters, scored=num_tokens)
        self.cost.add_tokens(self.models.num_value_parameters, scored=num_tokens)
        return read

    def _read_first(self, rollout: Rollout, rows: Sequence[int], read: _Read) -> None:
        """What the policy says of `rows`; its graph is kept if they make half a microbatch."""
        batches = list(self._batches(rollout, rows))
        keeps = 2 * sum(batch.input_ids.numel() for _, batch in batches) <= self.batcher.max_tokens
        for group, batch in batches:
            with torch.set_grad_enabled(keeps):
                logprobs = self._read_policy(group, batch, read)
            if logprobs.requires_grad:
                read.graph = (group, logprobs)
        if read.graph is None:
            num_tokens = sum(len(rollout.pairs[row]) for row in rows)
            self.cost.add_tokens(self.models.num_policy_parameters, scored=num_tokens)

    def _read_policy(
        self, rows: Sequence[int], batch: TokenBatch, read: _Read
    ) -> Float[Tensor, " M"]:
        """Write log-probabilities and entropy into `read`; the former, with their graph."""
        found = completion_logprobs(
            self.models.policy.module,
            batch,
            temperature=self.config.ppo.temperature,
            with_entropy=True,
        )
        assert found.entropy is not None
        place(read.logprobs, rows, batch, found.logprobs.detach())
        place(read.entropy, rows, batch, found.entropy)
        return found.logprobs

    def _policy_gradients(
        self,
        rollout: Rollout,
        experience: Experience,
        rows: Sequence[int],
        graph: tuple[list[int], Float[Tensor, " M"]] | None = None,
    ) -> StepMetrics:
        """Add those of the clipped loss; `graph` is that of the rows where it was kept."""
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
        self,
        rollout: Rollout,
        rewards: Float[Tensor, "B C"],
        rows: Sequence[int],
        values: Float[Tensor, "B C"],
    ) -> StepMetrics:
        """Add those of the value loss, whose old values are its own; writes them to `values`."""
        metrics: StepMetrics = {}
        total = sum(len(rollout.pairs[row].completion_ids) for row in rows)
        for group, batch in self._batches(rollout, rows):
            found = self.models.value.module.values(batch)
            place(values, group, batch, found.detach())
            index = torch.tensor(group, device=values.device)
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
