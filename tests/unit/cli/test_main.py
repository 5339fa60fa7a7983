"""The command as a person types it: real processes where exit codes and speed count."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import heedful
from fakes.quickstart_folder import write_quickstart_folder
from fakes.tiny_models import build_model_dir
from heedful.cli.main import app
from heedful.core.config import walk_settings
from heedful.core.settings import Project

RUNNER = CliRunner()
# Tells on standard error whether torch was imported, whatever else happens.
PROBE = (
    "import sys\nfrom heedful.cli.main import main\nsys.argv = ['heedful', *sys.argv[1:]]\n"
    "try:\n    main()\nfinally:\n    print('torch:', 'torch' in sys.modules, file=sys.stderr)\n"
)


def heedful_process(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **options},
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["train", "--help"], 0),
        (["config"], 0),
        (["model", "list"], 0),
        (["train", "ppo", "--set", "run.dir=x", "--dry-run"], 0),
        (["quickstart", "--dry-run"], 0),
        (["train", "ppo", "--set", "run.dir=x", "--set", "ppo.klcoef=1"], 2),
        (["quickstart", "--set", "ppo.klcoef=1"], 2),
        (["data", "--help"], 0),
        (["data", "prepare", "--help"], 0),
        (["data", "prepare", "no-such-file.toml"], 2),
        (["data", "why", "prompt-1", "--run", "no-such-folder"], 2),
        (["label", "--help"], 0),
        (["label", "export", "--help"], 0),
        (["label", "project", "list", "--database", "no-such-file.db"], 2),
        (["report", "no-such-folder"], 2),
        (["trian"], 2),
    ],
    ids=str,
)
def test_what_needs_no_model_answers_without_torch(arguments: list[str], code: int) -> None:
    done = heedful_process(*arguments, HEEDFUL_CACHE="no-such-folder")
    assert done.returncode == code, done.stderr
    assert done.stderr.endswith("torch: False\n")
    assert "Traceback" not in done.stderr


def test_a_mistake_is_a_paragraph_and_a_hint() -> None:
    done = heedful_process("train", "ppo", "--set", "run.dir=x", "--set", "ppo.klcoef=1")
    assert done.stdout == ""
    assert done.stderr.splitlines()[:2] == [
        "Error: unknown setting `ppo.klcoef` (from --set ppo.klcoef=1)",
        "Did you mean `ppo.kl_coef`?",
    ]


def test_a_broken_line_of_data_names_file_line_and_field(tmp_path: Path) -> None:
    rows = ['{"prompt": "a", "completion": "b"}'] * 9
    rows[6] = '{"prompt": "a", "completion": 7}'
    data = tmp_path / "mine.jsonl"
    data.write_text("\n".join(rows))
    model = build_model_dir(tmp_path / "tiny")
    settings = {
        "run.dir": tmp_path / "run",
        "model.name": model,
        "data.demonstrations": data,
    }
    pairs = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    done = heedful_process("train", "sft", *pairs)
    assert done.returncode == 2, done.stderr
    assert f"Error: {data}, line 7, field `completion`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    code = (
        "import heedful.cli.main as m\ndef app(): raise ValueError('ours')\nm.app = app\nm.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ValueError: ours" in done.stderr


def test_ctrl_c_saves_and_ends_with_130(tmp_path: Path) -> None:
    """The tiny model would train for a long time; the signal comes after its first steps."""
    model = build_model_dir(tmp_path / "tiny")
    data = tmp_path / "mine.jsonl"
    data.write_text('{"prompt": "a", "completion": "b"}\n' * 64)
    settings = {
        "run.dir": tmp_path / "run",
        "model.name": model,
        "data.demonstrations": data,
        "sft.epochs": 100_000,
        "sft.choose_by": "last",
        "data.validation_share": "0.0",
    }
    pairs = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    with subprocess.Popen(
        [sys.executable, "-m", "heedful", "train", "sft", *pairs], stderr=subprocess.PIPE, text=True
    ) as process:
        metrics = tmp_path / "run" / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "The same command resumes it." in errors
    assert (tmp_path / "run" / "state" / "state.json").exists()


def test_the_version() -> None:
    assert RUNNER.invoke(app, ["--version"]).output == f"heedful {heedful.__version__}\n"


def test_no_command_and_a_wrong_one_show_the_way() -> None:
    assert "quickstart" in RUNNER.invoke(app, []).output
    wrong = RUNNER.invoke(app, ["trian"])
    assert wrong.exit_code == 2
    assert "No such command 'trian'" in wrong.output
    assert "heedful --help" in wrong.output


def test_config_lists_every_setting() -> None:
    lines = RUNNER.invoke(app, ["config"]).output.splitlines()
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == [name for name, _ in walk_settings(Project)]
    assert "run.dir (needed)" in lines
    assert "run.tensorboard = false" in lines
    assert "data.limit (none)" in lines


def test_a_report_is_written_where_it_is_said(tmp_path: Path) -> None:
    folder = write_quickstart_folder(tmp_path / "run")
    result = RUNNER.invoke(app, ["report", str(folder), "--out", str(tmp_path / "page.html")])
    assert result.output == f"Report: {tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert "report.html" in RUNNER.invoke(app, ["report", str(folder)]).output
