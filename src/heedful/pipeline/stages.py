"""Stages that meet only through files, skipped when nothing they read has changed.

A stage's key is a hash of its settings and of the content of every file it reads. When
the key noted for its folder is the same and the outputs are whole, the stage is skipped.
When the key is the same and the stage left a `state` folder to resume from, it is called
again on its folder; in every other case the folder is cleared first.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from heedful.core.errors import ConfigError, DataError, Interrupted
from heedful.core.file_hashes import known_sha256
from heedful.core.jsonl import write_json_atomic
from heedful.training.display import Display, duration

RESUME_FOLDER = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a pipeline.

    Attributes:
        name: Also the name of its folder inside the pipeline's.
        why: One sentence for the person who watches.
        settings: What decides the result besides the inputs.
        inputs: Files it reads.
        outputs: Files it writes, all inside its folder.
        work: Does it; called with the stage's folder.
    """

    name: str
    why: str
    settings: BaseModel | Mapping[str, Any]
    inputs: Sequence[Path]
    outputs: Sequence[str]
    work: Callable[[Path], None]


@dataclass(slots=True, kw_only=True)
class StageReport:
    """What happened to a stage."""

    name: str
    why: str
    status: str
    seconds: float


@dataclass(slots=True)
class Pipeline:
    """Runs stages one after the other inside one folder."""

    path: Path
    display: Display
    reports: list[StageReport] = field(default_factory=list)

    def run(self, stage: Stage, *, number: int, total: int) -> StageReport:
        """Run or skip one stage.

        Raises:
            ConfigError: The stage's folder holds something that no stage wrote.
            DataError: The stage did not write what it promised.
            Interrupted: Ctrl-C; a later run goes on from there.
        """
        folder = self.path / stage.name
        marker = self.path / "stages" / f"{stage.name}.json"
        marker.parent.mkdir(parents=True, exist_ok=True)
        key = _key(stage)
        before = json.loads(marker.read_text(encoding="utf-8")) if marker.exists() else {}
        title = f"{number}/{total} {stage.name}: "
        if before.get("key") == key and before.get("outputs") == _hashes(folder, stage.outputs):
            self.display.say(f"{title}unchanged, skipped.", style="dim")
            return self._done(stage, "skipped", float(before["seconds"]))
        self.display.say(title + stage.why, style="bold")
        spent = 0.0
        if before.get("key") == key and (folder / RESUME_FOLDER).is_dir():
            spent = float(before["seconds"])
        else:
            _clear(folder, ours=bool(before))
        started = time.monotonic() - spent
        write_json_atomic(marker, {"key": key, "outputs": None, "seconds": spent})
        try:
            stage.work(folder)
        except KeyboardInterrupt:
            raise Interrupted(
                f"Stopped in the stage {stage.name}.", "The same command goes on from there."
            ) from None
        finally:
            spent = time.monotonic() - started
            write_json_atomic(marker, {"key": key, "outputs": None, "seconds": spent})
        outputs = _hashes(folder, stage.outputs)
        missing = [name for name, digest in outputs.items() if digest is None]
        if missing:
            raise DataError(f"the stage {stage.name} did not write {', '.join(missing)}")
        write_json_atomic(marker, {"key": key, "outputs": outputs, "seconds": spent})
        self.display.say(f"  {stage.name} took {duration(spent)}.")
        return self._done(stage, "finished", spent)

    def _done(self, stage: Stage, status: str, seconds: float) -> StageReport:
        report = StageReport(name=stage.name, why=stage.why, status=status, seconds=seconds)
        self.reports.append(report)
        return report


def _clear(folder: Path, *, ours: bool) -> None:
    """Make `folder` new and empty; what no stage of ours wrote is never removed."""
    if ours and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigError(
            f"{folder} is not empty, and no stage of this pipeline wrote it",
            "Choose another run.dir, or move that folder away.",
        )


def _key(stage: Stage) -> str:
    settings = stage.settings
    plain = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else dict(settings)
    parts = [stage.name, json.dumps(plain, sort_keys=True), *stage.outputs]
    parts += [known_sha256(path) for path in stage.inputs]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str | None]:
    return {
        name: known_sha256(folder / name) if (folder / name).is_file() else None for name in names
    }
