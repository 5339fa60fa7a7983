"""The reward model on K-way rankings (paper, section 3.5, equation 1, appendix C.2).

The prompt is encoded once, its K completions once each after it, and all their pairs make one
batch element. Afterwards the offset is set so that demonstrations score 0 on average, and the
model is measured on held-out rankings beside "the longer one wins".
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from heedful.core.config import config_hash
from heedful.core.jsonl import write_json_atomic, write_records
from heedful.core.records import Checkpoint
from heedful.core.run import RunDirectory
from heedful.core.settings import Project
from heedful.generation.language_model import LanguageModel
from heedful.losses.ranking import ranking_loss
from heedful.models.adapters import adapter_of, add_lora, weights_hash
from heedful.models.checkpoint import save_scalar
from heedful.models.loading import num_matrix_parameters, trunk_of
from heedful.models.scalar import ScalarModel
from heedful.training.batches import Batcher, TokenPair, stream_slice
from heedful.training.display import Display
from heedful.training.examples import (
    RankedExample,
    read_demonstrations,
    read_rankings,
    record_inputs,
)
from heedful.training.forecast import Planned, planned
from heedful.training.loop import Loop, StepMetrics, Trainable, add_metrics, cosine_rate, prepare
from heedful.training.reward_evaluation import SourceScore, evaluate_reward_model
from heedful.training.scoring import RewardModel


def train(config: Project, display: Display) -> Checkpoint:
    """Train a reward model from `model.name` on `data.rankings` into `run.dir`/checkpoint.

    Raises:
        HeedfulError: Settings, data or model cannot be used; nothing is half-written.
        Interrupted: Ctrl-C; the same call resumes.
    """
    run = RunDirectory.start(config.run.dir, kind="reward", seed=config.run.seed, config=config)
    with run, planned("reward", config, run, display) as plan:
        return _RewardTraining(plan, run, display).run()


class _RewardTraining:
    def __init__(self, plan: Planned, run: RunDirectory, display: Display) -> None:
        config = plan.config
        self.config, self.settings, self.budget = config, config.reward, plan.budget
        self.directory, self.display = run, display
        self.device, dtype = prepare(config.run, config.model)
        language = LanguageModel.open(config.model.name, format_settings=config.format)
        self.language = language
        record_inputs(run, config.data, "rankings", "demonstrations")
        self.data = read_rankings(config.data, language.formatter, config.run.seed, display.say)
        run.card.parents = language.parents
        run.card.simulated = "simulated" in self.data.made_by
        self.demonstrations = self._demonstrations()
        ranked = [pair for item in self.data.train + self.data.validation for pair in item.pairs]
        language.require_room(max(map(len, ranked + self.demonstrations)))
        lora = config.model.lora_rank > 0
        self.trunk_hash = weights_hash(trunk_of(language.model)) if lora else None
        self.model = self._initial_model(language)
        self.batcher = Batcher(
            self.model.trunk,
            pad_id=language.tokenizer.pad_id,
            device=self.device,
            max_tokens=self.budget.tokens,
        )
        self.budget.follow(self.batcher)
        if self.batcher.note is not None:
            display.say(self.batcher.note)
        self.num_parameters = num_matrix_parameters(self.model)
        self.trainable = Trainable(
            self.model,
            dtype,
            self.settings,
            keep_fp32=("head.",),
            activation_checkpointing=config.model.activation_checkpointing,
        )
        self.num_steps = max(
            1,
            round(self.settings.epochs * len(self.data.train) / self.settings.batch_size),
        )

    def _initial_model(self, language: LanguageModel) -> ScalarModel:
        trunk: Any = trunk_of(language.model)
        if self.config.model.lora_rank:
            add_lora(
                trunk,
                rank=self.config.model.lora_rank,
                alpha=self.config.model.lora_alpha,
                seed=self.config.run.seed,
            )
        generator = torch.Generator().manual_seed(self.config.run.seed)
        return ScalarModel(trunk, trunk.config.hidden_size, generator=generator).to(self.device)

    def _demonstrations(self) -> list[TokenPair]:
        """The texts whose mean score becomes 0: demonstrations, else the best-ranked."""
        if self.config.data.demonstrations is not None:
            return read_demonstrations(
                self.config.data, self.language.formatter, self.config.run.seed, self.display.say
            ).train
        note = (
            "No data.demonstrations: the best-ranked training completions have mean score 0 "
            "instead."
        )
        self.display.say(note)
        if note not in self.directory.card.notes:
            self.directory.card.notes.append(note)
        return [
            pair
            for example in self.data.train
            for pair, rank in zip(example.pairs, example.ranking.ranks, strict=True)
            if rank == min(example.ranking.ranks)
        ]

    def run(self) -> Checkpoint:
        loop = Loop(
            self.directory,
            self.config.run,
            name="reward",
            num_steps=self.num_steps,
            display=self.display,
            collect=lambda: {
                "model": self.trainable.state_dict(),
                "microbatch_tokens": self.budget.tokens,
            },
            restore=self._restore,
        )
        with loop:
            for step in loop.steps():
                metrics = self._step(step)
                shown = {"loss": metrics["reward/loss"], "accuracy": metrics["reward/accuracy"]}
                loop.log(step, metrics, shown)
            return self._save(self._centre())

    def _restore(self, state: dict[str, Any]) -> None:
        self.trainable.load_state_dict(state["model"])
        self.budget.resume(state["microbatch_tokens"])

    def _step(self, step: int) -> StepMetrics:
        settings = self.settings
        chosen = stream_slice(
            len(self.data.train),
            step * settings.batch_size,
            settings.batch_size,
            self.config.run.seed,
        )
        batch = [self.data.train[index] for index in chosen]
        metrics = self.budget.run(
            lambda: self._add_gradients(batch), self.trainable.discard_gradients
        )
        rate = cosine_rate(
            step,
            self.num_steps,
            peak=settings.learning_rate,
            warmup_share=settings.warmup_share,
            min_ratio=settings.min_learning_rate_ratio,
        )
        metrics["optim/grad_norm"] = self.trainable.step(rate)
        metrics["optim/learning_rate"] = rate
        metrics["progress/epoch"] = (step + 1) * settings.batch_size / len(self.data.train)
        self.directory.card.cost.add_tokens(
            self.num_parameters,
            trained=sum(self.batcher.num_tokens(example.pairs) for example in batch),
        )
        return metrics

    def _add_gradients(self, batch: Sequence[RankedExample]) -> StepMetrics:
        metrics: StepMetrics = {}
        # A ranking is never cut: its pairs need all its scores at once.
        for group in self.batcher.unit_groups([example.pairs for example in batch]):
            scores, ranks, groups = self._scores([batch[index] for index in group])
            loss, part = ranking_loss(scores, ranks, groups, num_prompts=len(batch))
            self.trainable.backward(loss)
            add_metrics(metrics, part)
        return metrics

    def _scores(self, examples: Sequence[RankedExample]) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, ranks and prompt index of every completion of `examples`, flat."""
        pairs = [pair for example in examples for pair in example.pairs]
        ranks = [rank for example in examples for rank in example.ranking.ranks]
        groups = [index for index, example in enumerate(examples) for _ in example.pairs]
        return (
            self.model.scores(self.batcher.batch(pairs)),
            torch.tensor(ranks, device=self.device),
            torch.tensor(groups, device=self.device),
        )

    def _centre(self) -> list[SourceScore]:
        """Shift scores so that demonstrations have mean 0 (section 3.5); returns theirs."""
        self.model.offset.zero_()
        scores = self._scorer().score_pairs(self.demonstrations)
        mean = sum(scores) / len(scores)
        self.model.offset.fill_(mean)
        self.directory.card.cost.add_tokens(
            self.num_parameters, scored=sum(len(pair) for pair in self.demonstrations)
        )
        return [SourceScore(source="demonstrations", score=score - mean) for score in scores]

    def _scorer(self) -> RewardModel:
        return RewardModel(
            self.model,
            self._card(),
            self.language.formatter,
            pad_id=self.language.tokenizer.pad_id,
            device=self.device,
            microbatch_tokens=self.budget.tokens,
        )

    def _card(self) -> Checkpoint:
        return self.language.child_card(
            "reward",
            step=self.num_steps,
            settings_hash=config_hash(self.config),
            parents=self.directory.card.parents,
            made_by=self.data.made_by,
        )

    def _save(self, scores: list[SourceScore]) -> Checkpoint:
        if self.data.validation:
            evaluation = evaluate_reward_model(
                self._scorer(), self.data.validation, self.config.run.seed
            )
            write_records(self.directory.path / "results.jsonl", evaluation.results)
            scores = scores + evaluation.scores
            write_json_atomic(self.directory.path / "calibration.json", evaluation.calibration)
            self.display.say(evaluation.summary())
        else:
            self.display.say("No held-out rankings: the reward model's accuracy is not measured.")
        write_records(self.directory.path / "scores.jsonl", scores)
        masters, trunk_hash = self.trainable.weights.state_dict(), self.trunk_hash
        return save_scalar(
            self.directory.path / "checkpoint",
            self.model,
            self.trainable.full_state_dict(),
            card=self._card(),
            format_settings=self.language.formatter.settings,
            save_tokenizer=self.language.save_tokenizer,
            adapter=adapter_of(self.model, masters, trunk_hash) if trunk_hash else None,
        )
