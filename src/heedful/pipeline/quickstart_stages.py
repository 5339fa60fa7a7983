"""The quickstart's own stages: data, rankings by the simulated team, evaluation.

All labels made here are simulated, and say so. Models are opened one at a time.
"""

import random
from dataclasses import asdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from heedful.annotators.simulated import simulated_team
from heedful.core.jsonl import read_records, write_json_atomic, write_records
from heedful.core.records import (
    Completion,
    EvalResult,
    Prompt,
    Ranking,
    Rating,
    SamplingParameters,
)
from heedful.core.run import RunDirectory
from heedful.core.settings import RunSettings
from heedful.data.embedded_data import (
    FEW_SHOT_PREFIX,
    embedded_demonstrations,
    embedded_prompts,
    pretraining_texts,
)
from heedful.data.split import split_by_organisation
from heedful.evaluation.win_rates import Verdict, compare, likert, summarise_ratings, win_rate
from heedful.generation.language_model import LanguageModel
from heedful.models.loading import num_matrix_parameters
from heedful.pipeline.quickstart_settings import Quickstart
from heedful.pipeline.stages import StageReport
from heedful.training.display import Display
from heedful.training.examples import read_pretraining
from heedful.training.language import language_loss
from heedful.training.loop import prepare
from heedful.training.scoring import RewardModel

MODELS = {
    "start": "start model",
    "start_few_shot": "start model, few-shot prefix",
    "sft": "SFT",
    "ppo_init": "PPO's start (2 epochs)",
    "ppo": "PPO",
    "ppo_ptx": "PPO-ptx",
}


class Text(BaseModel):
    """A pretraining document."""

    model_config = ConfigDict(frozen=True)

    text: str


def write_data(folder: Path, display: Display) -> None:
    """The embedded data, split by organisation. The split is frozen: no seed moves it."""
    prompts, report = split_by_organisation(embedded_prompts(), seed=0)
    write_records(folder / "prompts.jsonl", prompts)
    write_records(folder / "demonstrations.jsonl", embedded_demonstrations())
    for split in ("train", "validation"):
        texts = [Text(text=text) for text in pretraining_texts(split)]
        write_records(folder / f"pretraining_{split}.jsonl", texts)
    write_json_atomic(folder / "split.json", asdict(report))
    display.say(f"  {report.summary()}")


def collect_rankings(folder: Path, config: Quickstart, prompts_path: Path, display: Display) -> None:
    """K completions of several checkpoints for some prompts, ranked by the training team."""
    seed = config.run.seed
    noise = random.Random(seed)
    prompts = read_records(prompts_path, Prompt)
    train = [prompt for prompt in prompts if prompt.split == "train"]
    validation = [prompt for prompt in prompts if prompt.split == "validation"]
    noise.shuffle(train)
    chosen = train[: config.sizes.ranking_prompts] + validation
    counts = {
        prompt.id: noise.randint(config.sizes.min_completions, config.sizes.max_completions)
        for prompt in chosen
    }
    completions: dict[str, list[Completion]] = {prompt.id: [] for prompt in chosen}
    names = {"start": config.model.name} | {n: str(config.run.dir / n) for n in ("ppo_init", "sft")}
    with _run(folder, "rankings", config) as directory:
        for position, (name, source) in enumerate(names.items()):
            language = _open(config, source)
            for share in range(1, 4):
                asked = [
                    prompt for prompt in chosen if _share(counts[prompt.id], position) == share
                ]
                found = _complete(
                    language, asked, config, seed + 11, directory, display, name, num=share
                )
                for prompt, row in zip(asked, found, strict=True):
                    completions[prompt.id] += row
        rankings = _rank(chosen, completions, noise)
        write_records(folder / "prompts.jsonl", chosen)
        write_records(folder / "completions.jsonl", [c for row in completions.values() for c in row])
        write_records(folder / "rankings.jsonl", rankings)
    pairs = sum(len(ranking.comparisons()) for ranking in rankings)
    display.say(f"  {len(rankings)} simulated rankings, {pairs} strict comparisons.")


def _share(num_completions: int, position: int) -> int:
    """How many of a prompt's K completions the model at `position` of three writes."""
    return (num_completions + 2 - position) // 3


def _rank(
    prompts: Sequence[Prompt], completions: Mapping[str, list[Completion]], noise: random.Random
) -> list[Ranking]:
    """Each prompt by one labeller, as in the paper; the labeller never sees which model."""
    team = [labeller for labeller in simulated_team() if not labeller.held_out]
    rankings = []
    for prompt in prompts:
        shuffled = list(completions[prompt.id])
        noise.shuffle(shuffled)
        rankings.append(noise.choice(team).rank(prompt, shuffled))
    return rankings


def evaluate(folder: Path, config: Quickstart, display: Display) -> None:
    """Every model on the held-out prompts: win rate against SFT, Likert, score, text loss."""
    base, seed = config.run.dir, config.run.seed
    prompts = [p for p in read_records(base / "data" / "prompts.jsonl", Prompt) if p.split == "test"]
    random.Random(0).shuffle(prompts)
    prompts = prompts[: config.sizes.test_prompts]
    completions: dict[str, dict[str, Completion]] = {}
    results: list[EvalResult] = []
    with _run(folder, "evaluation", config) as directory:
        language: LanguageModel | None = None
        for name in MODELS:
            if name != "start_few_shot":
                source = config.model.name if name == "start" else str(base / name)
                language = _open(config, source)
                results.append(_pretraining_loss(language, name, config, directory))
            assert language is not None
            asked = prompts
            if name == "start_few_shot":
                asked = [p.model_copy(update={"examples": FEW_SHOT_PREFIX + p.examples}) for p in prompts]
            rows = _complete(language, asked, config, seed + 13, directory, display, name)
            completions[name] = {row[0].prompt_id: row[0] for row in rows}
        del language
        verdicts, ratings, judged = _judge(prompts, completions, seed)
        scores = _scores(prompts, completions, config, directory)
        results += judged + _score_results(scores, seed)
        flat = [found for by_prompt in completions.values() for found in by_prompt.values()]
        write_records(folder / "completions.jsonl", flat)
        write_records(folder / "verdicts.jsonl", verdicts)
        write_records(folder / "ratings.jsonl", ratings)
        write_records(folder / "scores.jsonl", scores)
        write_records(folder / "results.jsonl", results)


def _judge(
    prompts: Sequence[Prompt], completions: Mapping[str, dict[str, Completion]], seed: int
) -> tuple[list[Verdict], list[Rating], list[EvalResult]]:
    """The held-out labellers compare every model with SFT and rate every completion."""
    team = [labeller for labeller in simulated_team() if labeller.held_out]
    verdicts: list[Verdict] = []
    ratings: list[Rating] = []
    results: list[EvalResult] = []
    for name, found in completions.items():
        if name != "sft":
            compared = compare(team, prompts, found, completions["sft"], seed=seed)
            verdicts += compared
            results.append(win_rate(compared, checkpoint_id=name, seed=seed))
        rated = likert(team, prompts, found)
        ratings += rated
        results += summarise_ratings(rated, prompts, checkpoint_id=name, seed=seed)
    return verdicts, ratings, results


class Score(BaseModel):
    """The reward model's score of one held-out completion."""

    model_config = ConfigDict(frozen=True)

    model: str
    prompt_id: str
    score: float
    num_tokens: int | None
    finish_reason: str | None


def _scores(
    prompts: Sequence[Prompt],
    completions: Mapping[str, dict[str, Completion]],
    config: Quickstart,
    directory: RunDirectory,
) -> list[Score]:
    device, dtype = prepare(_run_settings(config), config.model)
    judge = RewardModel.open(str(config.run.dir / "reward"), device, dtype)
    scores = []
    for name, by_prompt in completions.items():
        mine = [by_prompt[prompt.id] for prompt in prompts]
        found_scores = judge.score_completions(prompts, mine)
        for prompt, found, score in zip(prompts, mine, found_scores, strict=True):
            scores.append(
                Score(
                    model=name,
                    prompt_id=prompt.id,
                    score=round(score, 5),
                    num_tokens=found.num_tokens,
                    finish_reason=found.finish_reason,
                )
            )
            directory.card.cost.add_tokens(judge.num_parameters, scored=found.num_tokens or 0)
    return scores


def _score_results(scores: Sequence[Score], seed: int) -> list[EvalResult]:
    by_model: dict[str, list[float]] = {}
    for score in scores:
        by_model.setdefault(score.model, []).append(score.score)
    return [
        EvalResult(
            task="score",
            metric="score",
            value=sum(values) / len(values),
            num_examples=len(values),
            checkpoint_id=name,
            seed=seed,
            made_by="model",
        )
        for name, values in by_model.items()
    ]


def _pretraining_loss(
    language: LanguageModel, name: str, config: Quickstart, directory: RunDirectory
) -> EvalResult:
    """Mean loss on held-out pretraining text, nats per token."""
    path = config.run.dir / "data" / "pretraining_validation.jsonl"
    pairs = read_pretraining(path, language.tokenizer, 128)
    loss = language_loss(
        language.model,
        pairs,
        max_tokens=config.model.microbatch_tokens,
        pad_id=language.tokenizer.pad_id,
        device=next(language.model.parameters()).device,
        cost=directory.card.cost,
        num_parameters=num_matrix_parameters(language.model),
    )
    return EvalResult(
        task="pretraining",
        metric="loss",
        value=loss,
        num_examples=len(pairs),
        checkpoint_id=name,
        seed=config.run.seed,
    )


def say_results(base: Path, stages: Sequence[StageReport], display: Display) -> None:
    """The miniature of the paper's Figure 1, as text."""
    results = read_records(base / "evaluation" / "results.jsonl", EvalResult)
    found = {(r.checkpoint_id, r.task, r.metric): r for r in results}
    table = Table(title="Win rate against SFT on held-out users (SIMULATED labellers)")
    for column in ("model", "win rate", "95 % interval", "Likert 1-7", "pretraining loss"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, label in MODELS.items():
        win = found.get((name, "win_rate_vs_sft", "win_rate"))
        quality = found[name, "likert", "quality"].value
        loss = found.get((name, "pretraining", "loss"))
        table.add_row(
            label,
            f"{win.value:.1%}" if win else "50 % (itself)",
            f"{win.ci_low:.1%} to {win.ci_high:.1%}" if win and win.ci_low is not None else "",
            f"{quality:.2f}",
            f"{loss.value:.3f}" if loss else "",
        )
    display.console.print(table)
    seconds = sum(stage.seconds for stage in stages)
    display.say(f"All stages together: {seconds / 60:.1f} minutes.")


def _open(config: Quickstart, source: str) -> LanguageModel:
    device, dtype = prepare(_run_settings(config), config.model)
    return LanguageModel.open(source, format_settings=config.format, device=device, dtype=dtype)


def _complete(
    language: LanguageModel,
    prompts: Sequence[Prompt],
    config: Quickstart,
    seed: int,
    directory: RunDirectory,
    display: Display,
    name: str,
    *,
    num: int = 1,
) -> list[list[Completion]]:
    """Completions at temperature 1, the paper's; token counts go to the run's cost."""
    sampling = SamplingParameters(max_tokens=config.format.max_completion_tokens)
    total = len(prompts) * num
    with display.bar(f"sampling from {name}", total * sampling.max_tokens, unit="tokens") as bar:
        rows = language.complete(
            prompts,
            sampling,
            num_completions=num,
            seed=seed,
            checkpoint_id=name,
            on_progress=bar.advance,
        )
    tokens = sum(found.num_tokens or 0 for row in rows for found in row)
    directory.card.cost.add_tokens(num_matrix_parameters(language.model), generated=tokens)
    return rows


@contextmanager
def _run(folder: Path, kind: str, config: Quickstart) -> Iterator[RunDirectory]:
    with RunDirectory.start(folder, kind=kind, seed=config.run.seed, config=config.sampling_stage()) as directory:
        directory.card.simulated = True
        yield directory


def _run_settings(config: Quickstart) -> RunSettings:
    return RunSettings(dir=config.run.dir, seed=config.run.seed, threads=config.run.threads)
