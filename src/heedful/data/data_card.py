"""The rows of a release, what it says about itself, and its card for people and `datasets`.

The card is made of `ReleaseFacts` alone, which lie beside it, so that a withdrawal can count
again and write it anew. Choosing and masking the records is `heedful.data.release`'s.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args

from pydantic import Field

from heedful.core.jsonl import read_rows
from heedful.core.records import Example, MadeBy, Record, Split, Turn, UseCase
from heedful.data.pii import PLACEHOLDER

FACTS = "release.json"
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
# What the Hugging Face hub calls the licences we expect; it calls every other one "other".
_HUB_LICENCES = frozenset(
    {
        *("apache-2.0", "bsd-3-clause", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-3.0"),
        *("cc-by-sa-4.0", "cc0-1.0", "mit", "odbl", "odc-by", "unlicense"),
    }
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
_DTYPES = {str: "string", int: "int64", float: "float64", bool: "bool"}


class ReleasedPrompt(Record):
    """A prompt; every id is a pseudonym that holds within one release."""

    id: str
    prompt_id: str
    instruction: str
    context: str | None
    examples: tuple[Example, ...]
    turns: tuple[Turn, ...]
    use_case: UseCase | None
    tags: tuple[str, ...]
    user: str
    organisation: str | None
    source: str
    licence: str


class ReleasedDemonstration(ReleasedPrompt):
    """A prompt and the completion that a labeller wrote; `licence` is the completion's."""

    prompt_licence: str
    completion: str
    labeller: str
    made_by: MadeBy
    instructions_version: str | None
    seconds_spent: float | None


class ReleasedRanking(ReleasedPrompt):
    """A prompt, K completions, the models that wrote them, and a labeller's ranks; 1 is best."""

    completions: tuple[str, ...]
    models: tuple[str, ...]
    ranks: tuple[int, ...]
    all_bad: bool
    labeller: str
    made_by: MadeBy
    instructions_version: str | None
    seconds_spent: float | None


KINDS: dict[str, type[ReleasedPrompt]] = {
    "demonstrations": ReleasedDemonstration,
    "rankings": ReleasedRanking,
    "prompts": ReleasedPrompt,
}


class ReleaseFacts(Record):
    """What a release says about itself.

    Attributes:
        salt: Fingerprint of the salt, to recognise it by.
        how_made: What was done to the data before, as its maker says.
        left_out: Records that stayed at home, by kind and reason.
        num_rows: Kind -> split -> rows.
        num_people: Users, organisations and labellers.
        sources: Prompts by source; likewise `licences`, in rows.
        placeholders: Masked personal data by type, each mention counted.
        made_by: Demonstrations and rankings by who made them.
    """

    schema_version: Literal[1] = 1
    title: str
    released_on: date
    salt: str
    how_made: tuple[str, ...] = ()
    left_out: dict[str, int] = Field(default_factory=dict)
    num_rows: dict[str, dict[Split, int]] = Field(default_factory=dict)
    num_people: dict[str, int] = Field(default_factory=dict)
    sources: dict[str, int] = Field(default_factory=dict)
    licences: dict[str, int] = Field(default_factory=dict)
    placeholders: dict[str, int] = Field(default_factory=dict)
    made_by: dict[str, dict[MadeBy, int]] = Field(default_factory=dict)


def recount(facts: ReleaseFacts, files: Mapping[tuple[str, Split], Path]) -> ReleaseFacts:
    """The facts with everything counted anew in the files of rows, by kind and split."""
    num_rows: dict[str, dict[str, int]] = {}
    made_by: dict[str, Counter[str]] = {}
    counts = {name: Counter[str]() for name in ("sources", "licences", "placeholders")}
    people: dict[str, set[str]] = {"user": set(), "organisation": set(), "labeller": set()}
    for (kind, split), file in files.items():
        for _, row in read_rows(file):
            sizes = num_rows.setdefault(kind, {})
            sizes[split] = sizes.get(split, 0) + 1
            for name, found in people.items():
                if row.get(name):
                    found.add(row[name])
            counts["licences"][row["licence"]] += 1
            masked = PLACEHOLDER.finditer(json.dumps(row))
            counts["placeholders"].update(match[1] for match in masked)
            if kind == "prompts":
                counts["sources"][row["source"]] += 1
            else:
                made_by.setdefault(kind, Counter())[row["made_by"]] += 1
    return ReleaseFacts.model_validate(
        facts.model_dump()
        | {name: dict(sorted(found.items())) for name, found in counts.items()}
        | {"num_rows": num_rows, "made_by": {kind: dict(made) for kind, made in made_by.items()}}
        | {"num_people": {f"{name}s": len(found) for name, found in people.items()}}
    )


def render_card(facts: ReleaseFacts) -> str:
    """The card: YAML that the hub and `datasets` read, then Markdown for people."""
    simulated = sum(made.get("simulated", 0) for made in facts.made_by.values())
    sections = [
        f"# {facts.title}",
        "Prompts that people wrote for an assistant, with demonstrations and rankings of "
        f"completions, released on {facts.released_on} with Heedful.",
        *(["**Some labels here are simulated: a program made them.**"] if simulated else []),
        "## What is in it",
        _table(
            ["", *_SPLITS],
            [
                [kind, *(f"{sizes.get(split, 0):,}" for split in _SPLITS)]
                for kind, sizes in facts.num_rows.items()
            ],
        ),
        ", ".join(f"{count:,} {name}" for name, count in facts.num_people.items())
        + ". The splits share no user and no organisation where the data room made them.",
        "## Where it comes from, and under which licences",
        _table(["Source", "Prompts"], [[k, f"{n:,}"] for k, n in facts.sources.items()]),
        _table(["Licence", "Rows"], [[k, f"{n:,}"] for k, n in facts.licences.items()]),
        "A demonstration has a licence of its own beside its prompt's (`prompt_licence`); a "
        "ranking goes with its prompt.",
        "## Consent",
        "Every prompt's author agreed to its use for training, or published it under its licence. "
        "Whoever withdrew is left out.",
        _table(["Left out", "Records"], [[k, f"{n:,}"] for k, n in facts.left_out.items()]),
        "## Personal data",
        "Personal data that was recognised is replaced by typed placeholders such as `<EMAIL_1>`, "
        "numbered within a row. Recognition misses some; report what you find. Users, "
        "organisations, labellers and records have keyed pseudonyms, which cannot be reversed "
        "without a secret that is not part of the release.",
        _table(["Placeholder", "Mentions"], [[k, f"{n:,}"] for k, n in facts.placeholders.items()]),
        "## Who labelled",
        _table(
            ["", "person", "simulated", "model"],
            [
                [kind, *(f"{made.get(maker, 0):,}" for maker in get_args(MadeBy))]
                for kind, made in facts.made_by.items()
            ],
        ),
        "`made_by` says it of each row, `instructions_version` under which instructions.",
        "## How it was made",
        *(f"- {step}" for step in facts.how_made),
        "## Limits",
        "The authors of these prompts and the labellers are not a sample of mankind; rankings "
        "show what these labellers preferred under their instructions. Texts may be wrong, "
        "biased or offensive. Times, user agents and labelling batches are left out.",
    ]
    return _yaml(facts) + "\n" + "\n\n".join(part for part in sections if part) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; nothing where there are no rows."""
    if not rows:
        return ""
    cells = [list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in cells)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _yaml(facts: ReleaseFacts) -> str:
    """The header; texts are quoted as JSON, which YAML contains."""
    total = sum(sum(sizes.values()) for sizes in facts.num_rows.values())
    size = next((name for limit, name in _SIZES if total < limit), "n>1M")
    licences = sorted({_hub_licence(licence) for licence in facts.licences})
    lines = ["---", f"pretty_name: {json.dumps(facts.title)}"]
    lines += ["license:", *(f"- {licence}" for licence in licences)]
    lines += ["size_categories:", f"- {size}", "task_categories:", "- text-generation"]
    lines += ["tags:", "- instructions", "- human-feedback", "configs:"]
    for place, (kind, sizes) in enumerate(facts.num_rows.items()):
        lines += [f"- config_name: {kind}", *(["  default: true"] if place == 0 else [])]
        lines.append("  data_files:")
        for split in sizes:
            lines += [f"  - split: {split}", f"    path: {kind}/{split}.jsonl"]
    lines.append("dataset_info:")
    for kind in facts.num_rows:
        lines += [f"- config_name: {kind}", "  features:"]
        lines += [f"  {line}" for line in _features(KINDS[kind])]
    return "\n".join([*lines, "---", ""])


def _hub_licence(licence: str) -> str:
    return licence.lower() if licence.lower() in _HUB_LICENCES else "other"


def _features(record_type: type[Record]) -> Iterator[str]:
    """The columns, for a split in which a column is empty throughout says not what it holds."""
    for name, field in record_type.model_fields.items():
        kind: Any = field.annotation
        if NoneType in get_args(kind):
            kind = next(arg for arg in get_args(kind) if arg is not NoneType)
        yield f"- name: {name}"
        item = get_args(kind)[0] if get_args(kind) and Ellipsis in get_args(kind) else None
        if item is None:
            yield f"  dtype: {_DTYPES.get(kind, 'string')}"
        elif item in _DTYPES:
            yield f"  list: {_DTYPES[item]}"
        else:
            yield "  list:"
            yield from (f"  {line}" for line in _features(item))
