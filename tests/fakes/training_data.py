"""Small training data with a pattern to learn, and settings that learn it in seconds."""

import json
from pathlib import Path
from typing import Any

from heedful.core.jsonl import write_records
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, text_hash
from heedful.core.settings import Project

WORDS = ("red", "blue", "green", "pink", "grey", "gold")
QUALITIES = ("good", "plain", "bad")  # best first


def make_prompt(number: int, *, split: str | None = "train") -> Prompt:
    instruction = f"say {WORDS[number % len(WORDS)]} {number}"
    return Prompt(
        id=f"prompt-{number}",
        text_hash=text_hash(instruction),
        instruction=instruction,
        source="test",
        user_id=f"user-{number}",
        split=split,  # type: ignore[arg-type]
        consent=True,
    )


def make_prompts(count: int) -> list[Prompt]:
    """Three quarters to train on, one to validate."""
    return [
        make_prompt(number, split="validation" if number % 4 == 3 else "train")
        for number in range(count)
    ]


def write_demonstrations(folder: Path, count: int = 16) -> Path:
    """A folder of prompts, and demonstrations that repeat the prompt's word."""
    prompts = make_prompts(count)
    demonstrations = [
        Demonstration(
            id=f"demonstration-{number}",
            prompt_id=prompt.id,
            text=WORDS[number % len(WORDS)],
            labeller_id="labeller-1",
            made_by="simulated",
        )
        for number, prompt in enumerate(prompts)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "prompts.jsonl", prompts)
    write_records(folder / "demonstrations.jsonl", demonstrations)
    return folder


def write_rankings(folder: Path, count: int = 16) -> Path:
    """A folder of rankings of three completions each, whose first word tells the rank."""
    prompts = make_prompts(count)
    completions, rankings = [], []
    for number, prompt in enumerate(prompts):
        order = [(number + place) % len(QUALITIES) for place in range(len(QUALITIES))]
        mine = [
            Completion(
                id=f"completion-{number}-{quality}",
                prompt_id=prompt.id,
                text=f"{QUALITIES[quality]} {WORDS[number % len(WORDS)]}",
                checkpoint_id="base",
                finish_reason="stop",
            )
            for quality in order
        ]
        completions += mine
        rankings.append(
            Ranking(
                id=f"ranking-{number}",
                prompt_id=prompt.id,
                completion_ids=tuple(completion.id for completion in mine),
                ranks=tuple(quality + 1 for quality in order),
                labeller_id="labeller-1",
                made_by="simulated",
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "prompts.jsonl", prompts)
    write_records(folder / "completions.jsonl", completions)
    write_records(folder / "rankings.jsonl", rankings)
    return folder


def write_texts(path: Path, count: int = 8) -> Path:
    """Pretraining text, one document a line."""
    rows = [
        {"text": f"{WORDS[n % len(WORDS)]} is a colour, and so are many more."}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_project(run_dir: Path, model_dir: Path, **sections: dict[str, Any]) -> Project:
    """A whole project for the tiny model, in float32 on one thread; `sections` win."""
    base: dict[str, dict[str, Any]] = {
        "run": {"dir": run_dir, "threads": 1},
        "model": {
            "name": str(model_dir),
            "device": "cpu",
            "compute_dtype": "float32",
            "microbatch_tokens": 256,
        },
        "format": {"template": "plain", "max_prompt_tokens": 64, "max_completion_tokens": 12},
        "sft": {"epochs": 4, "batch_size": 4, "learning_rate": 3e-3, "choose_by": "last"},
        "reward": {"epochs": 2, "batch_size": 4, "learning_rate": 3e-3},
        "ppo": {
            "episodes": 24,
            "rollout_batch_size": 8,
            "minibatch_size": 4,
            "learning_rate": 1e-3,
            "value_learning_rate": 1e-3,
        },
    }
    for name, values in sections.items():
        base[name] = base.get(name, {}) | values
    return Project.model_validate(base)
