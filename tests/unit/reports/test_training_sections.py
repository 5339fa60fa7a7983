"""Learning curves and the reward model, from whichever runs there are."""

from pathlib import Path

from fakes.quickstart_folder import write_ppo_run, write_reward_run
from heedful.reports.project import Project, read_project
from heedful.reports.training_sections import learning_curves, reward_model


def test_runs_of_a_stage_share_their_axes(project: Project) -> None:
    figures = {figure.title: figure for figure in learning_curves(project).figures}
    assert figures["Score"].table.columns == (
        "PPO iterations",
        "PPO",
        "PPO, held out",
        "PPO-ptx",
        "PPO-ptx, held out",
    )
    assert "PPO start" in figures["SFT loss"].table.columns
    assert {"KL to the start", "Length", "Ended by itself", "Entropy"} <= set(figures)
    assert all(figure.simulated for figure in figures.values())


def test_captions_come_from_the_table_of_metrics(project: Project) -> None:
    kl = next(f for f in learning_curves(project).figures if f.title == "KL to the start")
    assert kl.caption.startswith("Mean over rollouts of the summed log-ratio")
    assert "(nats)" in kl.caption


def test_absent_stages_are_named(tmp_path: Path) -> None:
    write_ppo_run(tmp_path / "ppo", ptx=False)
    section = learning_curves(read_project(tmp_path))
    assert [text.split(":")[0] for text in section.missing] == [
        "No learning curves of supervised fine-tuning (language/loss)",
        "No learning curves of a reward model (reward/loss)",
    ]
    assert "Pretraining loss" not in {figure.title for figure in section.figures}


def test_reward_model_stands_beside_the_length_baseline(project: Project) -> None:
    section = reward_model(project)
    figures = {figure.title: figure for figure in section.figures}
    assert set(figures) == {"Held-out accuracy", "Calibration", "Scores by source"}
    assert [row[0] for row in figures["Held-out accuracy"].table.rows] == [
        "Reward model",
        "Longer one wins",
    ]
    assert section.tables[0].rows[-1][0] == "reward model: calibration error"
    assert section.missing == ()


def test_reward_runs_of_several_seeds_are_told_apart(tmp_path: Path) -> None:
    for seed in ("seed-1", "seed-2"):
        write_reward_run(tmp_path / seed / "reward")
    section = reward_model(read_project(tmp_path))
    assert len({figure.key for figure in section.figures}) == len(section.figures) == 6
    assert "Calibration, seed-2/reward" in {figure.title for figure in section.figures}


def test_no_reward_run_is_said(tmp_path: Path) -> None:
    write_ppo_run(tmp_path / "ppo", ptx=False)
    section = reward_model(read_project(tmp_path))
    assert section.figures == ()
    assert section.missing[0].startswith("No measurements of a reward model")
