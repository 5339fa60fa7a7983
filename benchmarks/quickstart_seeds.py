"""Runs the quickstart with several seeds and pools what the held-out labellers said.

    python benchmarks/quickstart_seeds.py runs/seeds --seeds 0 1 2 3 4 --jobs 2 --threads 1

Every seed is listed, whatever it gave. A seed whose run is complete is not run again, so
the table can be made anew at any time. All labels are simulated.
"""

import argparse
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from heedful.core.jsonl import read_records, write_text_atomic
from heedful.core.records import EvalResult
from heedful.core.run import read_card
from heedful.evaluation.win_rates import Verdict, pooled_win_rate
from heedful.pipeline.quickstart_evaluation import MODELS


def main() -> None:
    """Run what is missing, then write `seeds.md` beside the runs and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=1, help="seeds that run at the same time")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of each")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    runs = {seed: arguments.folder / f"seed-{seed}" for seed in arguments.seeds}

    def run(seed: int) -> int:
        folder = runs[seed]
        folder.mkdir(parents=True, exist_ok=True)
        settings = [f"run.dir={folder}", f"run.seed={seed}", f"run.threads={arguments.threads}"]
        command = [sys.executable, "-m", "heedful", "quickstart"]
        command += [part for text in [*settings, *arguments.overrides] for part in ("--set", text)]
        with (arguments.folder / f"seed-{seed}.log").open("w") as log:
            return subprocess.run(command, stdout=log, stderr=log, check=False).returncode

    with ThreadPoolExecutor(arguments.jobs) as pool:
        failed = [seed for seed, code in zip(runs, pool.map(run, runs), strict=True) if code]
    table = seed_table({seed: folder for seed, folder in runs.items() if seed not in failed})
    if failed:
        table += f"\nFailed (see the logs): {failed}\n"
    write_text_atomic(arguments.folder / "seeds.md", table)
    sys.stdout.write(table)


def seed_table(runs: dict[int, Path]) -> str:
    """Win rates by seed and pooled, pretraining losses, and minutes, as Markdown."""
    results = {
        seed: {
            (found.checkpoint_id, found.task, found.metric): found
            for found in read_records(folder / "evaluation" / "results.jsonl", EvalResult)
        }
        for seed, folder in runs.items()
    }
    verdicts = {
        seed: read_records(folder / "evaluation" / "verdicts.jsonl", Verdict)
        for seed, folder in runs.items()
    }
    names = [name for name in MODELS if name != "sft"]
    labels = [MODELS[name] for name in names]
    header = ["seed", *labels, "pretraining loss PPO / PPO-ptx", "minutes"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for seed, found in results.items():
        wins = [f"{found[name, 'win_rate_vs_sft', 'win_rate'].value:.1%}" for name in names]
        losses = [found[name, "pretraining", "loss"].value for name in ("ppo", "ppo_ptx")]
        minutes = _minutes(runs[seed])
        row = [str(seed), *wins, " / ".join(f"{loss:.3f}" for loss in losses), f"{minutes:.0f}"]
        lines.append("| " + " | ".join(row) + " |")
    pooled = []
    for name in names:
        by_seed = {
            seed: [verdict for verdict in found if verdict.candidate == name]
            for seed, found in verdicts.items()
        }
        result = pooled_win_rate(by_seed, checkpoint_id=name)
        pooled.append(f"**{result.value:.1%}** ({result.ci_low:.1%} to {result.ci_high:.1%})")
    gaps = [
        found["ppo", "pretraining", "loss"].value - found["ppo_ptx", "pretraining", "loss"].value
        for found in results.values()
    ]
    spread = f" ± {statistics.stdev(gaps):.3f} (sd)" if len(gaps) > 1 else ""
    kept = f"PPO - PPO-ptx: {statistics.fmean(gaps):+.3f}{spread}"
    lines.append("| " + " | ".join(["pooled", *pooled, kept, ""]) + " |")
    return "\n".join(lines) + "\n"


def _minutes(folder: Path) -> float:
    cards = [read_card(path.parent) for path in folder.glob("*/run.json")]
    return sum(card.cost.seconds for card in cards) / 60


if __name__ == "__main__":
    main()
