"""PPO and PPO-ptx (paper, section 3.5, equation 2, appendix C.4).

One iteration: sample completions, score them, charge the KL to the reference at every
token, estimate advantages with the value model, then update policy and value in
minibatches. With `ptx_coef` > 0 every policy update also carries the gradient of the
pretraining loss, accumulated into the same optimiser step.

Reference and reward model are frozen; policy and value model are separate networks, the
value model begun from the reward model. What is written where is in `ppo_rollout`
(sampling and scoring) and `ppo_models` (the networks); this module is the algorithm.
"""

import time
from typing import Any

from heedful.core.config import config_hash
from heedful.core.errors import ConfigError
from heedful.core.records import Checkpoint
from heedful.core.run import RunDirectory
from heedful.core.settings import Project
from heedful.losses.masked import Metrics
from heedful.losses.ppo import adapt_kl_coef, explained_variance, policy_loss, value_loss
from heedful.models.checkpoint import save_policy
from heedful.models.policy import completion_logprobs
from heedful.training.batches import (
    TokenPair,
    epoch_order,
    pad_rows,
    stream_slice,
    token_budget_groups,
)
from heedful.training.display import Display, shown
from heedful.training.examples import read_pretraining, read_prompts, record_inputs
from heedful.training.language import accumulate_language_loss
from heedful.training.loop import Loop, StepMetrics, add_metrics, warmup_rate
from heedful.training.ppo_evaluation import HeldOut
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import Experience, collect


def train(config: Project, display: Display) -> Checkpoint:
    """Optimise `ppo.init` against `ppo.reward` on `data.prompts` into `run.dir`/checkpoint.

    Raises:
        HeedfulError: Settings, data or models cannot be used; nothing is half-written.
        Interrupted: Ctrl-C; the same call resumes.
    """
    run = RunDirectory.start(config.run.dir, kind="ppo", seed=config.run.seed, config=config)
    with run:
        return _PPO(config, run, display).run()


class _PPO:
    def __init__(self, config: Project, run: RunDirectory, display: Display) -> None:
        self.config, self.settings = config, config.ppo
        self.directory, self.display = run, display
        self.models = Models.open(config)
        self.directory.card.parents = self.models.parents
        self.directory.card.simulated = "simulated" in self.models.made_by
        record_inputs(run, config.data, "prompts")
        by_split = read_prompts(
            config.data, self.models.language.formatter, config.run.seed, display.say
        )
        self.prompts = by_split["train"]
        self.held_out: HeldOut | None = None
        if self.settings.evaluate_every:
            if not by_split["validation"]:
                raise ConfigError(
                    f"ppo.evaluate_every = {self.settings.evaluate_every} needs validation prompts",
                    "Raise data.validation_share, or set ppo.evaluate_every = 0.",
                )
            chosen = by_split["validation"][: self.settings.evaluation_prompts]
            self.held_out = HeldOut(chosen, self.models, config, run.path / "samples.jsonl")
        self._require_room()
        self.pretraining: list[TokenPair] = []
        if self.settings.ptx_coef:
            record_inputs(run, config.data, "pretraining")
            self.pretraining = read_pretraining(
                config.data.pretraining,
                self.models.language.tokenizer,
                self.settings.ptx_tokens,
                limit=self.settings.num_ptx * self.settings.num_optimiser_steps,
                seed=config.run.seed,
            )
        self.kl_coef = self.settings.kl_coef

    def _require_room(self) -> None:
        """Refuse before the first step what would fail at the longest prompt."""
        language = self.models.language
        prompts = self.prompts + (self.held_out.prompts if self.held_out else [])
        longest = max(len(language.formatter.prompt_ids(prompt)) for prompt in prompts)
        language.require_room(longest + language.formatter.settings.max_completion_tokens)

    def run(self) -> Checkpoint:
        settings = self.settings
        loop = Loop(
            self.directory,
            self.config.run,
            name="PPO-ptx" if settings.ptx_coef else "PPO",
            num_steps=settings.num_iterations,
            display=self.display,
            collect=lambda: {"models": self.models.state_dict(), "kl_coef": self.kl_coef},
            restore=self._restore,
        )
        with loop:
            for iteration in loop.steps():
                metrics = self._iterate(iteration)
                if self._evaluates(iteration):
                    metrics |= self._evaluate(iteration)
                labels = {"score": "objective/score", "KL": "objective/kl"}
                labels |= {"length": "objective/length", "EOS": "objective/eos_rate"}
                labels |= {"tok/s": "progress/tokens_per_second"}
                loop.log(iteration, metrics, shown(metrics, **labels))
            return self._save()

    def _restore(self, state: dict[str, Any]) -> None:
        self.models.load_state_dict(state["models"])
        self.kl_coef = float(state["kl_coef"])

    def _iterate(self, iteration: int) -> StepMetrics:
        """Sample, score, update; returns the iteration's metrics."""
        settings = self.settings
        started = time.monotonic()
        chosen = stream_slice(
            len(self.prompts),
            iteration * settings.rollout_batch_size,
            settings.rollout_batch_size,
            self.config.run.seed,
        )
        prompts = [self.prompts[index] for index in chosen]
        experience, metrics = collect(
            self.models, prompts, self.config, iteration, self.kl_coef, self.directory.card.cost
        )
        update_started = time.monotonic()
        metrics |= self._update(experience, iteration)
        now = time.monotonic()
        metrics["time/update"] = now - update_started
        metrics["objective/kl_coef"] = self.kl_coef
        tokens = sum(len(pair) for pair in experience.pairs)
        metrics["progress/tokens_per_second"] = tokens / (now - started)
        metrics["progress/epoch"] = (
            (iteration + 1) * settings.rollout_batch_size / len(self.prompts)
        )
        if settings.target_kl is not None:
            self.kl_coef = adapt_kl_coef(
                self.kl_coef,
                metrics["objective/kl"],
                target_kl=settings.target_kl,
                horizon=settings.kl_horizon or max(1, settings.episodes // 10),
                num_episodes=settings.rollout_batch_size,
            )
        return metrics

    def _update(self, experience: Experience, iteration: int) -> StepMetrics:
        """Inner epochs over shuffled minibatches; metrics are means over the minibatches."""
        settings = self.settings
        totals: StepMetrics = {}
        num_updates = 0
        for epoch in range(settings.inner_epochs):
            order = epoch_order(
                len(experience.pairs), self.config.run.seed + 1, iteration * 1000 + epoch
            )
            for start in range(0, len(order), settings.minibatch_size):
                minibatch = order[start : start + settings.minibatch_size]
                found = self._minibatch(experience, minibatch, iteration, num_updates)
                for name, value in found.items():
                    totals[name] = totals.get(name, 0.0) + value
                num_updates += 1
        metrics = {name: value / num_updates for name, value in totals.items()}
        metrics["value/explained_variance"] = float(
            explained_variance(experience.values, experience.returns, experience.mask)
        )
        return metrics

    def _minibatch(
        self, experience: Experience, minibatch: list[int], iteration: int, update: int
    ) -> StepMetrics:
        """One optimiser step of policy and value: clipped losses, ptx, clipping, EMA."""
        settings, models = self.settings, self.models
        metrics: StepMetrics = {}
        pairs = [experience.pairs[index] for index in minibatch]
        denominator = sum(len(pair.completion_ids) for pair in pairs)
        groups = token_budget_groups(
            [len(pair) for pair in pairs], self.config.model.microbatch_tokens
        )
        for group in groups:
            part = experience.select([minibatch[index] for index in group])
            add_metrics(metrics, self._add_gradients(part, denominator))
        cost = self.directory.card.cost
        num_tokens = sum(len(pair) for pair in pairs)
        cost.add_tokens(models.num_policy_parameters, trained=num_tokens)
        cost.add_tokens(models.num_value_parameters, trained=num_tokens)
        if settings.ptx_coef:
            metrics["ptx/loss"] = self._add_pretraining_gradient(iteration, update)
        rates = [
            warmup_rate(
                iteration,
                settings.num_iterations,
                peak=peak,
                warmup_share=settings.warmup_share,
            )
            for peak in (settings.learning_rate, settings.value_learning_rate)
        ]
        metrics["policy/learning_rate"] = rates[0]
        metrics["policy/grad_norm"] = models.policy.step(rates[0])
        metrics["value/grad_norm"] = models.value.step(rates[1])
        models.update_ema()
        return metrics

    def _add_gradients(self, part: Experience, denominator: int) -> Metrics:
        """A microbatch's share of the clipped losses of policy and value."""
        settings, models = self.settings, self.models
        rows = pad_rows(part.pairs, models.pad_id, models.device)
        lengths = (rows.prompt_lengths, rows.completion_lengths)
        columns = part.mask.shape[1]
        new = completion_logprobs(
            models.policy.module,
            rows.input_ids,
            *lengths,
            num_columns=columns,
            temperature=settings.temperature,
        )
        loss, of_policy = policy_loss(
            new.logprobs,
            part.logprobs,
            part.advantages,
            part.mask,
            clip_range=settings.clip_range,
            denominator=denominator,
        )
        models.policy.backward(loss)
        loss, of_value = value_loss(
            models.value.module.values(rows.input_ids, *lengths, columns),
            part.values,
            part.returns,
            part.mask,
            clip_range=settings.value_clip_range,
            denominator=denominator,
        )
        models.value.backward(loss)
        return of_policy | of_value

    def _add_pretraining_gradient(self, iteration: int, update: int) -> float:
        """The ptx term: ptx_coef times the mean loss over pretraining tokens."""
        settings = self.settings
        count = settings.num_ptx
        updates_per_iteration = (
            settings.inner_epochs * settings.rollout_batch_size // settings.minibatch_size
        )
        position = (iteration * updates_per_iteration + update) * count
        chosen = stream_slice(len(self.pretraining), position, count, self.config.run.seed + 2)
        pairs = [self.pretraining[index] for index in chosen]
        self.directory.card.cost.add_tokens(
            self.models.num_policy_parameters, trained=sum(len(pair) for pair in pairs)
        )
        return accumulate_language_loss(
            self.models.policy,
            pairs,
            weight=settings.ptx_coef,
            max_tokens=self.config.model.microbatch_tokens,
            pad_id=self.models.pad_id,
            device=self.models.device,
        )

    def _evaluates(self, iteration: int) -> bool:
        every = self.settings.evaluate_every
        last = iteration + 1 == self.settings.num_iterations
        return self.held_out is not None and (last or (iteration + 1) % every == 0)

    def _evaluate(self, iteration: int) -> StepMetrics:
        assert self.held_out is not None
        return self.held_out.measure(iteration + 1, self.directory.card.cost)

    def _save(self) -> Checkpoint:
        language, settings = self.models.language, self.settings
        self.models.load_ema()
        card = language.child_card(
            "policy",
            step=settings.num_iterations,
            settings_hash=config_hash(self.config),
            parents=self.models.parents,
            made_by=self.models.made_by,
        )
        return save_policy(
            self.directory.path / "checkpoint",
            self.models.policy.module,
            self.models.policy.full_state_dict(),
            card=card,
            format_settings=language.formatter.settings,
            tokenizer_files=language.folder.path,
        )
