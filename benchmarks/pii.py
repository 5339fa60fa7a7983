"""Precision and recall of the personal data detectors, and how many prompts they mask a second.

    python benchmarks/pii.py [--split held_out] [--detectors presidio ...]
    python benchmarks/pii.py --throughput 10000 [--processes 2] [--data FOLDER]

The snippets of `benchmarks/pii/snippets.jsonl` are labelled in place, `⟦EMAIL:a@b.org⟧`, and
all values are made up. Splits: `development`, which the rules were tuned on; `held_out`, written
together with it; `later`, written once the rules stood, to say the same things otherwise.

A labelled value is found when each of its letters and digits is masked, as whatever kind. A
find is right when it overlaps a labelled value of its own kind. Intervals are Wilson's, 95 %.

Throughput is measured on prompts of the folder of public data (instructions, templates and
dialogues), a tenth of them snippets; the texts are made into records and masked as in a run.
"""

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from heedful.core.jsonl import read_rows
from heedful.core.records import Prompt
from heedful.core.statistics import wilson_interval
from heedful.data.pii import Masker, Span
from heedful.data.pii_records import default_detectors, mask_records

SNIPPETS = Path(__file__).parent / "pii" / "snippets.jsonl"
_MARK = re.compile(r"⟦([A-Z_]+):(.*?)⟧", re.DOTALL)
_TARGET_PROMPTS, _TARGET_SECONDS = 110_000, 150
_PUBLIC = {
    "sft/dolly_6k_no_context.jsonl": "instruction",
    "sft/t0_p3_20_per_template.jsonl.gz": "prompt",
    "pref/hh_helpful_base_test.jsonl.gz": "chosen",
}


@dataclass
class Tally:
    """Counts of one kind: values labelled and found, finds and right ones."""

    labelled: int = 0
    found: int = 0
    finds: int = 0
    right: int = 0


@dataclass
class Quality:
    """Counts by kind, and of texts without personal data in which something was masked."""

    kinds: dict[str, Tally] = field(default_factory=dict)
    num_clean: int = 0
    num_spoilt: int = 0

    def total(self) -> Tally:
        """All kinds together."""
        tallies = self.kinds.values()
        return Tally(
            sum(tally.labelled for tally in tallies),
            sum(tally.found for tally in tallies),
            sum(tally.finds for tally in tallies),
            sum(tally.right for tally in tallies),
        )


def read_snippets(split: str) -> Iterator[tuple[str, list[Span]]]:
    """The texts of a split and what is labelled in them."""
    for line in SNIPPETS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["split"] == split:
            yield unmarked(row["text"])


def unmarked(marked: str) -> tuple[str, list[Span]]:
    """A text without its marks, and the spans that they marked."""
    text, spans, place = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[place : mark.start()]
        spans.append(Span(len(text), len(text) + len(mark[2]), mark[1]))
        text += mark[2]
        place = mark.end()
    return text + marked[place:], spans


def measure(masker: Masker, split: str) -> Quality:
    """Compare what the masker masks with what is labelled."""
    quality = Quality()
    for text, labelled in read_snippets(split):
        finds = masker.find([text])[0]
        masked = {place for find in finds for place in range(find.start, find.end)}
        for span in labelled:
            tally = quality.kinds.setdefault(span.kind, Tally())
            tally.labelled += 1
            tally.found += all(
                place in masked or not text[place].isalnum()
                for place in range(span.start, span.end)
            )
        for find in finds:
            tally = quality.kinds.setdefault(find.kind, Tally())
            tally.finds += 1
            tally.right += any(
                find.start < span.end and span.start < find.end and find.kind == span.kind
                for span in labelled
            )
        quality.num_clean += not labelled
        quality.num_spoilt += not labelled and bool(finds)
    return quality


def quality_table(split: str, quality: Quality) -> Table:
    """A row for each kind, and one for all."""
    table = Table(title=f"{split} snippets")
    for heading in ("kind", "labelled", "recall", "95 %", "finds", "precision", "95 %"):
        table.add_column(heading, justify="left" if heading == "kind" else "right")
    rows = [*sorted(quality.kinds.items()), ("all", quality.total())]
    for kind, tally in rows:
        recall = _share(tally.found, tally.labelled)
        precision = _share(tally.right, tally.finds)
        table.add_row(kind, str(tally.labelled), *recall, str(tally.finds), *precision)
    return table


def _share(part: int, whole: int) -> tuple[str, str]:
    if whole == 0:
        return "-", "-"
    interval = wilson_interval(part, whole)
    return f"{interval.value:.2f}", f"{interval.low:.2f} to {interval.high:.2f}"


def make_prompts(folder: Path, count: int) -> list[Prompt]:
    """Prompts of the public data in turn, every tenth a snippet."""
    texts = [[row[name] for _, row in read_rows(folder / file)] for file, name in _PUBLIC.items()]
    snippets = [text for text, _ in read_snippets("held_out")]
    prompts = []
    for number in range(count):
        source = snippets if number % 10 == 0 else texts[number % len(texts)]
        text = source[number // len(texts) % len(source)]
        prompts.append(
            Prompt(
                id=f"prompt-{number}",
                text_hash="",
                instruction=text,
                source="benchmark",
                user_id="user",
                consent=True,
            )
        )
    return prompts


def throughput(masker: Masker, prompts: Sequence[Prompt], processes: int) -> str:
    """Mask the prompts once, and say how long it took."""
    mask_records(prompts[:20], masker)  # what is imported once is not counted
    start = time.perf_counter()
    masked = mask_records(prompts, masker, processes=processes)
    seconds = time.perf_counter() - start
    mean = sum(len(prompt.instruction) for prompt in prompts) / len(prompts)
    return (
        f"{len(prompts):,} prompts of {mean:,.0f} characters on average in {seconds:.1f} s with "
        f"{processes} process(es): {len(prompts) / seconds:,.0f} a second, so "
        f"{_TARGET_PROMPTS:,} in {_TARGET_PROMPTS * seconds / len(prompts):,.0f} s "
        f"(wanted: {_TARGET_SECONDS} s). Masked: {dict(Counter(masked.report.counts))} in "
        f"{masked.report.num_with:,} prompts."
    )


def main() -> None:
    """Print the tables, or the throughput."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", choices=["development", "held_out", "later"], nargs="+")
    parser.add_argument("--detectors", nargs="+", help="only these, by name")
    parser.add_argument("--throughput", type=int, metavar="N", help="mask N prompts instead")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--data", type=Path, default=os.environ.get("HEEDFUL_DATA"))
    arguments = parser.parse_args()
    detectors = default_detectors()
    if arguments.detectors:
        detectors = [item for item in detectors if item.name in arguments.detectors]
    masker, console = Masker(detectors), Console()
    if arguments.throughput:
        if arguments.data is None:
            parser.error("--throughput needs --data, the folder of public data")
        prompts = make_prompts(arguments.data, arguments.throughput)
        console.print(throughput(masker, prompts, arguments.processes), soft_wrap=True)
        return
    for split in arguments.split or ["held_out", "later"]:
        quality = measure(masker, split)
        console.print(quality_table(split, quality))
        console.print(
            f"Something was masked in {quality.num_spoilt} of {quality.num_clean} texts without "
            "personal data."
        )


if __name__ == "__main__":
    main()
