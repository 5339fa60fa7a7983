"""The quickstart's last stage: every model on the prompts of held-out users.

Held-out simulated labellers compare and rate; the reward model scores; held-out text
tells what was forgotten. All of it is marked simulated.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich import box
from rich.table import Table

from heedful.annotators.simulated import simulated_team
from heedful.core.jsonl import read_records, write_records
from heedful.core.records import Completion, EvalResult, FinishReason, Prompt, Rating
from heedful.core.statistics import bootstrap_interval
from heedful.data.embedded_data import FEW_SHOT_PREFIX
from heedful.evaluation.win_rates import Verdict, compare, likert, summarise_ratings, win_rate
from heedful.generation.language_model import LanguageModel
from heedful.models.loading import num_matrix_parameters, trunk_of
from heedful.pipeline.quickstart_sampling import Sampling
from heedful.pipeline.quickstart_settings import Quickstart
from heedful.training.batches import Batcher
from heedful.training.display import Display
from heedful.training.examples import read_pretraining
from heedful.training.language import language_loss
from heedful.training.scoring import RewardModel

MODELS = {
    "start": "start model",
    "start_few_shot": "start model, few-shot prefix",
    "sft": "SFT",
    "ppo_init": "PPO's start",
    "ppo": "PPO",
    "ppo_ptx": "PPO-ptx",
}
OUTPUTS = (
    "completions.jsonl",
    "verdicts.jsonl",
    "ratings.jsonl",
    "scores.jsonl",
    "results.jsonl",
    "run.json",
)
_PRETRAINING_TOKENS = 128

# Model -> prompt id -> its completion.
Completions = Mapping[str, Mapping[str, Completion]]


class Score(BaseModel):
    """The reward model's score of one held-out completion."""

    model_config = ConfigDict(frozen=True)

    model: str
    prompt_id: str
    user_id: str
    score: float
    num_tokens: int | None
    finish_reason: FinishReason | None


def evaluate(folder: Path, config: Quickstart, display: Display) -> None:
    """Win rate against SFT, Likert and flags, score, and pretraining loss of every model."""
    prompts = _held_out_prompts(config)
    with Sampling.start(folder, "evaluation", config, display) as sampling:
        completions, results = _sample_all(sampling, prompts)
        verdicts, ratings, judged = _judge(prompts, completions, config.run.seed)
        scores = _score(sampling, prompts, completions)
        results += judged + _score_results(scores, config.run.seed)
        flat = [found for by_prompt in completions.values() for found in by_prompt.values()]
        written: tuple[Sequence[BaseModel], ...] = (flat, verdicts, ratings, scores, results)
        for name, records in zip(OUTPUTS, written, strict=False):
            write_records(folder / name, records)


def _held_out_prompts(config: Quickstart) -> list[Prompt]:
    """Of the test split, the same ones for every seed."""
    prompts = read_records(config.run.dir / "data" / "prompts.jsonl", Prompt)
    held_out = [prompt for prompt in prompts if prompt.split == "test"]
    random.Random(0).shuffle(held_out)
    return held_out[: config.sizes.test_prompts]


def _sample_all(
    sampling: Sampling, prompts: Sequence[Prompt]
) -> tuple[dict[str, dict[str, Completion]], list[EvalResult]]:
    """One completion of every prompt by every model, and each model's pretraining loss."""
    config = sampling.config
    completions: dict[str, dict[str, Completion]] = {}
    losses: list[EvalResult] = []

    def ask(language: LanguageModel, name: str, asked: Sequence[Prompt]) -> None:
        rows = sampling.complete(language, asked, name, seed=config.run.seed + 13)
        completions[name] = {row[0].prompt_id: row[0] for row in rows}

    for name in MODELS:
        if name == "start_few_shot":
            continue
        language = sampling.open(
            config.model.name if name == "start" else str(config.run.dir / name)
        )
        losses.append(_pretraining_loss(sampling, language, name))
        ask(language, name, prompts)
        if name == "start":
            ask(language, "start_few_shot", [_with_prefix(prompt) for prompt in prompts])
    return completions, losses


def _with_prefix(prompt: Prompt) -> Prompt:
    return prompt.model_copy(update={"examples": FEW_SHOT_PREFIX + prompt.examples})


def _judge(
    prompts: Sequence[Prompt], completions: Completions, seed: int
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


def _score(sampling: Sampling, prompts: Sequence[Prompt], completions: Completions) -> list[Score]:
    """The reward model on every completion, read after the prompt without any prefix.

    All models' completions at once, so that a prompt is read once for all of them.
    """
    reward_model = RewardModel.open(
        str(sampling.config.run.dir / "reward"), sampling.device, sampling.dtype
    )
    asked = [
        (name, prompt, by_prompt[prompt.id])
        for name, by_prompt in completions.items()
        for prompt in prompts
    ]
    values = reward_model.score_completions(
        [prompt for _, prompt, _ in asked], [found for _, _, found in asked]
    )
    tokens = sum(found.num_tokens or 0 for _, _, found in asked)
    sampling.directory.card.cost.add_tokens(reward_model.num_parameters, scored=tokens)
    return [
        Score(
            model=name,
            prompt_id=prompt.id,
            user_id=prompt.user_id,
            score=round(value, 5),
            num_tokens=found.num_tokens,
            finish_reason=found.finish_reason,
        )
        for (name, prompt, found), value in zip(asked, values, strict=True)
    ]


def _score_results(scores: Sequence[Score], seed: int) -> list[EvalResult]:
    """Mean scores with intervals over users."""
    results = []
    for name in dict.fromkeys(score.model for score in scores):
        mine = [score for score in scores if score.model == name]
        mean = bootstrap_interval(
            [score.score for score in mine], clusters=[score.user_id for score in mine]
        )
        results.append(
            EvalResult(
                task="score",
                metric="score",
                value=mean.value,
                ci_low=mean.low,
                ci_high=mean.high,
                num_examples=len(mine),
                checkpoint_id=name,
                seed=seed,
                made_by="model",
            )
        )
    return results


def _pretraining_loss(sampling: Sampling, language: LanguageModel, name: str) -> EvalResult:
    """Mean loss on held-out pretraining text, nats per token."""
    config = sampling.config
    path = config.run.dir / "data" / "pretraining_validation.jsonl"
    pairs = read_pretraining(path, language.tokenizer, _PRETRAINING_TOKENS)
    loss = language_loss(
        language.model,
        pairs,
        Batcher(
            trunk_of(language.model),
            pad_id=language.tokenizer.pad_id,
            device=sampling.device,
            max_tokens=config.model.max_microbatch,
        ),
        cost=sampling.directory.card.cost,
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


def results_table(folder: Path) -> Table:
    """The miniature of the paper's Figure 1, as text of at most 80 columns."""
    results = read_records(folder / "results.jsonl", EvalResult)
    found = {(r.checkpoint_id, r.task, r.metric): r for r in results}
    table = Table(
        title="Win rate against SFT on prompts of held-out users (SIMULATED labellers)",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        title_justify="left",
    )
    for column in ("model", "win rate", "95 % interval", "Likert", "text loss"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for name, label in MODELS.items():
        win = found.get((name, "win_rate_vs_sft", "win_rate"))
        bounds = ""
        if win is not None and win.ci_low is not None and win.ci_high is not None:
            bounds = f"{100 * win.ci_low:.1f} to {100 * win.ci_high:.1f} %"
        table.add_row(
            label,
            "(itself)" if win is None else f"{100 * win.value:.1f} %",
            bounds,
            f"{found[name, 'likert', 'quality'].value:.2f}",
            f"{found[name, 'pretraining', 'loss'].value:.3f}"
            if (name, "pretraining", "loss") in found
            else "",
        )
    return table
