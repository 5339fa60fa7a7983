"""Supervised fine-tuning on demonstrations (paper, section 3.5, appendices C.1 and C.3).

`train` makes the SFT baseline, or, with few epochs and a pretraining mix, the model that
PPO starts from. The loss is the mean negative log-likelihood of completion tokens;
prompt tokens are given, never predicted. With a pretraining share p the loss is
(1 - p) demonstrations + p pretraining, each a mean over its own tokens.
"""

import math
from typing import Any

from heedful.core.config import config_hash
from heedful.core.errors import ConfigError
from heedful.core.records import Checkpoint, SamplingParameters
from heedful.core.run import RunDirectory
from heedful.core.settings import Project
from heedful.generation.language_model import LanguageModel
from heedful.models.adapters import add_lora
from heedful.models.checkpoint import save_policy
from heedful.models.loading import num_matrix_parameters, trunk_of
from heedful.training.batches import Batcher, TokenPair, stream_slice
from heedful.training.display import Display
from heedful.training.examples import (
    Demonstrations,
    read_demonstrations,
    read_pretraining,
    record_inputs,
)
from heedful.training.forecast import Planned, planned
from heedful.training.language import accumulate_language_loss, language_loss
from heedful.training.loop import Loop, Trainable, cosine_rate, prepare
from heedful.training.scoring import RewardModel


def train(config: Project, display: Display) -> Checkpoint:
    """Fine-tune `model.name` on `data.demonstrations` into `run.dir`/checkpoint.

    Raises:
        HeedfulError: Settings, data or model cannot be used; nothing is half-written.
        Interrupted: Ctrl-C; the same call resumes.
    """
    settings = config.sft
    run = RunDirectory.start(
        config.run.dir, kind=settings.kind, seed=config.run.seed, config=config
    )
    with run, planned("sft", config, run, display) as plan:
        return _SFT(plan, run, display).run()


class _SFT:
    """One run's parts, so that the steps below read as the algorithm."""

    def __init__(self, plan: Planned, run: RunDirectory, display: Display) -> None:
        config = plan.config
        self.config, self.settings, self.budget = config, config.sft, plan.budget
        self.directory, self.display = run, display
        self.device, dtype = prepare(config.run, config.model)
        self.language = LanguageModel.open(
            config.model.name, format_settings=config.format, dropout=self.settings.dropout
        )
        record_inputs(run, config.data, "demonstrations")
        self.data = self._read()
        self.num_steps = max(
            1,
            round(self.settings.epochs * len(self.data.train) / self.settings.num_demonstrations),
        )
        self.pretraining: list[TokenPair] = []
        if self.settings.pretraining_share:
            record_inputs(run, config.data, "pretraining")
            self.pretraining = read_pretraining(
                config.data.pretraining,
                self.language.tokenizer,
                self.settings.pretraining_tokens,
                limit=self.settings.num_pretraining * self.num_steps,
                seed=config.run.seed,
            )
        self.judge: RewardModel | None = None
        if self.settings.reward_model is not None:
            self.judge = RewardModel.open(
                self.settings.reward_model,
                self.device,
                dtype,
                microbatch_tokens=self.budget.tokens,
            )
        parents = self.language.parents
        makers = set(self.data.made_by)
        if self.judge is not None:
            parents["reward"] = self.judge.card.id
            makers |= set(self.judge.card.made_by)
        self.made_by = tuple(sorted(makers))
        run.card.parents, run.card.simulated = parents, "simulated" in makers
        model: Any = self.language.model.to(self.device)
        self.num_parameters = num_matrix_parameters(model)
        if config.model.lora_rank:
            add_lora(
                model,
                rank=config.model.lora_rank,
                alpha=config.model.lora_alpha,
                seed=config.run.seed,
            )
        self.batcher = Batcher(
            trunk_of(model),
            pad_id=self.language.tokenizer.pad_id,
            device=self.device,
            max_tokens=self.budget.tokens,
        )
        self.budget.follow(self.batcher)
        if self.batcher.note is not None:
            display.say(self.batcher.note)
        again = config.model.activation_checkpointing
        self.policy = Trainable(model, dtype, self.settings, activation_checkpointing=again)
        self.best: dict[str, Any] = {"value": math.inf, "step": 0, "masters": None}

    def _read(self) -> Demonstrations:
        config = self.config
        data = read_demonstrations(
            config.data, self.language.formatter, config.run.seed, self.display.say
        )
        if self.settings.choose_by != "last" and not data.validation:
            raise ConfigError(
                f"sft.choose_by = {self.settings.choose_by} needs validation demonstrations",
                "Raise data.validation_share, or set sft.choose_by = last.",
            )
        self.language.require_room(max(map(len, data.train + data.validation)))
        return data

    def run(self) -> Checkpoint:
        loop = Loop(
            self.directory,
            self.config.run,
            name=self.settings.kind,
            num_steps=self.num_steps,
            display=self.display,
            collect=lambda: {
                "policy": self.policy.state_dict(),
                "best": self.best,
                "microbatch_tokens": self.budget.tokens,
            },
            restore=self._restore,
        )
        with loop:
            for step in loop.steps():
                metrics = self._step(step)
                if self._ends_epoch(step):
                    metrics |= self._validate(step)
                shown = {"loss": metrics["language/loss"]}
                if "validation/loss" in metrics:
                    shown["validation"] = metrics["validation/loss"]
                loop.log(step, metrics, shown)
            return self._save()

    def _restore(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.best = state["best"]
        self.budget.resume(state["microbatch_tokens"])

    def _step(self, step: int) -> dict[str, float]:
        """One optimiser step: forward, backward, clip, update."""
        settings, seed = self.settings, self.config.run.seed
        share, count = settings.pretraining_share, settings.num_demonstrations
        chosen = stream_slice(len(self.data.train), step * count, count, seed)
        batch = [self.data.train[index] for index in chosen]
        extra: list[TokenPair] = []
        if share:
            count = settings.num_pretraining
            chosen = stream_slice(len(self.pretraining), step * count, count, seed + 1)
            extra = [self.pretraining[index] for index in chosen]
        self.policy.module.train()
        metrics = self.budget.run(
            lambda: self._add_gradients(batch, extra), self.policy.discard_gradients
        )
        metrics["language/num_tokens"] = sum(len(pair.completion_ids) for pair in batch)
        rate = cosine_rate(
            step,
            self.num_steps,
            peak=settings.learning_rate,
            warmup_share=settings.warmup_share,
            min_ratio=settings.min_learning_rate_ratio,
        )
        metrics["optim/grad_norm"] = self.policy.step(rate)
        metrics["optim/learning_rate"] = rate
        metrics["progress/epoch"] = (step + 1) * settings.num_demonstrations / len(self.data.train)
        self.directory.card.cost.add_tokens(
            self.num_parameters, trained=sum(len(pair) for pair in batch + extra)
        )
        return metrics

    def _add_gradients(self, batch: list[TokenPair], extra: list[TokenPair]) -> dict[str, float]:
        """Of the demonstrations and of the pretraining text; their losses."""
        share = self.settings.pretraining_share
        loss = accumulate_language_loss(self.policy, batch, self.batcher, weight=1 - share)
        metrics = {"language/loss": loss}
        if extra:
            metrics["pretrain/loss"] = accumulate_language_loss(
                self.policy, extra, self.batcher, weight=share
            )
        return metrics

    def _ends_epoch(self, step: int) -> bool:
        if not self.data.validation:
            return False
        seen_before, seen_after = (n * self.settings.num_demonstrations for n in (step, step + 1))
        size = len(self.data.train)
        return step + 1 == self.num_steps or seen_after // size > seen_before // size

    def _validate(self, step: int) -> dict[str, float]:
        """Validation loss (and score); remembers the weights of the best epoch."""
        loss = language_loss(
            self.policy.module,
            self.data.validation,
            self.batcher,
            cost=self.directory.card.cost,
            num_parameters=self.num_parameters,
        )
        metrics = {"validation/loss": loss}
        value = loss
        if self.judge is not None:
            metrics["validation/score"] = self._score_samples(self.judge)
            value = -metrics["validation/score"]
        if self.settings.choose_by != "last" and value < self.best["value"]:
            masters = {name: w.clone() for name, w in self.policy.weights.state_dict().items()}
            self.best = {"value": value, "step": step + 1, "masters": masters}
        return metrics

    def _score_samples(self, judge: RewardModel) -> float:
        """Mean reward model score of one sample per validation prompt (the paper's choice)."""
        prompts, cost = self.data.validation_prompts, self.directory.card.cost
        sampling = SamplingParameters(
            max_tokens=self.language.formatter.settings.max_completion_tokens
        )
        rows = self.language.complete(prompts, sampling, seed=self.config.run.seed)
        completions = [row[0] for row in rows]
        num_tokens = sum(completion.num_tokens or 0 for completion in completions)
        cost.add_tokens(self.num_parameters, generated=num_tokens)
        cost.add_tokens(judge.num_parameters, scored=num_tokens)
        scores = judge.score_completions(prompts, completions)
        return sum(scores) / len(scores)

    def _save(self) -> Checkpoint:
        step = self.num_steps
        if self.best["masters"] is not None:
            step = int(self.best["step"])
            self.policy.weights.load(self.best["masters"])
            note = f"Kept the weights of step {step}, chosen by {self.settings.choose_by}."
            self.directory.card.notes.append(note)
            self.display.say(note)
        card = self.language.child_card(
            self.settings.kind,
            step=step,
            settings_hash=config_hash(self.config),
            parents=self.directory.card.parents,
            made_by=self.made_by,
        )
        lengths = [len(pair.completion_ids) for pair in self.data.train]
        card = card.model_copy(update={"completion_tokens": sum(lengths) / len(lengths)})
        return save_policy(
            self.directory.path / "checkpoint",
            self.policy.module,
            self.policy.full_state_dict(),
            card=card,
            format_settings=self.language.formatter.settings,
            save_tokenizer=self.language.save_tokenizer,
        )
