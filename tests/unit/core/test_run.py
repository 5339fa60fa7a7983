import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import BaseModel

from heedful.core import run as run_module
from heedful.core.errors import CheckpointError, ConfigError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import RowError
from heedful.core.run import (
    Cost,
    RunDirectory,
    git_revision,
    hardware,
    package_versions,
    read_card,
    read_jsonl,
)


class Settings(BaseModel):
    epochs: int = 1


def start(path, *, kind="sft", seed=0, epochs=1):
    return RunDirectory.start(path, kind=kind, seed=seed, config=Settings(epochs=epochs))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run"


class TestStart:
    def test_writes_the_card_and_the_settings(self, path):
        start(path, seed=7)
        card = read_card(path)
        assert (card.kind, card.seed, card.status) == ("sft", 7, "running")
        assert json.loads((path / "config.json").read_text()) == {"epochs": 1}

    def test_says_with_what_it_ran(self, path):
        card = start(path).card
        assert card.versions["python"].startswith("3.")
        assert "torch" in card.versions
        assert int(card.hardware["cores"]) >= 1

    def test_takes_an_empty_folder(self, path):
        path.mkdir()
        assert start(path).card.status == "running"

    def test_refuses_a_folder_that_holds_something_else(self, path):
        path.mkdir()
        (path / "config.json").write_text("somebody's model")
        with pytest.raises(ConfigError, match="not empty, and what it holds is no run"):
            start(path)
        assert (path / "config.json").read_text() == "somebody's model"

    def test_refuses_a_file(self, path):
        path.write_text("")
        with pytest.raises(ConfigError, match="cannot be made a run directory"):
            start(path)


class TestResume:
    def test_an_unfinished_run_is_taken_up(self, path):
        began = start(path).card.started_at
        assert start(path).card.started_at == began

    def test_a_finished_run_is_refused(self, path):
        with start(path):
            pass
        with pytest.raises(ConfigError, match="holds a finished sft run"):
            start(path)

    @pytest.mark.parametrize("other", [{"epochs": 2}, {"seed": 1}, {"kind": "reward"}])
    def test_saved_work_is_not_mixed_with_other_settings(self, path, other):
        start(path)
        (path / "state").mkdir()
        with pytest.raises(ConfigError, match="unfinished sft run with other settings"):
            start(path, **other)

    def test_a_run_that_saved_nothing_makes_way_for_other_settings(self, path):
        began = start(path).card.started_at
        (path / "metrics.jsonl").write_text('{"step": 1}\n')
        run = start(path, epochs=2)
        assert run.card.started_at > began
        assert json.loads((path / "config.json").read_text()) == {"epochs": 2}
        assert not (path / "metrics.jsonl").exists()

    def test_costs_add_up_over_the_parts(self, path):
        with suppress(RuntimeError), start(path) as run:
            run.card.cost.add_tokens(10, trained=1)
            raise RuntimeError
        before = read_card(path).cost
        with start(path) as run:
            run.card.cost.add_tokens(10, trained=1)
        after = read_card(path).cost
        assert after.trained_tokens == 2
        assert after.flops == 120
        assert after.seconds > before.seconds
        assert after.peak_memory_bytes >= before.peak_memory_bytes


class TestStatus:
    def test_is_finished_when_the_block_ends(self, path):
        with start(path):
            assert read_card(path).status == "running"
        card = read_card(path)
        assert card.status == "finished"
        assert card.finished_at is not None
        assert card.finished_at >= card.started_at

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_is_interrupted_when_an_error_passes(self, path, error):
        with pytest.raises(error), start(path):
            raise error
        card = read_card(path)
        assert (card.status, card.finished_at) == ("interrupted", None)

    def test_what_was_noted_is_kept(self, path):
        with start(path) as run:
            run.card.simulated = True
            run.card.notes.append("3 prompts were dropped.")
        assert read_card(path).simulated
        assert read_card(path).notes == ["3 prompts were dropped."]


def test_inputs_are_known_by_content(path, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    with start(path) as run:
        run.add_input("demonstrations", data)
    assert read_card(path).inputs["demonstrations"].sha256 == sha256_file(data)


def test_a_folder_is_known_by_its_files(path, tmp_path):
    folder = tmp_path / "data"
    (folder / "more").mkdir(parents=True)
    (folder / "prompts.jsonl").write_text("{}\n")
    run = start(path)
    run.add_input("demonstrations", folder)
    assert run.card.inputs.keys() == {"demonstrations/prompts.jsonl"}


def test_a_resumed_run_refuses_inputs_that_have_changed(path, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    run = start(path)
    run.add_input("demonstrations", data)
    data.write_text("{}\n{}\n")
    run.add_input("demonstrations", data)  # nothing is saved yet: the run begins anew
    (path / "state").mkdir()
    run.add_input("demonstrations", data)
    data.write_text("{}\n")
    with pytest.raises(CheckpointError, match=r"data\.jsonl has changed since the run"):
        run.add_input("demonstrations", data)


def test_flops_are_two_forward_and_six_trained_per_parameter():
    cost = Cost()
    cost.add_tokens(100, generated=1, scored=2, trained=3)
    assert cost.flops == 100 * (2 * 3 + 6 * 3)


class TestReadCard:
    def test_a_folder_without_a_card_is_no_run(self, tmp_path):
        with pytest.raises(CheckpointError, match=r"not a run directory: it has no run\.json"):
            read_card(tmp_path)

    @pytest.mark.parametrize("text", ["{", '{"kind": "sft"}', "[]"])
    def test_a_damaged_card_is_named(self, tmp_path, text):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"run\.json: not a run card"):
            read_card(tmp_path)


class TestReadJsonl:
    def test_a_file_that_was_not_written_has_no_rows(self, tmp_path):
        assert list(read_jsonl(tmp_path / "samples.jsonl")) == []

    def test_a_line_separator_in_a_text_does_not_end_the_row(self, tmp_path):
        file = tmp_path / "samples.jsonl"
        file.write_text('{"text": "a\u2028b\x85c"}\n', encoding="utf-8")
        assert list(read_jsonl(file)) == [{"text": "a\u2028b\x85c"}]

    def test_a_half_written_last_line_is_passed_over(self, tmp_path):
        file = tmp_path / "samples.jsonl"
        file.write_text('{"step": 1}\n{"st')
        assert list(read_jsonl(file)) == [{"step": 1}]

    @pytest.mark.parametrize("rest", ['{"step": 2}\n', "{\n"])
    def test_another_broken_line_is_named(self, tmp_path, rest):
        file = tmp_path / "samples.jsonl"
        file.write_text('{"st\n' + rest)
        with pytest.raises(RowError, match="line 1"):
            list(read_jsonl(file))


class TestGitRevision:
    def test_is_none_for_a_package_inside_another_repository(self, tmp_path):
        """A wheel in a project's .venv must not report that project's revision."""
        installed = tmp_path / "site-packages"
        shutil.copytree(Path(run_module.__file__).parents[1] / "core", installed / "heedful/core")
        (installed / "heedful/__init__.py").touch()
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
        program = "from heedful.core import run; print(run.__file__, run.git_revision())"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [str(installed / "heedful/core/run.py"), "None"]

    def test_names_this_checkout(self, repository):
        if not (repository / ".git").exists():
            pytest.skip("not a git checkout")
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True
        )
        revision = git_revision()
        assert revision is not None
        assert head.stdout.startswith(revision.removesuffix("-dirty"))


def test_the_machine_is_described():
    assert hardware()["cores"]
    assert package_versions()["heedful"]
