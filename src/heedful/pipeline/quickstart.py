"""The whole method in miniature: demonstrations, rankings, reward model, PPO, PPO-ptx.

This module says what the stages are and how they hang together; each stage's work is a
trainer, or a function of `quickstart_stages`. Every label in it is simulated.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from heedful.core.jsonl import write_json_atomic
from heedful.core.settings import DataSettings, Project, RunSettings
from heedful.models.catalogue import CATALOGUE, get_model
from heedful.models.loading import find_model
from heedful.pipeline import quickstart_stages as work
from heedful.pipeline.quickstart_settings import Quickstart
from heedful.pipeline.stages import Pipeline, Stage
from heedful.reports.page import build_report
from heedful.training import ppo, reward, sft
from heedful.training.display import Display

DATA_FILES = (
    "prompts.jsonl",
    "demonstrations.jsonl",
    "pretraining_train.jsonl",
    "pretraining_validation.jsonl",
    "split.json",
)
CHECKPOINT = "checkpoint/checkpoint.json"


def run(config: Quickstart, display: Display) -> Path:
    """Run what is not up to date; returns the report's path.

    Raises:
        HeedfulError: Something a person can put right.
        Interrupted: Ctrl-C; the same call goes on where it stopped.
    """
    if config.model.name in CATALOGUE:
        get_model(config.model.name, display.say)
    stages = quickstart_stages(config, display)
    pipeline = Pipeline(config.run.dir, display)
    for number, stage in enumerate(stages, start=1):
        pipeline.run(stage, number=number, total=len(stages))
        summary = {
            "seed": config.run.seed,
            "simulated": True,
            "stages": [asdict(report) for report in pipeline.reports],
            "sizes": config.sizes.model_dump(),
        }
        write_json_atomic(config.run.dir / "quickstart.json", summary)
    report = build_report(config.run.dir, config.run.dir / "report.html")
    work.say_results(config.run.dir, pipeline.reports, display)
    return report


def quickstart_stages(config: Quickstart, display: Display) -> list[Stage]:
    """All stages in order; an input of a stage is an output of an earlier one."""
    base = config.run.dir
    model_config = find_model(config.model.name).path / "config.json"
    data = [base / "data" / name for name in DATA_FILES[:4]]
    prompts, demonstrations, pretraining, _ = data
    sft_card, init_card = (base / name / CHECKPOINT for name in ("sft", "ppo_init"))
    reward_card = base / "reward" / CHECKPOINT
    ranking_files = ("prompts.jsonl", "completions.jsonl", "rankings.jsonl")
    rankings = [base / "rankings" / name for name in ranking_files]
    evaluated = {name: base / name / CHECKPOINT for name in ("ppo", "ppo_ptx")}

    def training(name: str, why: str, inputs: list[Path], trainer: Any, **sections: Any) -> Stage:
        project = _project(config, name, **sections)
        return Stage(
            name=name,
            why=why,
            settings=project,
            inputs=[model_config, *inputs],
            outputs=[CHECKPOINT, "run.json"],
            work=lambda _: trainer.train(project, display),
        )

    labels = DataSettings(demonstrations=base / "data", pretraining=pretraining)
    ranked = DataSettings(rankings=base / "rankings", demonstrations=base / "data")
    asked = DataSettings(prompts=prompts, pretraining=pretraining)
    at = {name: str(base / name) for name in ("sft", "ppo_init", "reward")}
    ppo_settings = config.ppo.model_copy(update={"init": at["ppo_init"], "reward": at["reward"]})
    ptx_settings = ppo_settings.model_copy(update=config.ppo_ptx.model_dump())
    ppo_inputs = [prompts, init_card, reward_card]
    return [
        Stage(
            name="data",
            why="Split the embedded prompts by organisation, so that nobody is on both sides.",
            settings={"model": config.model.name},
            inputs=[],
            outputs=DATA_FILES,
            work=lambda folder: work.write_data(folder, display),
        ),
        training(
            "sft",
            "Fine-tune on demonstrations: the baseline that PPO has to beat.",
            [prompts, demonstrations],
            sft,
            sft=config.sft,
            data=labels,
        ),
        training(
            "ppo_init",
            "Fine-tune briefly, with a tenth of pretraining text: where PPO starts.",
            [prompts, demonstrations, pretraining],
            sft,
            sft=config.ppo_init.model_copy(update={"kind": "ppo_init"}),
            data=labels,
        ),
        Stage(
            name="rankings",
            why="Sample K completions per prompt from three models; the simulated team ranks them.",
            settings=config.sampling_stage(),
            inputs=[prompts, sft_card, init_card, model_config],
            outputs=[*ranking_files, "run.json"],
            work=lambda folder: work.collect_rankings(folder, config, prompts, display),
        ),
        training(
            "reward",
            "Learn to predict the rankings, and to score demonstrations 0 on average.",
            [*rankings, sft_card, demonstrations],
            reward,
            reward=config.reward,
            data=ranked,
            model=config.model.model_copy(update={"name": at["sft"]}),
        ),
        training(
            "ppo", "Optimise the policy against the reward model.", ppo_inputs, ppo, ppo=ppo_settings, data=asked
        ),
        training(
            "ppo_ptx",
            "The same with pretraining gradients, so that less is forgotten.",
            [*ppo_inputs, pretraining],
            ppo,
            ppo=ptx_settings,
            data=asked,
        ),
        Stage(
            name="evaluation",
            why="Held-out simulated labellers compare the models on prompts of held-out users.",
            settings=config.sampling_stage(),
            inputs=[*data, sft_card, init_card, reward_card, *evaluated.values(), model_config],
            outputs=[
                "completions.jsonl",
                "verdicts.jsonl",
                "ratings.jsonl",
                "results.jsonl",
                "scores.jsonl",
                "run.json",
            ],
            work=lambda folder: work.evaluate(folder, config, display),
        ),
    ]


def _project(config: Quickstart, name: str, **sections: Any) -> Project:
    """The project file of one training stage."""
    run_settings = RunSettings(
        dir=config.run.dir / name, seed=config.run.seed, threads=config.run.threads
    )
    return Project(**{"run": run_settings, "model": config.model, "format": config.format, **sections})
