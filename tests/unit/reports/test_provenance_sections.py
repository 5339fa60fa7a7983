"""Stages, cost, run cards and who made the labels."""

import json
from pathlib import Path

from fakes.quickstart_folder import write_reward_run
from heedful.reports.project import Project, read_project
from heedful.reports.provenance_sections import cost, labels, lineage, stages, when_and_where


def test_stages_say_what_and_why(project: Project) -> None:
    section = stages(project)
    assert section.tables[0].rows[1][0] == "SFT"
    assert section.tables[0].rows[1][3] == "2 min 21 s"
    assert [table.caption for table in section.tables[1:]] == ["Sizes", "Split"]
    assert section.tables[1].rows == (("prompts.train", "340"),)


def test_cost_adds_up_but_for_the_peak(project: Project) -> None:
    table = cost(project).tables[0]
    assert [row[0] for row in table.rows][-1] == "All runs"
    assert table.rows[-1][1:] == (
        "24 min 00 s",
        "240.0 k",
        "1.7 M",
        "9.4 M",
        "28.8 PFLOP",
        "2.24 GiB",
    )


def test_run_cards_show_identity_inputs_and_all_settings(project: Project) -> None:
    run = lineage(project).runs[-1]
    facts = dict(run.facts.rows)
    assert facts["Settings hash"] == "5f0c1d2e3a4b5c6d"
    assert facts["Parent: init"] == "sft-0123456789abcdef"
    assert facts["Labels"] == "some simulated"
    assert run.inputs is not None
    assert run.inputs.rows == (("prompts", "data/p.jsonl", "ab" * 32),)
    assert "ppo.kl_coef" in dict(run.settings.rows)


def test_paths_outside_the_folder_are_cut_to_their_name(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    inputs = lineage(read_project(tmp_path / "reward")).runs[0].inputs
    assert inputs is not None
    assert inputs.rows[0][1] == "p.jsonl"


def test_an_unfinished_run_is_called_so(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    card = tmp_path / "reward" / "run.json"
    written = json.loads(card.read_text(encoding="utf-8")) | {"status": "interrupted"}
    card.write_text(json.dumps(written), encoding="utf-8")
    section = lineage(read_project(tmp_path))
    assert "Reward model has not finished (status: interrupted)" in section.missing[0]


def test_labels_are_counted_by_who_made_them(project: Project) -> None:
    section = labels(project)
    assert section.tables[0].rows == (
        ("Demonstrations", "4", "0", "0"),
        ("Rankings", "0", "6", "0"),
        ("Verdicts", "0", "216", "0"),
    )
    assert "not from people" in section.lead[0]


def test_folders_without_a_quickstart_say_so(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    project = read_project(tmp_path)
    assert stages(project).missing[0].startswith("No list of stages")
    assert labels(project).missing[0].startswith("No label files")


def test_the_date_is_that_of_the_runs(project: Project) -> None:
    text = when_and_where([run.card for run in project.runs])
    assert text == "20 November 2026 · seed 0 · revision 7e77cb7aa001"
    assert when_and_where([]) == ""
