"""Completions side by side: chosen without looking, in parts, with what was measured."""

import dataclasses
from pathlib import Path

from fakes.quickstart_folder import QUALITIES, USE_CASES, write_ppo_run, write_reward_run
from heedful.reports.project import Project, read_project
from heedful.reports.samples_sections import NUM_PROMPTS, side_by_side, training_samples


def test_a_dozen_prompts_over_all_use_cases(project: Project) -> None:
    prompts = side_by_side(project).prompts
    assert len(prompts) == NUM_PROMPTS
    kinds = [prompt.kind for prompt in prompts]
    assert {kind.replace(" ", "_") for kind in kinds[: len(USE_CASES)]} == set(USE_CASES)
    assert all(len(prompt.answers) == len(QUALITIES) for prompt in prompts)


def test_prompts_are_shown_in_their_parts(project: Project) -> None:
    names = {name for prompt in side_by_side(project).prompts for name, _ in prompt.parts}
    assert names == {"prompt", "context", "user", "example", "its completion"}


def test_answers_carry_score_length_and_verdict(project: Project) -> None:
    answers = {answer.label: answer for answer in side_by_side(project).prompts[0].answers}
    notes = answers["PPO"].notes
    assert notes[0].startswith("score ")
    assert notes[1:3] == ("20 tokens", "cut off at the length limit")
    assert notes[3].endswith("against SFT (3 verdicts)")
    assert not any("against SFT" in note for note in answers["SFT"].notes)


def test_completions_without_prompts_are_said_to_be_so(project: Project) -> None:
    section = side_by_side(dataclasses.replace(project, prompts=[]))
    assert section.missing == ("No completions to compare: data/prompts.jsonl is absent.",)


def test_training_samples_show_the_first_and_last_step(tmp_path: Path) -> None:
    write_ppo_run(tmp_path / "ppo", ptx=False)
    section = training_samples(read_project(tmp_path))
    assert section is not None
    assert len(section.prompts) == 3
    assert [answer.label for answer in section.prompts[0].answers] == ["Step 0", "Step 50"]


def test_no_samples_no_section(tmp_path: Path) -> None:
    write_reward_run(tmp_path / "reward")
    assert training_samples(read_project(tmp_path)) is None
