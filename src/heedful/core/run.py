"""A run directory: what was run, from what, with which settings, at what cost.

Layout, the same for every stage, so that `reports` needs nothing else:

    run.json        RunCard: kind, status, seed, versions, hardware, inputs, parents, cost
    config.json     the resolved settings of the stage
    metrics.jsonl   one row a step (names in `core.metrics`)
    samples.jsonl   completions of fixed held-out prompts during training
    results.jsonl   EvalResult records, where the stage measures something at its end
    checkpoint/     the model that the stage made
    stdin.jsonl     what was piped in, where a data file of the settings was `-`
    state/          what resuming needs; removed when the run has finished

This module knows the layout and the card; it does not know what a stage does.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heedful.core.config import config_hash
from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import RowError, read_rows, write_json_atomic
from heedful.core.machine import peak_memory_bytes, reset_peak_memory

Status = Literal["running", "interrupted", "finished"]
STANDARD_INPUT = "stdin.jsonl"


class Cost(BaseModel):
    """What a stage used; additive over resumed parts except the peak.

    Attributes:
        seconds: Wall-clock time.
        generated_tokens: Tokens drawn by a decoder.
        scored_tokens: Tokens passed forward only.
        trained_tokens: Tokens passed forward and backward.
        flops: 2 N per token forward, 6 N per token trained (Kaplan et al. 2020), N the
            parameters in matrix products, those that LoRA freezes too.
        peak_memory_bytes: Largest resident size of the process during the run.
        peak_device_memory_bytes: Most memory of a GPU that tensors took at once; 0 without one.
    """

    model_config = ConfigDict(extra="forbid")

    seconds: float = 0.0
    generated_tokens: int = 0
    scored_tokens: int = 0
    trained_tokens: int = 0
    flops: float = 0.0
    peak_memory_bytes: int = 0
    peak_device_memory_bytes: int = 0

    def add_tokens(
        self, num_parameters: int, *, generated: int = 0, scored: int = 0, trained: int = 0
    ) -> None:
        """Count tokens that passed a model with `num_parameters`, and their FLOPs."""
        self.generated_tokens += generated
        self.scored_tokens += scored
        self.trained_tokens += trained
        self.flops += num_parameters * (2.0 * (generated + scored) + 6.0 * trained)


class Prediction(BaseModel):
    """What the plan of a run said of it before it began, to be held beside its `Cost`.

    Attributes:
        memory_bytes: Largest resident size; on a GPU, of its memory.
        seconds: None where this machine's speed was not measured before (`--dry-run` does).
        microbatch_tokens: The number in force: that of the settings, or the one that `auto` chose.
    """

    model_config = ConfigDict(extra="forbid")

    memory_bytes: int | None = None
    seconds: float | None = None
    microbatch_tokens: int


class RunInput(BaseModel):
    """A file or checkpoint that a run read."""

    model_config = ConfigDict(extra="forbid")

    path: str
    sha256: str


class RunCard(BaseModel):
    """What `run.json` holds."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    kind: str
    status: Status = "running"
    seed: int
    config_hash: str
    started_at: datetime
    finished_at: datetime | None = None
    git_revision: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, RunInput] = Field(default_factory=dict)
    parents: dict[str, str] = Field(default_factory=dict, description="role -> checkpoint id")
    simulated: bool = False
    cost: Cost = Field(default_factory=Cost)
    prediction: Prediction | None = None
    notes: list[str] = Field(default_factory=list)


class RunDirectory:
    """One stage's directory; use as a context manager around the work.

    Leaving the block writes the card: `finished` when it ended, `interrupted` when an
    exception passed. Time and memory are counted in between: the peak is this run's own where
    the system can forget an earlier one (Linux).
    """

    def __init__(self, path: Path, card: RunCard) -> None:
        self.path = path
        self.card = card
        self._entered = time.monotonic()

    @classmethod
    def start(cls, path: Path, *, kind: str, seed: int, config: BaseModel) -> Self:
        """Begin a run in `path`, or take up an unfinished one with the same settings.

        An unfinished run with other settings is begun anew where it has saved nothing to
        resume from: a mistyped model name costs no folder.

        Raises:
            ConfigError: `path` holds a finished run, the saved state of another one, or
                something that is no run.
        """
        new = RunCard(
            kind=kind,
            seed=seed,
            config_hash=config_hash(config),
            started_at=datetime.now(UTC),
            git_revision=git_revision(),
            versions=package_versions(),
            hardware=hardware(),
        )
        if (path / "run.json").exists():
            card = _unfinished(path, new) or new
        else:
            claim(path)
            card = new
        card.status = "running"
        run = cls(path, card)
        run.save()
        write_json_atomic(path / "config.json", config.model_dump(mode="json"))
        return run

    def add_input(self, name: str, path: Path) -> None:
        """Record a file that this run reads, or each file of a folder, by content.

        Raises:
            CheckpointError: The run is being resumed, and the file has changed since it began.
        """
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if not file.is_file():
                continue
            key = f"{name}/{file.name}" if path.is_dir() else name
            found = RunInput(path=str(file), sha256=sha256_file(file))
            known = self.card.inputs.get(key, found)
            if known.sha256 != found.sha256 and (self.path / "state").exists():
                raise CheckpointError(
                    f"{file} has changed since the run in {self.path} began",
                    "Resume it with the data it began with, or choose another run.dir.",
                )
            self.card.inputs[key] = found

    def save(self) -> None:
        """Write the card with the cost so far."""
        now = time.monotonic()
        self.card.cost.seconds += now - self._entered
        self._entered = now
        self.card.cost.peak_memory_bytes = max(
            self.card.cost.peak_memory_bytes, peak_memory_bytes()
        )
        write_json_atomic(self.path / "run.json", self.card.model_dump(mode="json"))

    def __enter__(self) -> Self:
        self._entered = time.monotonic()
        reset_peak_memory()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.card.status = "finished" if kind is None else "interrupted"
        if kind is None:
            self.card.finished_at = datetime.now(UTC)
        self.save()


def _unfinished(path: Path, new: RunCard) -> RunCard | None:
    """The card of the run in `path` where `new` may take it up; None where it begins anew."""
    card = read_card(path)
    if card.status == "finished":
        raise ConfigError(
            f"{path} holds a finished {card.kind} run",
            "Choose another run.dir, or remove that folder.",
        )
    if (card.kind, card.config_hash, card.seed) == (new.kind, new.config_hash, new.seed):
        return card
    if (path / "state").exists():
        raise ConfigError(
            f"{path} holds an unfinished {card.kind} run with other settings",
            f"Resume it with its own settings ({path / 'config.json'}), or choose another run.dir.",
        )
    for name in ("metrics.jsonl", "samples.jsonl", "results.jsonl"):
        (path / name).unlink(missing_ok=True)
    return None


def claim(path: Path) -> None:
    """Make the folder of a new run; what lies there already is never written over.

    Raises:
        ConfigError: It cannot be made, or holds something else.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be made a run directory: {error.strerror}", "Choose another run.dir."
        ) from None
    names = {entry.name for entry in path.iterdir()} - {STANDARD_INPUT}
    if any(not name.startswith(".") for name in names):
        raise ConfigError(
            f"{path} is not empty, and what it holds is no run",
            "Choose another run.dir; a new run needs a new or an empty folder.",
        )


def read_card(path: Path) -> RunCard:
    """The card of the run in `path`."""
    file = path / "run.json"
    try:
        return RunCard.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is not a run directory: it has no run.json") from None
    except (json.JSONDecodeError, ValidationError) as error:
        raise CheckpointError(f"{file}: not a run card: {error}") from None


def git_revision() -> str | None:
    """The revision of the source tree that runs, with `-dirty` where it was changed.

    None where this package is installed apart from its repository.
    """
    commands = (
        ["git", "ls-files", "--error-unmatch", __file__],
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
    )
    output = ""
    try:
        for command in commands:
            output = subprocess.run(
                command,
                cwd=Path(__file__).parent,
                capture_output=True,
                text=True,
                timeout=5,
                check=True,
            ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return output.strip()


def package_versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    versions = {"python": platform.python_version()}
    for name in ("heedful", "torch", "transformers", "tokenizers"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def hardware() -> dict[str, str]:
    """The machine in words: processor, cores, memory."""
    found = {"system": platform.system(), "machine": platform.machine()}
    found["cores"] = str(os.cpu_count() or 0)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                found["processor"] = line.partition(":")[2].strip()
                break
    with contextlib.suppress(ValueError, OSError, AttributeError):
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        found["memory_gib"] = f"{pages * size / 2**30:.1f}"
    return found


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of one of a run directory's own files; nothing if the stage did not write it.

    A half-written last line, left by a run that was killed, is passed over.

    Raises:
        RowError: Another line is broken.
    """
    if not path.exists():
        return
    broken: list[RowError] = []
    for _, row in read_rows(path, on_bad_row=broken.append):
        if broken:
            break
        yield row
    if broken and _num_lines(path) > broken[0].line:
        raise broken[0]


def _num_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
