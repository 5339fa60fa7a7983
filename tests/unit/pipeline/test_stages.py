import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from heedful.core.errors import ConfigError, DataError, Interrupted
from heedful.pipeline.stages import Pipeline, Stage
from heedful.training.display import Display


@dataclass
class Bench:
    """A pipeline of one stage that copies its input; counts how often it worked."""

    path: Path
    settings: dict[str, int] = field(default_factory=lambda: {"size": 1})
    worked: int = 0
    folder_before: list[str] = field(default_factory=list)
    shown: io.StringIO = field(default_factory=io.StringIO)

    @property
    def source(self) -> Path:
        return self.path.parent / "input.txt"

    def copy(self, folder: Path) -> None:
        self.worked += 1
        self.folder_before = sorted(file.name for file in folder.iterdir())
        (folder / "output.txt").write_text(self.source.read_text() * self.settings["size"])

    def run(self, work: Callable[[Path], object] | None = None) -> str:
        """The status of a run by a new process."""
        display = Display(Console(file=self.shown, width=80))
        stage = Stage(
            name="copy",
            why="Copy the input [all of it].",
            settings=self.settings,
            inputs=[self.source],
            outputs=["output.txt"],
            work=work or self.copy,
        )
        return Pipeline(self.path, display).run(stage, number=1, total=2).status


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found = Bench(tmp_path / "pipeline")
    found.source.write_text("a")
    return found


def test_an_unchanged_stage_is_skipped(bench: Bench) -> None:
    assert [bench.run(), bench.run()] == ["finished", "skipped"]
    assert bench.worked == 1


def test_the_person_reads_what_happens_and_how_long_it_took(bench: Bench) -> None:
    bench.run()
    bench.run()
    assert bench.shown.getvalue().splitlines() == [
        "1/2 copy: Copy the input [all of it].",
        "  copy took 0 s.",
        "1/2 copy: unchanged, skipped.",
    ]


def test_a_changed_input_clears_the_folder_and_runs_again(bench: Bench) -> None:
    bench.run()
    (bench.path / "copy" / "left-over.txt").touch()
    bench.source.write_text("b")
    assert bench.run() == "finished"
    assert bench.folder_before == []
    assert (bench.path / "copy" / "output.txt").read_text() == "b"


def test_only_the_content_of_an_input_counts(bench: Bench) -> None:
    bench.run()
    bench.source.unlink()
    bench.source.write_text("a")
    assert bench.run() == "skipped"


def test_changed_settings_run_again(bench: Bench) -> None:
    bench.run()
    bench.settings["size"] = 2
    assert bench.run() == "finished"
    assert (bench.path / "copy" / "output.txt").read_text() == "aa"


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("other")])
def test_a_damaged_output_is_made_again_in_a_clear_folder(
    bench: Bench, damage: Callable[[Path], None]
) -> None:
    bench.run()
    (bench.path / "copy" / "run.json").write_text("finished")
    damage(bench.path / "copy" / "output.txt")
    assert bench.run() == "finished"
    assert bench.folder_before == []


def test_a_missing_output_is_an_error_each_time(bench: Bench) -> None:
    for _ in range(2):
        with pytest.raises(DataError, match=r"the stage copy did not write output\.txt"):
            bench.run(work=Path.exists)
    assert bench.run() == "finished"


def interrupt(folder: Path) -> None:
    (folder / "output.txt").write_text("half")
    (folder / "state").mkdir(exist_ok=True)
    raise Interrupted("Stopped.")


def test_an_interrupted_stage_goes_on_where_it_stopped(bench: Bench) -> None:
    with pytest.raises(Interrupted):
        bench.run(work=interrupt)
    assert bench.run() == "finished"
    assert bench.folder_before == ["output.txt", "state"]


def test_an_interrupted_stage_is_not_taken_for_a_finished_one(bench: Bench) -> None:
    for _ in range(2):
        with pytest.raises(Interrupted):
            bench.run(work=interrupt)
    marker = json.loads((bench.path / "stages" / "copy.json").read_text())
    assert marker["outputs"] is None


def test_a_stage_that_left_no_state_begins_anew(bench: Bench) -> None:
    def fail(folder: Path) -> None:
        (folder / "half.txt").touch()
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="Stopped in the stage copy"):
        bench.run(work=fail)
    assert bench.run() == "finished"
    assert bench.folder_before == []


def test_state_of_other_settings_is_not_resumed(bench: Bench) -> None:
    with pytest.raises(Interrupted):
        bench.run(work=interrupt)
    bench.settings["size"] = 2
    assert bench.run() == "finished"
    assert bench.folder_before == []


def test_a_folder_of_somebody_else_is_never_cleared(bench: Bench) -> None:
    mine = bench.path / "copy" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    for _ in range(2):
        with pytest.raises(ConfigError, match="no stage of this pipeline wrote it"):
            bench.run()
    assert mine.read_text() == "years of work"


def test_reports_keep_the_time_of_skipped_stages(bench: Bench) -> None:
    bench.run()
    marker = bench.path / "stages" / "copy.json"
    noted = json.loads(marker.read_text())
    marker.write_text(json.dumps({**noted, "seconds": 321.0}))
    pipeline = Pipeline(bench.path, Display(quiet=True))
    stage = Stage(
        name="copy",
        why="",
        settings=bench.settings,
        inputs=[bench.source],
        outputs=["output.txt"],
        work=bench.copy,
    )
    pipeline.run(stage, number=1, total=1)
    assert [(report.status, report.seconds) for report in pipeline.reports] == [("skipped", 321.0)]
