"""Time and memory of exact, containment and near deduplication, caps and split.

    python benchmarks/data_chain.py [--sizes 10000 30000 110000] [--json FILE] [--plot FILE]

Each size runs in a process of its own, so that its peak of resident memory is its own. The
corpus is synthetic and seeded: words by Zipf's law, lengths log-normal with a mean of about
35 words and a long tail, users with a heavy tail in organisations; a tenth of the prompts are
planted: exact copies, copies inside longer texts, copies with a few words changed, slots of
shared templates. What was planted is counted beside what was removed.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from heedful.core.records import Prompt, text_hash
from heedful.data.caps import cap
from heedful.data.dedup import deduplicate, policy_by_name
from heedful.data.split import split_by_organisation

SIZES = [10_000, 30_000, 110_000, 300_000, 1_000_000]
POLICIES = ("exact", "containment", "near")
NUM_WORDS = 200_000
BLOCK = 1_000
GIBIBYTE = 2**30


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--plot", type=Path, help="also draw time and memory to this SVG file")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # a size, in this process
    return parser.parse_args()


def make_texts(count: int, seed: int) -> tuple[list[str], dict[str, int]]:
    """Texts, and how many are planted of each kind."""
    rng = np.random.default_rng(seed)
    vocabulary = [f"w{number:x}" for number in range(NUM_WORDS)]
    templates = [_sentence(rng, vocabulary, 14) for _ in range(50)]
    texts: list[str] = []
    planted = dict.fromkeys(("exact", "containment", "near", "template"), 0)
    while len(texts) < count:
        # A block at a time: the copies are of earlier blocks.
        lengths = np.clip(rng.lognormal(3.2, 0.85, BLOCK).astype(int), 2, 2000)
        numbers = np.minimum(rng.zipf(1.15, lengths.sum()), NUM_WORDS) - 1
        kinds = rng.choice(5, BLOCK, p=[0.9, 0.03, 0.02, 0.03, 0.02])
        ends = np.cumsum(lengths)
        earlier = len(texts)
        for kind, begin, end in zip(kinds.tolist(), ends - lengths, ends, strict=True):
            text = " ".join([vocabulary[number] for number in numbers[begin:end]])
            if kind == 4:
                text = f"{templates[rng.integers(50)]} {_sentence(rng, vocabulary, 5)}"
            elif kind and earlier:
                text = _planted(rng, kind, texts[rng.integers(earlier)], text)
            if kind == 4 or (kind and earlier):
                planted[list(planted)[kind - 1]] += 1
            texts.append(text)
    return texts[:count], planted


def _planted(rng: np.random.Generator, kind: int, original: str, text: str) -> str:
    if kind == 1:
        return f" {original.upper()} "
    if kind == 2:
        return f"{text} {original} {text}"
    words = original.split()
    words[rng.integers(len(words))] = "changed"
    return " ".join(words)


def _sentence(rng: np.random.Generator, vocabulary: list[str], length: int) -> str:
    return " ".join(vocabulary[number] for number in rng.integers(0, NUM_WORDS, length))


def make_prompts(count: int, seed: int) -> tuple[list[Prompt], dict[str, int]]:
    """Prompts of users with a heavy tail, half of them in organisations, and what is planted."""
    texts, planted = make_texts(count, seed)
    rng = np.random.default_rng(seed + 1)
    # Of 110,000 prompts the first of 13,750 users wrote 4,600, and most wrote two or three.
    users = (rng.random(count) ** 3 * count / 8).astype(int)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    prompts = [
        Prompt(
            id=f"prompt-{place:08x}",
            text_hash=text_hash(text),
            instruction=text,
            source="synthetic",
            user_id=f"user-{user}",
            organisation=f"organisation-{user // 20}" if user % 2 else None,
            consent=True,
            created_at=begin + timedelta(seconds=place),
        )
        for place, (text, user) in enumerate(zip(texts, users.tolist(), strict=True))
    ]
    return prompts, planted


def measure(count: int, seed: int) -> dict[str, object]:
    """The chain over `count` prompts: seconds by stage, and the process's peak memory."""
    prompts, planted = make_prompts(count, seed)
    before = _peak()
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - began, 2)

    left = prompts
    removed = {}
    for name in POLICIES:
        with timed(name):
            result = deduplicate(left, remove=[policy_by_name(name)])
        left = result.kept
        removed[name] = len(result.removed)
    with timed("cap"):
        capped = cap(left, seed=seed)
    with timed("split"):
        _, report = split_by_organisation(capped.kept, seed=seed)
    if report.leaks:
        raise SystemExit("the split leaks")
    return {
        "num_prompts": count,
        "num_words": sum(len(prompt.instruction.split()) for prompt in prompts),
        "seconds": seconds,
        "total_seconds": round(sum(seconds.values()), 2),
        "peak_gib": round(_peak() / GIBIBYTE, 2),
        "peak_gib_of_the_prompts": round(before / GIBIBYTE, 2),
        "planted": planted,
        "removed": removed,
        "capped": len(capped.dropped),
    }


def _peak() -> int:
    """Most memory that this process has held so far, in bytes (Linux counts KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def draw(rows: list[dict], path: Path) -> None:
    """Time and memory over the number of prompts, both on logarithmic axes."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    sizes = [row["num_prompts"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name in rows[0]["seconds"]:
        values = [max(row["seconds"][name], 0.01) for row in rows]
        left.loglog(sizes, values, marker="o", label=name)
    totals = [row["total_seconds"] for row in rows]
    left.loglog(sizes, totals, marker="o", color="black", label="all")
    left.loglog(sizes, [totals[0] * n / sizes[0] for n in sizes], ":", color="grey", label="linear")
    left.set(xlabel="prompts", ylabel="seconds")
    left.legend(fontsize=8)
    right.loglog(sizes, [row["peak_gib"] for row in rows], marker="o", color="black")
    right.set(xlabel="prompts", ylabel="peak memory, GiB")
    figure.savefig(path)


def main() -> None:
    """Measure each size in a process of its own; print, and write what was asked for."""
    arguments = read_arguments()
    if arguments.one:
        sys.stdout.write(json.dumps(measure(arguments.one, arguments.seed)))
        return
    table = Table("prompts", "words", *POLICIES, "cap", "split", "seconds", "peak GiB")
    rows = []
    for size in arguments.sizes:
        command = [sys.executable, __file__, "--one", str(size), "--seed", str(arguments.seed)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        row = json.loads(output)
        rows.append(row)
        stages = [f"{row['seconds'][name]:.1f}" for name in (*POLICIES, "cap", "split")]
        table.add_row(
            f"{size:,}",
            f"{row['num_words']:,}",
            *stages,
            f"{row['total_seconds']:.1f}",
            f"{row['peak_gib']:.2f}",
        )
    Console(width=100).print(table)
    if arguments.json:
        result = {"machine": platform.platform(), "python": platform.python_version(), "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if arguments.plot:
        draw(rows, arguments.plot)


if __name__ == "__main__":
    main()
