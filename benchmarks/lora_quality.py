"""PPO as adapters on one trunk against PPO of all weights, on one quickstart.

    python -m heedful quickstart --set run.dir=runs/full
    python benchmarks/lora_quality.py runs/full runs/lora

Data, SFT, PPO's start and rankings of the first run serve both. Reward model, PPO and PPO-ptx
are trained anew with adapters, at the larger learning rates that adapters want, and evaluated on
the same prompts with the same noise by the same held-out labellers. What is complete is not made
again. All labels are simulated.
"""

import argparse
import sys
from pathlib import Path

from heedful.annotators.simulated import simulated_team
from heedful.core.jsonl import read_records, write_text_atomic
from heedful.core.records import Completion, EvalResult, Prompt
from heedful.core.run import read_card
from heedful.evaluation.win_rates import compare, win_rate
from heedful.pipeline.quickstart import quickstart_stages
from heedful.pipeline.quickstart_settings import load_quickstart
from heedful.pipeline.stages import Pipeline
from heedful.training.display import Display

SHARED = ("data", "sft", "ppo_init", "rankings")
ADAPTERS = (
    "model.lora_rank=16",
    "ppo.shared_trunk=true",
    "reward.learning_rate=4e-4",
    "ppo.learning_rate=5e-4",
    "ppo.value_learning_rate=1e-3",
)
STAGES = ("reward", "ppo", "ppo_ptx")
POLICIES = {"ppo": "PPO", "ppo_ptx": "PPO-ptx"}


def main() -> None:
    """Train what is missing, then write `comparison.md` into the second run and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("full", type=Path, help="a quickstart of all weights")
    parser.add_argument("lora", type=Path, help="where adapters are trained")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    full, lora = arguments.full.resolve(), arguments.lora.resolve()
    lora.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        if not (lora / name).exists():
            (lora / name).symlink_to(full / name, target_is_directory=True)
    display = Display()
    config = load_quickstart([], [*ADAPTERS, *arguments.overrides, f"run.dir={lora}"])
    stages = [s for s in quickstart_stages(config, display) if s.name in (*STAGES, "evaluation")]
    pipeline = Pipeline(lora, display)
    for number, stage in enumerate(stages, start=1):
        pipeline.run(stage, number=number, total=len(stages))
    table = comparison(full, lora)
    write_text_atomic(lora / "comparison.md", table)
    sys.stdout.write(table)


def comparison(full: Path, lora: Path) -> str:
    """What came of both, as Markdown."""
    rows = [["", "all weights", "adapters, one trunk"], ["---"] * 3]
    results = [_results(folder) for folder in (full, lora)]
    for name, label in POLICIES.items():
        found = [each[name, "win_rate_vs_sft", "win_rate"] for each in results]
        rows.append([f"{label}, win rate against SFT", *map(_share, found)])
        likert = [each[name, "likert", "quality"].value for each in results]
        rows.append([f"{label}, Likert", *(f"{value:.2f}" for value in likert)])
        losses = [each[name, "pretraining", "loss"].value for each in results]
        rows.append([f"{label}, pretraining loss", *(f"{loss:.3f}" for loss in losses)])
        rows.append([f"{label}, adapters against all weights", "", _share(_duel(full, lora, name))])
    for name in STAGES:
        costs = [read_card(folder / name).cost for folder in (full, lora)]
        peaks = [f"{cost.peak_memory_bytes / 1e9:.1f} GB" for cost in costs]
        rows.append([f"{name}, peak memory", *peaks])
        rows.append([f"{name}, minutes", *(f"{cost.seconds / 60:.1f}" for cost in costs)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _results(folder: Path) -> dict[tuple[str, str, str], EvalResult]:
    records = read_records(folder / "evaluation" / "results.jsonl", EvalResult)
    return {(found.checkpoint_id, found.task, found.metric): found for found in records}


def _duel(full: Path, lora: Path, name: str) -> EvalResult:
    """How often held-out labellers prefer what the adapters wrote."""
    ours, theirs = (
        {
            found.prompt_id: found.model_copy(
                update={"id": f"{side}:{found.id}", "checkpoint_id": f"{side}:{name}"}
            )
            for found in read_records(folder / "evaluation" / "completions.jsonl", Completion)
            if found.checkpoint_id == name
        }
        for side, folder in (("lora", lora), ("full", full))
    )
    prompts = [p for p in read_records(full / "data" / "prompts.jsonl", Prompt) if p.id in ours]
    team = [labeller for labeller in simulated_team() if labeller.held_out]
    return win_rate(compare(team, prompts, ours, theirs), checkpoint_id=f"lora:{name}")


def _share(found: EvalResult) -> str:
    return f"{found.value:.1%} ({found.ci_low:.1%} to {found.ci_high:.1%})"


if __name__ == "__main__":
    main()
