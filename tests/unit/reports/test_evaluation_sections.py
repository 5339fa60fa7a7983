"""Win rates, quality, scores, pretraining loss, and results of other kinds."""

import dataclasses
from pathlib import Path

import pytest

from fakes.quickstart_folder import result, write_ppo_run, write_reward_run
from heedful.reports.evaluation_sections import (
    before_and_after,
    headline,
    other_results,
    win_rates,
)
from heedful.reports.project import Project, read_project


def with_win_rate(project: Project, value: float) -> Project:
    found = result("win_rate_vs_sft", "win_rate", value, 0.05, "ppo_ptx")
    return dataclasses.replace(project, results=[found])


@pytest.mark.parametrize(
    ("value", "meaning"),
    [(0.6, "above one half"), (0.52, "no difference is shown"), (0.4, "SFT is the better model")],
)
def test_headline_says_what_the_interval_allows(
    project: Project, value: float, meaning: str
) -> None:
    title, said = headline(with_win_rate(project, value))
    assert title.startswith(f"PPO-ptx wins {100 * value:.1f}")
    assert meaning in said


def test_headline_without_win_rates_is_the_reward_model(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    title, said = headline(read_project(tmp_path))
    assert title.startswith("The reward model orders 68.4")
    assert "(65.4 to 71.4)" in said
    assert "the longer one wins” 57.1" in said


def test_headline_of_nothing_measured_claims_nothing(tmp_path: Path) -> None:
    write_ppo_run(tmp_path / "ppo", ptx=False)
    assert headline(read_project(tmp_path))[0] == "A report of runs"


def test_win_rates_follow_the_papers_order_with_sft_as_the_reference(project: Project) -> None:
    figure = win_rates(project).figures[0]
    assert [row[0] for row in figure.table.rows] == [
        "Start model",
        "Start, few-shot",
        "SFT (reference)",
        "PPO",
        "PPO-ptx",
    ]
    assert figure.simulated


def test_results_by_persons_carry_no_badge(project: Project) -> None:
    found = result("win_rate_vs_sft", "win_rate", 0.6, 0.1, "ppo", made_by="person")
    assert not win_rates(dataclasses.replace(project, results=[found])).figures[0].simulated


def test_before_and_after_has_every_measure(project: Project) -> None:
    section = before_and_after(project)
    assert [figure.title for figure in section.figures] == [
        "Overall quality",
        "Reward model scores on held-out prompts",
        "Pretraining loss",
    ]
    flags, lengths = section.tables
    assert flags.columns[:2] == ("Flag", "Start model")
    assert len(flags.rows) == 11
    assert [row[0] for row in lengths.rows][-1] == "PPO-ptx"
    assert section.missing == ()


def test_absent_measures_are_named(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    project = read_project(tmp_path)
    assert len(before_and_after(project).missing) == 3
    assert win_rates(project).missing[0].startswith("No win rates")
    assert other_results(project) is None


def test_other_tasks_are_listed_not_dropped(project: Project) -> None:
    found = result("hellaswag", "accuracy", 0.41, 0.02, "sft", made_by=None)
    section = other_results(dataclasses.replace(project, results=[found]))
    assert section is not None
    assert section.tables[0].rows == (("hellaswag", "accuracy", "SFT", "0.410 (0.390 to 0.430)"),)
    assert not section.tables[0].simulated
