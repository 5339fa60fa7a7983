"""The example data that comes with the package: prompts, demonstrations, plain text.

The prompts and demonstrations were written by the project's authors for the quickstart
and the tests; the users and organisations are fictitious. `split` is left open: whoever
uses the data splits it, by organisation. Nothing is fetched and nothing is tokenised here.
"""

import hashlib
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from pydoc_data import topics
from typing import Literal

from heedful.core.records import Demonstration, Example, Prompt

FEW_SHOT_PREFIX: tuple[Example, ...] = (
    Example(
        prompt="Write one sentence about a wooden spoon.",
        completion="The wooden spoon had stirred soup in this family for forty years.",
    ),
    Example(prompt="What do caterpillars turn into?", completion="They turn into butterflies."),
    Example(prompt="Name two things you find in a desk drawer.", completion="Pens, paper clips"),
)
"""Worked examples that show the start model the task; none is a prompt of the data."""

_VALIDATION_TENTHS = 1
_FEWEST_CHARACTERS = 200


def embedded_files() -> tuple[Path, Path]:
    """The files of prompts and of demonstrations."""
    folder = Path(str(files("heedful.data"))) / "embedded"
    return folder / "prompts.jsonl", folder / "demonstrations.jsonl"


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@cache
def _prompts() -> tuple[Prompt, ...]:
    return tuple(Prompt.model_validate(line) for line in _lines(embedded_files()[0]))


@cache
def _demonstrations() -> tuple[Demonstration, ...]:
    return tuple(Demonstration.model_validate(line) for line in _lines(embedded_files()[1]))


def embedded_prompts() -> list[Prompt]:
    """All embedded prompts, in a fixed order; `split` is None."""
    return list(_prompts())


def embedded_demonstrations() -> list[Demonstration]:
    """The demonstrations of embedded prompts, at most one a prompt, in a fixed order."""
    return list(_demonstrations())


def pretraining_texts(split: Literal["train", "validation"]) -> list[str]:
    """Plain prose for the pretraining mix: topics of the Python language reference.

    The text comes from `pydoc_data` of the running interpreter, so it differs a little
    between Python versions. About a tenth of the topics, chosen by the hash of their
    name, is the validation part.
    """
    documents = []
    for name in sorted(topics.topics):
        tenth = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10
        text = topics.topics[name].strip()
        is_validation = tenth < _VALIDATION_TENTHS
        if len(text) >= _FEWEST_CHARACTERS and is_validation == (split == "validation"):
            documents.append(text)
    return documents
