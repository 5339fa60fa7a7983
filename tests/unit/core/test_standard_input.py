"""What is piped into a run is kept there, so that the run can be resumed."""

import io
from pathlib import Path

import pytest

from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.run import RunDirectory
from heedful.core.settings import DataSettings, ModelSettings, Project, RunSettings
from heedful.core.standard_input import take_standard_input


@pytest.fixture
def config(tmp_path: Path) -> Project:
    return Project(
        run=RunSettings(dir=tmp_path / "run"),
        model=ModelSettings(name="m"),
        data=DataSettings(rankings=Path("-"), demonstrations=Path("-"), prompts=Path("a.jsonl")),
    )


def take(config: Project, content: bytes) -> Project:
    return take_standard_input(config, io.BytesIO(content))


def begin(config: Project) -> None:
    RunDirectory.start(config.run.dir, kind="reward", seed=0, config=config)


def test_the_stream_becomes_a_file_of_the_run(config: Project) -> None:
    taken = take(config, b"one\ntwo\n")
    kept = config.run.dir / "stdin.jsonl"
    assert kept.read_bytes() == b"one\ntwo\n"
    assert (taken.data.rankings, taken.data.demonstrations) == (kept, kept)
    assert taken.data.prompts == Path("a.jsonl")
    begin(taken)


def test_other_settings_do_not_touch_the_stream(config: Project) -> None:
    plain = config.model_copy(update={"data": DataSettings(rankings=Path("a.jsonl"))})
    stream = io.BytesIO(b"x")
    assert take_standard_input(plain, stream) is plain
    assert stream.read() == b"x"


def test_without_a_pipe_an_unfinished_run_goes_on_with_what_it_kept(config: Project) -> None:
    begin(take(config, b"one"))
    assert take(config, b"") == take(config, b"one")
    assert (config.run.dir / "stdin.jsonl").read_bytes() == b"one"


def test_a_run_with_saved_state_refuses_another_stream(config: Project) -> None:
    begin(take(config, b"one"))
    (config.run.dir / "state").mkdir()
    take(config, b"one")
    with pytest.raises(CheckpointError, match=r"not what the run in .* began with"):
        take(config, b"other")
    assert (config.run.dir / "stdin.jsonl").read_bytes() == b"one"
    assert sorted(path.name for path in config.run.dir.iterdir()) == [
        "config.json",
        "run.json",
        "state",
        "stdin.jsonl",
    ]


def test_a_run_that_saved_nothing_takes_the_new_stream(config: Project) -> None:
    begin(take(config, b"one"))
    begin(take(config, b"other"))
    assert (config.run.dir / "stdin.jsonl").read_bytes() == b"other"


def test_a_finished_run_is_left_alone(config: Project) -> None:
    taken = take(config, b"one")
    with RunDirectory.start(config.run.dir, kind="reward", seed=0, config=taken):
        pass
    with pytest.raises(ConfigError, match="finished reward run"):
        begin(take(config, b"other"))
    assert (config.run.dir / "stdin.jsonl").read_bytes() == b"one"


def test_nothing_piped_in_is_an_error(config: Project) -> None:
    with pytest.raises(ConfigError, match=r"`data.demonstrations` is `-`, and nothing is piped"):
        take(config, b"")


def test_a_folder_that_is_no_run_is_not_written_to(config: Project) -> None:
    config.run.dir.mkdir()
    (config.run.dir / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        take(config, b"one")
    assert [path.name for path in config.run.dir.iterdir()] == ["thesis.txt"]


def test_a_plan_keeps_the_stream_elsewhere(config: Project, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    taken = take_standard_input(config, io.BytesIO(b"one"), folder=folder)
    assert taken.data.rankings == folder / "stdin.jsonl"
    assert not config.run.dir.exists()
