"""What `--dry-run` predicts of a stage's memory and time, beside what the stage then takes.

Each setting runs in a process of its own, after a dry run that measures the machine where it
was not measured before; the run's card holds the prediction and what came true. Texts and
models are those of the comparison with the peers (benchmarks/speed/material.py).

    python benchmarks/memory_plan.py [--json plan.json] [--only sft] [--variant "LoRA, 512 tokens"]
        [--threads 2]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from heedful.core.run import read_card

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks" / "speed"))

from material import Material  # noqa: E402  beside this file, in no package

TOKENS = 64  # of a prompt, and of a completion
STAGES = ("sft", "reward", "ppo")
VARIANTS: dict[str, list[str]] = {
    "all weights, 2048 tokens": [],
    "all weights, 512 tokens": ["model.microbatch_tokens=512"],
    "LoRA, 2048 tokens": ["model.lora_rank=16"],
    "LoRA, 512 tokens": ["model.lora_rank=16", "model.microbatch_tokens=512"],
    "recomputed, 2048 tokens": ["model.activation_checkpointing=true"],
}
Row = dict[str, Any]


def settings(stage: str, material: Material) -> list[str]:
    """What all variants of a stage have: some 30 seconds of work on two cores."""
    common = ["format.template=plain", "data.validation_share=0.0"]
    if stage == "sft":
        data = material.demonstrations([2 * TOKENS] * 96, "planned-demonstrations")
        return [
            *common,
            f"model.name={material.source}",
            f"data.demonstrations={data}",
            "sft.epochs=1",
            "sft.batch_size=32",
            "sft.choose_by=last",
        ]
    if stage == "reward":
        data = material.rankings(32, 4, 2 * TOKENS)
        return [
            *common,
            f"model.name={material.source}",
            f"data.rankings={data}",
            "reward.batch_size=16",
        ]
    return [
        *common,
        f"format.max_completion_tokens={TOKENS}",
        f"model.name={material.endless_model()}",
        f"data.prompts={material.prompts(64, TOKENS)}",
        f"ppo.reward={material.reward_model(endless=True).parent}",
        "ppo.episodes=64",
        "ppo.rollout_batch_size=32",
        "ppo.minibatch_size=16",
    ]


def measured(stage: str, given: list[str], threads: int) -> Row:
    """The card's numbers of one run, its prediction made just before."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        pairs = [*given, f"run.dir={run}", f"run.threads={threads}"]
        options = [part for setting in pairs for part in ("--set", setting)]
        command = [sys.executable, "-m", "heedful", "train", stage, *options]
        for extra in (["--dry-run"], []):
            done = subprocess.run([*command, *extra], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        card = read_card(run)
    prediction = card.prediction
    assert prediction is not None
    assert prediction.memory_bytes is not None
    assert prediction.seconds is not None
    peak = card.cost.peak_device_memory_bytes or card.cost.peak_memory_bytes
    return {
        "memory": [prediction.memory_bytes / 1e9, peak / 1e9],
        "seconds": [prediction.seconds, card.cost.seconds],
    }


def rows(stages: list[str], variants: list[str], material: Material, threads: int) -> Iterator[Row]:
    """These variants of each stage, one after the other."""
    for stage in stages:
        for name in variants:
            given = [*settings(stage, material), *VARIANTS[name]]
            found = measured(stage, given, threads)
            yield {"stage": stage, "variant": name, **found}


def table_line(row: Row) -> str:
    """One line of the table, predicted / measured / ratio."""
    cells = [row["stage"], row["variant"]]
    for name, unit in (("memory", "GB"), ("seconds", "s")):
        predicted, taken = row[name]
        digits = 2 if unit == "GB" else 0
        cells += [f"{predicted:.{digits}f}", f"{taken:.{digits}f}", f"{predicted / taken:.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table as it grows, and keep the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--only", choices=STAGES, action="append", help="this stage alone")
    parser.add_argument("--variant", choices=VARIANTS, action="append", help="this one alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--keep", type=Path, default=ROOT / ".bench", help="models and texts")
    arguments = parser.parse_args()
    material = Material(arguments.keep, arguments.model)
    found = []
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        "| Stage | Setting | GB predicted | measured | ratio | s predicted | measured | ratio |"
    )
    console.print("|---|---|---:|---:|---:|---:|---:|---:|")
    asked = (arguments.only or list(STAGES), arguments.variant or list(VARIANTS))
    for row in rows(*asked, material, arguments.threads):
        found.append(row)
        console.print(table_line(row))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
