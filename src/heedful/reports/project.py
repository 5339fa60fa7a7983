"""Reads a folder of run directories: everything the report is made from.

Every part is optional. What is there must be whole: a line that cannot be read is an
error naming file, line and field, not a gap in a figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from heedful.core.errors import DataError
from heedful.core.metrics import read_metrics
from heedful.core.records import (
    Completion,
    Demonstration,
    EvalResult,
    FinishReason,
    MadeBy,
    Prompt,
    Ranking,
    Rating,
)
from heedful.core.run import RunCard, read_card
from heedful.core.statistics import CalibrationBin
from heedful.reports.files import read_json, read_object, read_rows

_MAX_DEPTH = 2


class Row(BaseModel):
    """A row that another room writes; fields that the report does not show are let pass."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class SampleRow(Row):
    """A line of `samples.jsonl`."""

    step: int
    prompt_id: str
    prompt: str
    completion: str
    score: float | None = None
    finish_reason: FinishReason | None = None


class ScoreRow(Row):
    """A line of `evaluation/scores.jsonl`."""

    model: str
    prompt_id: str
    score: float
    num_tokens: int | None = None
    finish_reason: FinishReason | None = None


class SourceScoreRow(Row):
    """A line of a reward run's `scores.jsonl`."""

    source: str
    score: float


class VerdictRow(Row):
    """A line of `evaluation/verdicts.jsonl`, see `heedful.evaluation.win_rates.Verdict`."""

    prompt_id: str
    candidate: str
    outcome: float
    made_by: MadeBy


class Calibration(Row):
    """`calibration.json` of a reward run."""

    bins: list[CalibrationBin]


class StageRow(Row):
    """One stage of the quickstart."""

    name: str
    why: str = ""
    status: str = ""
    seconds: float | None = None


class Quickstart(Row):
    """`quickstart.json`."""

    seed: int | None = None
    simulated: bool = False
    stages: list[StageRow] = []
    sizes: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run directory; `name` is its path inside the project."""

    name: str
    card: RunCard
    config: dict[str, Any]
    metrics: Sequence[dict[str, Any]]
    samples: Sequence[SampleRow]
    results: Sequence[EvalResult]
    calibration: Calibration | None
    scores: Sequence[SourceScoreRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """All that a folder holds; empty or None where a file is absent."""

    path: Path
    runs: Sequence[Run]
    quickstart: Quickstart | None
    split: dict[str, Any] | None
    prompts: Sequence[Prompt]
    demonstrations: Sequence[Demonstration]
    rankings: Sequence[Ranking]
    completions: Sequence[Completion]
    ratings: Sequence[Rating]
    verdicts: Sequence[VerdictRow]
    results: Sequence[EvalResult]
    scores: Sequence[ScoreRow]

    @property
    def name(self) -> str:
        """The folder's own name, also for `.`."""
        return self.path.resolve().name

    @property
    def simulated(self) -> bool:
        """Whether any label that anything here was made from is simulated."""
        labels = (self.demonstrations, self.rankings, self.ratings, self.verdicts, self.results)
        return (
            (self.quickstart is not None and self.quickstart.simulated)
            or any(run.card.simulated for run in self.runs)
            or any(label.made_by == "simulated" for group in labels for label in group)
        )


def read_project(path: Path) -> Project:
    """Read a run directory, a folder of them, or what the quickstart leaves.

    Raises:
        DataError: The folder holds no run and no evaluation, or a file in it is damaged.
    """
    runs = [_read_run(path, folder) for folder in _run_folders(path)]
    evaluation = path / "evaluation"
    project = Project(
        path=path,
        runs=sorted(runs, key=lambda run: (run.card.started_at, run.name)),
        quickstart=read_json(path / "quickstart.json", Quickstart),
        split=read_object(path / "data" / "split.json"),
        prompts=read_rows(path / "data" / "prompts.jsonl", Prompt),
        demonstrations=read_rows(path / "data" / "demonstrations.jsonl", Demonstration),
        rankings=read_rows(path / "rankings" / "rankings.jsonl", Ranking),
        completions=read_rows(evaluation / "completions.jsonl", Completion),
        ratings=read_rows(evaluation / "ratings.jsonl", Rating),
        verdicts=read_rows(evaluation / "verdicts.jsonl", VerdictRow),
        results=read_rows(evaluation / "results.jsonl", EvalResult),
        scores=read_rows(evaluation / "scores.jsonl", ScoreRow),
    )
    if not (project.runs or project.results or project.completions):
        raise DataError(
            f"{path} holds no run directory and no evaluation",
            "Name the folder of a run (it has a run.json), or a folder of such folders.",
        )
    return project


def _run_folders(path: Path) -> list[Path]:
    """Folders with a run.json, `path` itself included, not looking inside a run."""
    if (path / "run.json").exists():
        return [path]
    found: list[Path] = []
    level = [path]
    for _ in range(_MAX_DEPTH):
        children = [c for folder in level if folder.is_dir() for c in sorted(folder.iterdir())]
        found += [child for child in children if (child / "run.json").exists()]
        level = [c for c in children if c.is_dir() and c not in found and not c.is_symlink()]
    return found


def _read_run(project: Path, folder: Path) -> Run:
    metrics = folder / "metrics.jsonl"
    card = read_card(folder)
    # The quickstart's evaluation is a run too; what it measured belongs to the project.
    is_evaluation = folder == project / "evaluation"
    return Run(
        name=folder.resolve().name if folder == project else str(folder.relative_to(project)),
        card=card,
        config=read_object(folder / "config.json") or {},
        metrics=read_metrics(metrics) if metrics.exists() else [],
        samples=read_rows(folder / "samples.jsonl", SampleRow),
        results=[] if is_evaluation else read_rows(folder / "results.jsonl", EvalResult),
        calibration=read_json(folder / "calibration.json", Calibration),
        scores=read_rows(folder / "scores.jsonl", SourceScoreRow) if card.kind == "reward" else [],
    )
