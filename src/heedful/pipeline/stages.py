"""Stages that meet only through files, skipped when nothing they read has changed.

A stage's key is a hash of its settings and of the content of every file it reads. When
the key noted for its folder is the same and the outputs are whole, the stage is skipped;
when it differs, the folder is cleared first; an unfinished stage with the same key goes
on where it stopped, as far as the stage itself can resume.
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

from heedful.core.errors import DataError
from heedful.core.jsonl import sha256_file, write_json_atomic
from heedful.training.display import Display


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
            DataError: The stage did not write what it promised.
        """
        folder = self.path / stage.name
        marker = self.path / "stages" / f"{stage.name}.json"
        marker.parent.mkdir(parents=True, exist_ok=True)
        key = _key(stage)
        before = json.loads(marker.read_text(encoding="utf-8")) if marker.exists() else {}
        title = f"[bold]{number}/{total} {stage.name}[/bold]  {stage.why}"
        if before.get("key") == key and before.get("outputs") == _hashes(folder, stage.outputs):
            self.display.say(f"{title}  [dim]unchanged, skipped[/dim]")
            return self._done(stage, "skipped", float(before["seconds"]))
        self.display.say(title)
        if before.get("key") != key and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        spent = float(before.get("seconds", 0.0))
        write_json_atomic(marker, {"key": key, "outputs": None, "seconds": spent})
        started = time.monotonic()
        try:
            stage.work(folder)
        finally:
            spent += time.monotonic() - started
            write_json_atomic(marker, {"key": key, "outputs": None, "seconds": spent})
        outputs = _hashes(folder, stage.outputs)
        missing = [name for name, digest in outputs.items() if digest is None]
        if missing:
            raise DataError(f"the stage {stage.name} did not write {', '.join(missing)}")
        write_json_atomic(marker, {"key": key, "outputs": outputs, "seconds": spent})
        return self._done(stage, "finished", spent)

    def _done(self, stage: Stage, status: str, seconds: float) -> StageReport:
        report = StageReport(name=stage.name, why=stage.why, status=status, seconds=seconds)
        self.reports.append(report)
        return report


def _key(stage: Stage) -> str:
    settings = stage.settings
    plain = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else dict(settings)
    parts = [stage.name, json.dumps(plain, sort_keys=True), *stage.outputs]
    parts += [sha256_file(path) for path in stage.inputs]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str | None]:
    return {
        name: sha256_file(folder / name) if (folder / name).is_file() else None for name in names
    }
