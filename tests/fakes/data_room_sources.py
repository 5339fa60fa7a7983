"""A small mixed folder of raw data with everything that a data room has to find."""

import json
import random
from pathlib import Path
from typing import Any

SECRETS = ("marta.quill@postbox.example.org", "Marta Quill", "+44 20 7946 0321")
QUESTIONS = (
    "how many loaves of rye bread does the baker on the old market square sell before noon",
    "which of the seven rivers that cross our valley carries the most water in early spring",
    "what did the clockmaker keep in the third drawer of the desk behind his narrow shop",
    "why do the ferries to the northern islands leave an hour later on the first sunday",
    "who painted the blue door of the lighthouse keeper's cottage after the great winter storm",
)
_THINGS = "harbour lantern orchard violin bicycle kettle glacier postcard tunnel beehive"
_DEEDS = "Describe Sketch Compare Explain Praise Rename Imagine Summarise Classify Question"
_MANNERS = "for a child|in plain words|as a riddle|with two examples|like a sailor"


def write_sources(folder: Path) -> Path:
    """Write the sources, an evaluation set and a project file; the project file's path.

    Of tasks.jsonl, lines 1 to 40 are sound, 41 to 43 repeat an earlier one (exact, containing,
    near), 44 and 45 have personal data, 46 to 49 ask what the evaluation set asks, and 50 and
    51 cannot be read.
    """
    rows = [_task(n) for n in range(40)]
    first, second, third = (str(row["instruction"]) for row in rows[:3])
    rows += [
        {"instruction": f"  {first.upper()} ", "output": "Once more."},
        {"instruction": f"Please help me. {second} Thank you.", "output": "Gladly."},
        {"instruction": third.replace("of them.", "of those."), "output": "Very well."},
        {
            "instruction": f"My name is {SECRETS[1]}. Write to {SECRETS[0]} about the boat.",
            "output": f"Dear {SECRETS[1]}, I wrote to {SECRETS[0]}.",
        },
        {"instruction": f"Call me on {SECRETS[2]} about the rusty gate.", "output": "I will."},
    ]
    rows += [{"instruction": f"{text}?", "output": "Nobody knows."} for text in QUESTIONS[:4]]
    lines = [json.dumps(row) for row in rows]
    lines += ['{"instruction": "What is', json.dumps({"instruction": 7, "output": SECRETS[0]})]
    (folder / "tasks.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pairs = [
        {"prompt": _task(n)["instruction"], "chosen": f"Good answer {n}.", "rejected": "No."}
        for n in range(40, 52)
    ]
    _write(folder / "pairs.jsonl", pairs)
    _write(folder / "local.jsonl", [{"question": f"{t}?", "answer": "42"} for t in QUESTIONS])
    project = folder / "room.toml"
    project.write_text(
        f"""
[run]
dir = "{folder}/run"
withdrawals = "{folder}/withdrawals.jsonl"

[[sources]]
path = "{folder}/tasks.jsonl"
kind = "demonstrations"
licence = "CC0-1.0"
max_rejects = 2

[[sources]]
path = "{folder}/pairs.jsonl"
kind = "rankings"
licence = "CC0-1.0"

[dedup]
remove = ["exact", "containment", "near"]
join = ["template"]
report = []

[contamination]
sets = ["{folder}/local.jsonl"]
""",
        encoding="utf-8",
    )
    return project


def _task(number: int) -> dict[str, Any]:
    """An instruction that no other one resembles."""
    noise = random.Random(number)
    one, two, three = noise.sample(_THINGS.split(), 3)
    deed, manner = noise.choice(_DEEDS.split()), noise.choice(_MANNERS.split("|"))
    text = (
        f"{deed} the {one} {number} beside a {two} and {manner} say what {three} number "
        f"{number * 7} has to do with {noise.randint(100, 999)} of them."
    )
    return {"instruction": text, "output": f"Answer {number}."}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
