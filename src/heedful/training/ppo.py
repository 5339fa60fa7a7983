"""PPO and PPO-ptx (paper, section 3.5, equation 2, appendix C.4).

One iteration: sample completions, score them, charge the KL to the reference at every
token, estimate advantages with the value model, then update policy and value in
minibatches. With `ptx_coef` > 0 every policy update also carries the gradient of the
pretraining loss, accumulated into the same optimiser step.

Reference and reward model are frozen; policy and value model are separate networks, the
value model begun from the reward model. The networks are in `ppo_models`, sampling and scoring in
`ppo_rollout`, learning in `ppo_update`; this module is a run of them.
"""

import time
from typing import Any

from heedful.core.config import config_hash
from heedful.core.errors import ConfigError
from heedful.core.records import Checkpoint
from heedful.core.run import RunDirectory
from heedful.core.settings import Project
from heedful.losses.ppo import adapt_kl_coef
from heedful.models.checkpoint import save_policy
from heedful.models.loading import trunk_of
from heedful.training.batches import Batcher, TokenPair, stream_slice
from heedful.training.display import Display, shown
from heedful.training.examples import read_pretraining, read_prompts, record_inputs
from heedful.training.forecast import Planned, planned
from heedful.training.loop import Loop, StepMetrics
from heedful.training.ppo_evaluation import HeldOut
from heedful.training.ppo_models import Models
from heedful.training.ppo_rollout import collect
from heedful.training.ppo_update import Updates


def train(config: Project, display: Display) -> Checkpoint:
    """Optimise `ppo.init` against `ppo.reward` on `data.prompts` into `run.dir`/checkpoint.

    Raises:
        HeedfulError: Settings, data or models cannot be used; nothing is half-written.
        Interrupted: Ctrl-C; the same call resumes.
    """
    run = RunDirectory.start(config.run.dir, kind="ppo", seed=config.run.seed, config=config)
    with run, planned("ppo", config, run, display) as plan:
        return _PPO(plan, run, display).run()


class _PPO:
    def __init__(self, plan: Planned, run: RunDirectory, display: Display) -> None:
        config = plan.config
        self.config, self.settings, self.budget = config, config.ppo, plan.budget
        self.directory, self.display = run, display
        self.models = Models.open(config)
        self.directory.card.parents = self.models.parents
        self.directory.card.simulated = "simulated" in self.models.made_by
        self.batcher = Batcher(
            trunk_of(self.models.policy.module),
            trunk_of(self.models.ref_policy),
            self.models.value.module.trunk,
            pad_id=self.models.pad_id,
            device=self.models.device,
            max_tokens=self.budget.tokens,
        )
        self.budget.follow(self.batcher)
        if self.batcher.note is not None:
            display.say(self.batcher.note)
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
            self.held_out = HeldOut(
                chosen, self.models, self.batcher, config, run.path / "samples.jsonl"
            )
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
        self.updates = Updates(
            models=self.models,
            batcher=self.batcher,
            budget=self.budget,
            config=config,
            directory=self.directory,
            pretraining=self.pretraining,
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
            collect=lambda: {
                "models": self.models.state_dict(),
                "kl_coef": self.kl_coef,
                "microbatch_tokens": self.budget.tokens,
            },
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
        self.budget.resume(state["microbatch_tokens"])

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
        rollout = collect(self.models, self.batcher, prompts, self.config, iteration)
        metrics = self.updates.learn(rollout, iteration, self.kl_coef)
        metrics["objective/kl_coef"] = self.kl_coef
        tokens = sum(len(pair) for pair in rollout.pairs)
        metrics["progress/tokens_per_second"] = tokens / (time.monotonic() - started)
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
            save_tokenizer=language.save_tokenizer,
        )
