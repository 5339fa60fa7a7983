"""What the contamination rules find, what they miss, and what they cost.

    python benchmarks/contamination.py DATA [--books-mb 45] [--embedding FOLDER] [--json FILE]

DATA is a folder with eval/, sft/, pref/ and pretrain/. Three parts:

1. Every sft, pref and pretrain file against every evaluation set: counts, time, memory.
2. Recall: evaluation items, changed in a known way, are planted in passages of books and
   looked for. False positives: items that any rule calls dirty for books printed long
   before the items were written.
3. With --embedding: recall on `contamination/paraphrases.jsonl`, whose questions are ours,
   and false positives on questions about the same subject that ask something else.
"""

import argparse
import json
import random
import re
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from heedful.data.contamination import Contamination, find_contamination
from heedful.data.contamination_index import question_words
from heedful.data.contamination_records import OverlapRules
from heedful.data.evaluation_sets import EvaluationItem, EvaluationSet, read_evaluation_sets
from heedful.data.sources import load_demonstrations, load_rankings
from heedful.data.texts import cut_passages, load_texts
from heedful.data.training_documents import TrainingSource, of_answers, of_prompts, of_texts

PARAPHRASES = Path(__file__).parent / "contamination" / "paraphrases.jsonl"
PASSAGE_CHARACTERS = 1500
Change = Callable[[EvaluationItem, random.Random], str | None]


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with eval/, sft/, pref/ and pretrain/")
    parser.add_argument("--books-mb", type=float, default=45, help="how much of the books")
    parser.add_argument("--planted", type=int, default=500, help="items planted of each kind")
    parser.add_argument("--embedding", type=Path, help="folder of a sentence encoder")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    return parser.parse_args()


def read_books(data: Path, megabytes: float) -> list[str]:
    """Whole books up to about so many characters."""
    books, size = [], 0.0
    for text in load_texts(data / "pretrain" / "classic_books_45mb.jsonl.gz"):
        if size >= megabytes * 1e6:
            break
        books.append(text)
        size += len(text)
    return books


def read_sources(data: Path, books: Sequence[str]) -> list[TrainingSource]:
    """Every file that could be trained on."""
    sources = []
    for path in sorted((data / "sft").glob("*.jsonl*")):
        found = load_demonstrations(path)
        name = path.name.partition(".")[0]
        sources.append(of_answers(name, "demonstrations", found.prompts, found.demonstrations))
    for path in sorted((data / "pref").glob("*.jsonl*")):
        ranked = load_rankings(path)
        name = path.name.partition(".")[0]
        sources += [
            of_prompts(f"{name} prompts", "ranking_prompts", ranked.prompts),
            of_answers(f"{name} completions", "completions", ranked.prompts, ranked.completions),
        ]
    wikitext = load_texts(data / "pretrain" / "wikitext2_valid.txt")
    return [*sources, of_texts("wikitext2_valid", wikitext), of_texts("books", books)]


def exact(item: EvaluationItem, _: random.Random) -> str:
    """The question as it is."""
    return item.question


def respelt(item: EvaluationItem, _: random.Random) -> str:
    """In capitals, lines broken, with a mark after every fifth word."""
    parts = item.question.upper().split()
    return "\n".join(" ".join(parts[at : at + 5]) + " -" for at in range(0, len(parts), 5))


def other_numbers(item: EvaluationItem, draw: random.Random) -> str | None:
    """Every number another one; None where there is none."""
    text = re.sub(r"\d+", lambda _: str(draw.randint(2, 9999)), item.question)
    return None if text == item.question else text


def other_template(item: EvaluationItem, _: random.Random) -> str:
    """The lines of the question in turned order, in words around them that are ours."""
    parts = item.question.split("\n")
    return f"Task: read this. Input: {' And also: '.join(reversed(parts))} Reply in one word:"


def part_and_answer(item: EvaluationItem, _: random.Random) -> str | None:
    """The last two thirds of a question of 12 words or more, and its answer."""
    parts = item.question.split()
    if len(parts) < 12 or not item.answers:
        return None
    return f"{' '.join(parts[len(parts) // 3 :])} {item.answers[0]}"


def one_word_in_ten(item: EvaluationItem, draw: random.Random) -> str | None:
    """One word in ten, at least one, left out."""
    parts = item.question.split()
    if len(parts) < 10:
        return None
    lost = set(draw.sample(range(len(parts)), k=len(parts) // 10))
    return " ".join(part for place, part in enumerate(parts) if place not in lost)


CHANGES: dict[str, Change] = {
    "exact": exact,
    "capitals, lines, marks": respelt,
    "other numbers": other_numbers,
    "other template": other_template,
    "two thirds and the answer": part_and_answer,
    "one word in ten left out": one_word_in_ten,
}


def real_run(
    sources: Sequence[TrainingSource], sets: Sequence[EvaluationSet], console: Console
) -> tuple[Contamination, dict[str, Any]]:
    """Everything against everything; the time counts from texts in memory to the report."""
    start, start_cpu = time.perf_counter(), time.process_time()
    found = find_contamination(sources, sets)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    table = Table("source", "evaluation set", "items", "dirty", "by rule", title="Overlaps")
    for row in found.report.rows:
        if row.num_dirty:
            by_rule = ", ".join(f"{rule} {count}" for rule, count in row.dirty.items())
            cells = (row.source, row.evaluation_set, f"{row.num_items:,}", f"{row.num_dirty:,}")
            table.add_row(*cells, by_rule)
    console.print(table)
    num_words = sum(source.num_words for source in found.report.sources)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(
        f"{num_words:,} words against {sum(len(one.items) for one in sets):,} items: "
        f"{seconds:.1f} s ({cpu_seconds:.1f} s of CPU), {peak:,.0f} MiB at the most."
    )
    numbers = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak, "words": num_words}
    return found, {**numbers, "report": found.report.ids_only().model_dump(mode="json")}


def planted_recall(
    sets: Sequence[EvaluationSet], passages: Sequence[str], count: int, console: Console
) -> dict[str, Any]:
    """The share of planted items that are found, by how they were changed."""
    draw = random.Random(0)
    least = OverlapRules().min_words
    items = [
        item for one in sets for item in one.items if len(question_words(item.question)) >= least
    ]
    draw.shuffle(items)
    table = Table("change", "planted", "found", title="Recall of planted items")
    results: dict[str, Any] = {}
    for change, apply in CHANGES.items():
        planted: list[tuple[EvaluationItem, str]] = []
        for item in items:
            if len(planted) >= count:
                break
            if (text := apply(item, draw)) is not None:
                planted.append((item, text))
        numbered = [
            item.model_copy(update={"id": str(place)}) for place, (item, _) in enumerate(planted)
        ]
        documents = [
            f"{draw.choice(passages)}\n{text}\n{draw.choice(passages)}" for _, text in planted
        ]
        chosen = EvaluationSet(name="planted", source="", items=tuple(numbered))
        dirty = find_contamination([of_texts("planted", documents)], [chosen]).dirty["planted"]
        by_rule = Counter(rule for fired in dirty.values() for rule in fired)
        results[change] = {"planted": len(planted), "found": len(dirty), "by_rule": dict(by_rule)}
        shown = ", ".join(f"{rule} {number}" for rule, number in by_rule.most_common())
        table.add_row(change, str(len(planted)), f"{len(dirty) / len(planted):.1%} ({shown})")
    console.print(table)
    return results


def false_positives(found: Contamination, console: Console) -> dict[str, Any]:
    """Items called dirty for the books alone."""
    dirty: dict[str, int] = defaultdict(int)
    num_items = 0
    for row in found.report.rows:
        if row.source == "books":
            num_items += row.num_items
            dirty[row.evaluation_set] += row.num_dirty
    total = sum(dirty.values())
    console.print(f"False positives on the books: {total} of {num_items:,} items.")
    return {"items": num_items, "dirty": total}


def paraphrase_recall(folder: Path, console: Console) -> dict[str, Any]:
    """Our paraphrases, and other questions about the same subject, at several thresholds."""
    from heedful.models.embedding import load_embedding

    embed = load_embedding(folder)
    lines = PARAPHRASES.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    question, paraphrase, other = (
        embed([row[key] for row in rows]) for key in ("question", "paraphrase", "other")
    )
    crossed = (question @ paraphrase.T)[~np.eye(len(rows), dtype=bool)]
    title = f"{len(rows)} paraphrases"
    table = Table("cosine", "paraphrases", "same subject", "other pairs", title=title)
    results = {}
    for threshold in (0.7, 0.75, 0.8, 0.85, 0.9):
        shares = {
            "paraphrases": float(((question * paraphrase).sum(axis=1) >= threshold).mean()),
            "same_subject": float(((question * other).sum(axis=1) >= threshold).mean()),
            "other_pairs": float((crossed >= threshold).mean()),
        }
        results[str(threshold)] = shares
        table.add_row(f"{threshold}", *(f"{share:.1%}" for share in shares.values()))
    console.print(table)
    return results


def main() -> None:
    """Run the parts and print them."""
    arguments, console = read_arguments(), Console()
    sets = read_evaluation_sets(arguments.data / "eval")
    books = read_books(arguments.data, arguments.books_mb)
    found, numbers = real_run(read_sources(arguments.data, books), sets, console)
    numbers["false_positives"] = false_positives(found, console)
    passages = cut_passages(books[:5], PASSAGE_CHARACTERS)
    numbers["planted"] = planted_recall(sets, passages, arguments.planted, console)
    if arguments.embedding is not None:
        numbers["paraphrases"] = paraphrase_recall(arguments.embedding, console)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
