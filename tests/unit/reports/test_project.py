"""Reading a folder: whole, in part, damaged."""

import shutil
from pathlib import Path

import pytest

from fakes.quickstart_folder import NUM_PROMPTS, STAGES, write_ppo_run, write_reward_run
from heedful.core.errors import DataError
from heedful.reports.project import Project, read_project


def test_a_whole_folder_is_read(project: Project) -> None:
    assert tuple(run.name for run in project.runs) == STAGES
    assert len(project.prompts) == NUM_PROMPTS
    assert project.quickstart is not None
    assert project.quickstart.seed == 0
    assert project.simulated


def test_what_the_evaluation_measured_is_the_projects_alone(project: Project) -> None:
    evaluation = project.runs[-1]
    assert evaluation.name == "evaluation"
    assert not evaluation.results
    assert not evaluation.scores
    assert project.results
    assert project.scores


def test_one_run_directory_is_a_project(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    project = read_project(tmp_path / "reward")
    assert [run.name for run in project.runs] == ["reward"]
    assert project.runs[0].calibration is not None
    assert project.prompts == []


def test_runs_two_levels_down_are_found_and_runs_inside_runs_are_not(tmp_path: Path) -> None:
    write_ppo_run(tmp_path / "seed-1" / "ppo", ptx=False)
    write_ppo_run(tmp_path / "seed-2" / "ppo", ptx=False)
    write_reward_run(tmp_path / "seed-2" / "ppo" / "checkpoint" / "reward")
    assert [run.name for run in read_project(tmp_path).runs] == ["seed-1/ppo", "seed-2/ppo"]


def test_a_folder_without_anything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run directory"):
        read_project(tmp_path)
    with pytest.raises(DataError, match="holds no run directory"):
        read_project(tmp_path / "absent")


def test_a_broken_line_is_named_with_file_line_and_field(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    scores = copy / "evaluation" / "scores.jsonl"
    lines = scores.read_text(encoding="utf-8").splitlines()
    lines[6] = lines[6].replace('"score"', '"skore"')
    scores.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match=r"scores\.jsonl, line 7, field `score`"):
        read_project(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "calibration.json: not valid JSON"),
        ("[]", "calibration.json: holds list, not an object"),
        ('{"bins": [{"low": 0}]}', "calibration.json, field `bins.0.high`"),
    ],
)
def test_a_damaged_json_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    write_reward_run(tmp_path / "reward")
    (tmp_path / "reward" / "calibration.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_project(tmp_path)
