"""The whole method in miniature: demonstrations, rankings, reward model, PPO, PPO-ptx.

This module says what the stages are and how they hang together; each stage's work is a
trainer, or a function of `quickstart_stages` and `quickstart_evaluation`. Every label in
it is simulated.
"""

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from heedful.core.jsonl import write_json_atomic
from heedful.core.settings import DataSettings, PPOSettings, Project, RunSettings, SFTSettings
from heedful.data.embedded_data import embedded_files
from heedful.models.catalogue import CATALOGUE, get_model
from heedful.models.folders import find_model
from heedful.pipeline.quickstart_evaluation import OUTPUTS, evaluate, results_table
from heedful.pipeline.quickstart_settings import Quickstart
from heedful.pipeline.quickstart_stages import collect_rankings, write_data
from heedful.pipeline.stages import Pipeline, Stage
from heedful.reports.page import build_report
from heedful.training import ppo, reward, sft
from heedful.training.display import Display, duration

CHECKPOINT = "checkpoint/checkpoint.json"
DATA_FILES = (
    "prompts.jsonl",
    "demonstrations.jsonl",
    "pretraining_train.jsonl",
    "pretraining_validation.jsonl",
)
RANKING_FILES = ("prompts.jsonl", "completions.jsonl", "rankings.jsonl")


def run(config: Quickstart, display: Display) -> Path:
    """Run what is not up to date; returns the report's path.

    Raises:
        HeedfulError: Something a person can put right.
        Interrupted: Ctrl-C; the same call goes on where it stopped.
    """
    base = config.run.dir
    if config.model.name in CATALOGUE:
        get_model(config.model.name, display.say)
    stages = quickstart_stages(config, display)
    pipeline = Pipeline(base, display)
    for number, stage in enumerate(stages, start=1):
        pipeline.run(stage, number=number, total=len(stages))
        summary = {
            "seed": config.run.seed,
            "simulated": True,
            "stages": [asdict(report) for report in pipeline.reports],
            "sizes": config.sizes.model_dump(),
        }
        write_json_atomic(base / "quickstart.json", summary)
    report = build_report(base, base / "report.html")
    display.console.print(results_table(base / "evaluation"))
    seconds = sum(stage.seconds for stage in pipeline.reports)
    display.say(f"All stages together: {duration(seconds)}.")
    return report


def quickstart_stages(config: Quickstart, display: Display) -> list[Stage]:
    """All stages in order; an input of a stage is an output of an earlier one."""
    stages = _Stages(config, display)
    return [
        stages.data(),
        stages.sft(),
        stages.ppo_init(),
        stages.rankings(),
        stages.reward(),
        stages.ppo(),
        stages.ppo_ptx(),
        stages.evaluation(),
    ]


class _Stages:
    """One method a stage, in the order they run."""

    def __init__(self, config: Quickstart, display: Display) -> None:
        self.config, self.display = config, display
        self.base = config.run.dir
        files = [self.base / "data" / name for name in DATA_FILES]
        self.prompts, self.demonstrations, self.pretraining, self.pretraining_held_out = files
        self.model = model_files(find_model(config.model.name).path)

    def data(self) -> Stage:
        return Stage(
            name="data",
            why="Split the embedded prompts by organisation, so that nobody is on both sides.",
            settings={
                "python": platform.python_version(),  # whose documentation is the text
                "demonstrations": self.config.sizes.demonstrations,
            },
            inputs=list(embedded_files()),
            outputs=[*DATA_FILES, "split.json"],
            work=lambda folder: write_data(folder, self.config.sizes.demonstrations, self.display),
        )

    def sft(self) -> Stage:
        why = "Fine-tune on demonstrations: the baseline that PPO has to beat."
        return self._fine_tuning("sft", why, self.config.sft)

    def ppo_init(self) -> Stage:
        why = "Fine-tune briefly, with some pretraining text: where PPO starts."
        settings = self.config.ppo_init.model_copy(update={"kind": "ppo_init"})
        return self._fine_tuning("ppo_init", why, settings)

    def rankings(self) -> Stage:
        return Stage(
            name="rankings",
            why="Sample K completions per prompt from three models; the simulated team ranks them.",
            settings=self.config.sampling_stage(),
            inputs=[*self.model, self.prompts, self._card("ppo_init"), self._card("sft")],
            outputs=[*RANKING_FILES, "run.json"],
            work=lambda folder: collect_rankings(folder, self.config, self.prompts, self.display),
        )

    def reward(self) -> Stage:
        start = "ppo_init" if self.config.ppo.shared_trunk else "sft"
        return self._training(
            "reward",
            "Learn to predict the rankings, and to score demonstrations 0 on average.",
            [
                self._card(start),
                self.prompts,
                self.demonstrations,
                *(self.base / "rankings" / name for name in RANKING_FILES),
            ],
            reward,
            reward=self.config.reward,
            model=self.config.model.model_copy(update={"name": str(self.base / start)}),
            data=DataSettings(rankings=self.base / "rankings", demonstrations=self.base / "data"),
        )

    def ppo(self) -> Stage:
        return self._optimisation(
            "ppo",
            "Optimise the policy against the reward model.",
            [self.prompts],
            self.config.ppo,
            DataSettings(prompts=self.prompts),
        )

    def ppo_ptx(self) -> Stage:
        return self._optimisation(
            "ppo_ptx",
            "The same with pretraining gradients, so that less is forgotten.",
            [self.prompts, self.pretraining],
            self.config.ppo.model_copy(update=self.config.ppo_ptx.model_dump()),
            DataSettings(prompts=self.prompts, pretraining=self.pretraining),
        )

    def evaluation(self) -> Stage:
        models = ("sft", "ppo_init", "reward", "ppo", "ppo_ptx")
        return Stage(
            name="evaluation",
            why="Held-out simulated labellers compare the models on prompts of held-out users.",
            settings=self.config.sampling_stage(),
            inputs=[
                *self.model,
                self.prompts,
                self.pretraining_held_out,
                *(self._card(name) for name in models),
            ],
            outputs=OUTPUTS,
            work=lambda folder: evaluate(folder, self.config, self.display),
        )

    def _fine_tuning(self, name: str, why: str, settings: SFTSettings) -> Stage:
        text = self.pretraining if settings.pretraining_share else None
        return self._training(
            name,
            why,
            [*self.model, self.prompts, self.demonstrations, *([text] if text else [])],
            sft,
            sft=settings,
            data=DataSettings(demonstrations=self.base / "data", pretraining=text),
        )

    def _optimisation(
        self, name: str, why: str, inputs: list[Path], settings: PPOSettings, data: DataSettings
    ) -> Stage:
        start = {"init": str(self.base / "ppo_init"), "reward": str(self.base / "reward")}
        return self._training(
            name,
            why,
            [*inputs, self._card("ppo_init"), self._card("reward")],
            ppo,
            ppo=settings.model_copy(update=start),
            data=data,
        )

    def _training(
        self, name: str, why: str, inputs: list[Path], trainer: Any, **sections: Any
    ) -> Stage:
        """A stage that is one trainer's run, with its own sections of a project file."""
        run = self.config.run
        settings = RunSettings(dir=self.base / name, seed=run.seed, threads=run.threads)
        shared = {"run": settings, "model": self.config.model, "format": self.config.format}
        project = Project(**{**shared, **sections})
        return Stage(
            name=name,
            why=why,
            settings=project,
            inputs=inputs,
            outputs=[CHECKPOINT, "run.json"],
            work=lambda _: trainer.train(project, self.display),
        )

    def _card(self, name: str) -> Path:
        return self.base / name / CHECKPOINT


def model_files(folder: Path) -> list[Path]:
    """The files that tell a model from another one.

    A checkpoint's card has the hash of every other file.
    """
    card = folder / "checkpoint.json"
    if card.is_file():
        return [card]
    kinds = ("*.json", "*.jinja", "*.safetensors")
    return sorted(file for kind in kinds for file in folder.glob(kind))
