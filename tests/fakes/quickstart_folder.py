"""Writes a small folder like the quickstart's: real records, made-up numbers."""

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from heedful.core.jsonl import write_json_atomic, write_records
from heedful.core.records import (
    Completion,
    Demonstration,
    EvalResult,
    Example,
    Prompt,
    Ranking,
    RatingFlags,
    Turn,
    UseCase,
)
from heedful.core.run import Cost, RunCard, RunInput
from heedful.core.settings import Project, RunSettings

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
QUALITIES = {
    "start": 2.1,
    "start_few_shot": 2.9,
    "sft": 4.0,
    "ppo_init": 3.8,
    "ppo": 4.5,
    "ppo_ptx": 4.9,
}
USE_CASES: tuple[UseCase, ...] = (
    "generation",
    "open_qa",
    "brainstorming",
    "chat",
    "summarisation",
    "extract",
)
# What a page must never take for its own.
HOSTILE = "</div><script>alert('x')</script><img src=http://example.org/x.png> & $x$ \u202edrawkcab"
NUM_PROMPTS = 18
STAGES = ("ppo_init", "sft", "rankings", "reward", "ppo", "ppo_ptx", "evaluation")


def write_quickstart_folder(folder: Path) -> Path:
    """Everything that the quickstart writes and the report reads."""
    stages = [
        {"name": name, "why": why, "status": "done", "seconds": seconds}
        for name, why, seconds in (
            ("split", "Whole users are held out, so that no prompt's twin is in both.", 0.4),
            ("sft", "The model learns the form of an answer from demonstrations.", 141.0),
            ("rankings", "The simulated team ranks completions of several checkpoints.", 12.5),
            ("reward", "A model learns to score like the team.", 95.0),
            ("ppo_ptx", "The policy seeks score and keeps its language.", 402.0),
        )
    ]
    write_json_atomic(
        folder / "quickstart.json",
        {"seed": 0, "simulated": True, "stages": stages, "sizes": {"prompts": {"train": 340}}},
    )
    write_json_atomic(
        folder / "data" / "split.json", {"users": {"train": 42, "test": 18}, "dropped": 0}
    )
    write_sft_run(folder / "sft", "sft")
    write_sft_run(folder / "ppo_init", "ppo_init")
    write_reward_run(folder / "reward")
    write_ppo_run(folder / "ppo", ptx=False)
    write_ppo_run(folder / "ppo_ptx", ptx=True)
    write_card(folder / "rankings", "rankings", minutes=1)
    write_card(folder / "evaluation", "evaluation", minutes=1)
    write_labels(folder)
    write_evaluation(folder)
    return folder


def write_card(folder: Path, kind: str, *, minutes: int, simulated: bool = True) -> None:
    """`run.json` and `config.json` of a finished run."""
    started = START + timedelta(minutes=10 * STAGES.index(folder.name))
    settings = Project(run=RunSettings(dir=Path("runs") / folder.name))
    card = RunCard(
        kind=kind,
        status="finished",
        seed=0,
        config_hash="5f0c1d2e3a4b5c6d",
        started_at=started,
        finished_at=started + timedelta(minutes=minutes),
        git_revision="7e77cb7aa001",
        versions={"python": "3.11.9", "heedful": "0.1.0", "torch": "2.13.0"},
        hardware={"processor": "Example CPU", "cores": "2", "memory_gib": "16.0"},
        inputs={"prompts": RunInput(path=str(folder.parent / "data/p.jsonl"), sha256="ab" * 32)},
        parents={"init": "sft-0123456789abcdef"},
        simulated=simulated,
        cost=Cost(
            seconds=minutes * 60.0,
            generated_tokens=120_000 if kind == "ppo" else 0,
            scored_tokens=240_000,
            trained_tokens=1_350_000,
            flops=1.2e15 * minutes,
            peak_memory_bytes=2_400_000_000,
        ),
        notes=["3 over-long prompts were cut at whole lines."],
    )
    write_json_atomic(folder / "run.json", card.model_dump(mode="json"))
    write_json_atomic(folder / "config.json", settings.model_dump(mode="json"))


def write_sft_run(folder: Path, kind: str) -> None:
    """A loss that falls, and a validation loss that turns."""
    write_card(folder, kind, minutes=3)
    noise = random.Random(kind)
    steps = 90 if kind == "sft" else 30
    rows: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        loss = 1.1 + 1.4 * 0.95**step + noise.gauss(0, 0.05)
        rows.append({"step": step, "language/loss": loss, "optim/learning_rate": 1e-5})
        if step % 15 == 0:
            rows[-1]["validation/loss"] = 1.35 + 1.1 * 0.94**step + step * 0.001
    write_rows(folder / "metrics.jsonl", rows)


def write_reward_run(folder: Path) -> None:
    """Better than length, a little too sure of itself."""
    write_card(folder, "reward", minutes=2)
    noise = random.Random("reward")
    rows = [
        {
            "step": step,
            "reward/loss": 0.45 + 0.25 * 0.93**step + noise.gauss(0, 0.03),
            "reward/accuracy": 0.74 - 0.22 * 0.93**step + noise.gauss(0, 0.03),
        }
        for step in range(1, 41)
    ]
    write_rows(folder / "metrics.jsonl", rows)
    bins = [
        {
            "low": n / 10,
            "high": (n + 1) / 10,
            "count": 30 + 8 * abs(n - 5),
            "mean_probability": n / 10 + 0.05,
            "accuracy": 0.5 + 0.75 * (n / 10 + 0.05 - 0.5),
        }
        for n in range(10)
    ]
    write_json_atomic(folder / "calibration.json", {"bins": bins, "error": 0.06})
    numbers = {"accuracy": 0.684, "length_accuracy": 0.571, "log_loss": 0.592}
    write_records(
        folder / "results.jsonl",
        [
            result("reward_model", metric, value, 0.03, "reward-1")
            for metric, value in numbers.items()
        ]
        + [result("reward_model", "calibration_error", 0.06, None, "reward-1")],
    )
    write_rows(
        folder / "scores.jsonl",
        [
            {"source": source, "score": noise.gauss(mean, 0.8)}
            for source, mean in (("demonstration", 0.0), ("sft", -0.4), ("start", -1.6))
            for _ in range(80)
        ],
    )


def write_ppo_run(folder: Path, *, ptx: bool) -> None:
    """A score that rises while KL grows."""
    write_card(folder, "ppo", minutes=7)
    noise = random.Random(f"ppo {ptx}")
    rows: list[dict[str, Any]] = []
    for step in range(1, 51):
        rise = 1 - 0.93**step
        row: dict[str, Any] = {
            "step": step,
            "objective/score": -0.5 + (1.3 if ptx else 1.2) * rise + noise.gauss(0, 0.08),
            "objective/kl": (4.0 if ptx else 6.5) * rise + noise.gauss(0, 0.2),
            "objective/length": 60 - 14 * rise + noise.gauss(0, 2),
            "objective/eos_rate": min(1.0, 0.7 + 0.28 * rise + noise.gauss(0, 0.02)),
            "objective/entropy": 2.1 - 0.7 * rise + noise.gauss(0, 0.04),
            "value/explained_variance": None if step == 1 else 0.6 * rise,
            "policy/clipfrac": 0.05 + noise.random() * 0.04,
        }
        if ptx:
            row["ptx/loss"] = 3.1 + noise.gauss(0, 0.05)
        if step % 10 == 0:
            row |= {"validation/score": -0.45 + 1.1 * rise, "validation/kl": 3.8 * rise}
        rows.append(row)
    write_rows(folder / "metrics.jsonl", rows)
    write_rows(
        folder / "samples.jsonl",
        [
            {
                "step": step,
                "prompt_id": f"p{n}",
                "prompt": f"Name {n + 2} uses of a paper clip.",
                "completion": f"It holds paper. (step {step}) {HOSTILE}",
                "score": step / 50 - 0.4,
                "finish_reason": "stop",
            }
            for step in (0, 25, 50)
            for n in range(3)
        ],
    )


def write_labels(folder: Path) -> None:
    """Prompts, demonstrations and rankings."""
    write_records(folder / "data" / "prompts.jsonl", [prompt(n) for n in range(NUM_PROMPTS)])
    write_records(
        folder / "data" / "demonstrations.jsonl",
        [
            Demonstration(
                id=f"d{n}", prompt_id=f"p{n}", text="An answer.", labeller_id="a", made_by="person"
            )
            for n in range(4)
        ],
    )
    write_records(
        folder / "rankings" / "rankings.jsonl",
        [
            Ranking(
                id=f"r{n}",
                prompt_id=f"p{n}",
                completion_ids=("a", "b", "c", "d"),
                ranks=(1, 2, 2, 4),
                labeller_id="simulated-1",
                made_by="simulated",
            )
            for n in range(6)
        ],
    )


def write_evaluation(folder: Path) -> None:
    """Completions, scores, verdicts and results of every model."""
    target, noise = folder / "evaluation", random.Random("evaluation")
    completions, scores, verdicts, results = [], [], [], []
    for model, quality in QUALITIES.items():
        for n in range(NUM_PROMPTS):
            text = f"{model} answers prompt {n}. " + "It says a little more. " * (n % 5)
            completions.append(
                Completion(
                    id=f"{model}-{n}",
                    prompt_id=f"p{n}",
                    text=HOSTILE if (model, n) == ("ppo", 0) else text,
                    checkpoint_id=model,
                    finish_reason="stop",
                    num_tokens=len(text.split()),
                )
            )
            scores.append(
                {
                    "model": model,
                    "prompt_id": f"p{n}",
                    "score": quality - 4.2 + noise.gauss(0, 0.7),
                    "num_tokens": 20 + n,
                    "finish_reason": "stop" if n % 4 else "length",
                }
            )
            verdicts += [
                {
                    "prompt_id": f"p{n}",
                    "user_id": f"u{n % 6}",
                    "labeller_id": f"l{labeller}",
                    "candidate": model,
                    "baseline": "sft",
                    "outcome": noise.choice((0.0, 0.5, 1.0)),
                    "made_by": "simulated",
                }
                for labeller in range(3)
                if model not in ("sft", "ppo_init")
            ]
        results += model_results(model, quality)
    write_records(target / "completions.jsonl", completions)
    write_rows(target / "scores.jsonl", scores)
    write_rows(target / "verdicts.jsonl", verdicts)
    write_records(target / "results.jsonl", results)


def model_results(model: str, quality: float) -> list[EvalResult]:
    """What the evaluation says of one model."""
    found = [result("likert", "quality", quality, 0.3, model)]
    if model not in ("sft", "ppo_init"):
        found.append(result("win_rate_vs_sft", "win_rate", 0.12 * quality + 0.02, 0.06, model))
    loss = {"start": 2.92, "start_few_shot": 2.92, "ppo": 3.21}.get(model, 2.99)
    if model != "start_few_shot":
        found.append(result("pretraining", "loss", loss, 0.02, model, made_by=None))
    found.append(result("score", "score", quality - 4.2, 0.2, model))
    for place, flag in enumerate(RatingFlags.model_fields):
        found.append(
            result("likert", flag, max(0.06, 0.5 - quality / 12 - place / 40), 0.05, model)
        )
    return found


def result(
    task: str,
    metric: str,
    value: float,
    half_width: float | None,
    model: str,
    *,
    made_by: Any = "simulated",
) -> EvalResult:
    return EvalResult(
        task=task,
        metric=metric,
        value=value,
        ci_low=None if half_width is None else round(value - half_width, 6),
        ci_high=None if half_width is None else round(value + half_width, 6),
        num_examples=160,
        checkpoint_id=model,
        seed=0,
        made_by=made_by,
    )


def prompt(n: int) -> Prompt:
    """Prompt `p{n}`; some have a context, earlier turns, an example."""
    return Prompt(
        id=f"p{n}",
        text_hash=f"{n}",
        instruction=f"Prompt {n}: "
        + ("explain tides. " * (1 + n % 3))
        + (HOSTILE if n == 1 else ""),
        context="The moon pulls.\nThe sea follows." if n % 4 == 1 else None,
        turns=(Turn(role="user", text="Hello."),) if n % 4 == 2 else (),
        examples=(Example(prompt="Say hi.", completion="hi"),) if n % 4 == 3 else (),
        source="embedded",
        use_case=USE_CASES[n % len(USE_CASES)],
        user_id=f"u{n % 6}",
        consent=True,
    )


def write_rows(path: Path, rows: Iterable[dict[str, Any] | BaseModel]) -> None:
    """Plain rows as JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
