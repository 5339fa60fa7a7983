"""`heedful data ...` as it is typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.data_room_sources import write_sources
from fakes.label_shell import LabelShell
from fakes.labelling_store import demo_project, demo_prompt
from heedful.cli.main import app
from heedful.core.config import load_config
from heedful.core.data_settings import DataRoom
from heedful.core.errors import ConfigError, HeedfulError
from heedful.core.jsonl import read_records
from heedful.core.records import Prompt
from heedful.data.lineage import Dropped
from heedful.store.contents import add_prompts

RUNNER = CliRunner()


def data(*arguments: object) -> str:
    result = RUNNER.invoke(app, ["data", *map(str, arguments)])
    if isinstance(result.exception, HeedfulError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_sources(tmp_path_factory.mktemp("cli"))
    data("prepare", path)
    return path


def test_a_dry_run_prints_settings_that_give_themselves_again(tmp_path: Path) -> None:
    project = write_sources(tmp_path)
    shown = data("prepare", project, "--dry-run", "--max-rejects", 9, "--set", "cap.per_user=5")
    again = tmp_path / "again.toml"
    again.write_text(shown)
    config = load_config(DataRoom, [again])
    assert {source.max_rejects for source in config.sources} == {9}
    assert config.cap.per_user == 5
    assert f"# {tmp_path / 'tasks.jsonl'}: " in shown
    assert not config.run.dir.exists()


def test_prepare_says_where_things_are_and_skips_what_is_done(project: Path) -> None:
    run = project.parent / "run"
    assert data("prepare", project).splitlines() == [
        f"For the trainers: {run / 'result'}",
        f"Report: {run / 'report.html'}",
    ]


def test_why(project: Path) -> None:
    run = project.parent / "run"
    first, *_ = read_records(run / "dedup" / "dropped.jsonl", Dropped)
    line, *_ = data("why", first.id, "--run", run).splitlines()
    assert line == f"dedup: {first.id} was dropped: {first.reason}, because of {first.because_of}."


def test_the_page_can_be_written_again(project: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert data("report", project.parent / "run", "--out", page) == f"Report: {page}\n"
    assert page.stat().st_size > 10_000


def test_two_sets_are_compared(project: Path, tmp_path: Path) -> None:
    run = project.parent / "run"
    shown = data("compare", run / "read", run, "--out", tmp_path / "both")
    assert shown == f"Report: {tmp_path / 'both' / 'report.html'}\n"


def test_release_and_withdrawal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEEDFUL_SALT", "a salt of more than sixteen bytes")
    project = write_sources(tmp_path)
    data("prepare", project)
    run, out, register = tmp_path / "run", tmp_path / "out", tmp_path / "withdrawals.jsonl"
    shown = data("release", out, "--run", run, "--title", "Ours", "--withdrawals", register)
    assert f"Release: {out}" in shown
    assert "demonstrations: " in shown
    user = read_records(run / "result" / "prompts.jsonl", Prompt)[0].user_id
    assert user in (run / "read" / "prompts.jsonl").read_text()
    shown = data("withdraw", user, "--in", run, "--in", out, "--withdrawals", register)
    assert "removed" in shown
    assert not any(user.encode() in f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    data("prepare", project)
    assert user not in (run / "result" / "prompts.jsonl").read_text()
    reasons = {item.reason for item in read_records(run / "read" / "dropped.jsonl", Dropped)}
    assert "withdrawn" in reasons


def test_a_withdrawal_reaches_the_labelling_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEEDFUL_DATABASE", raising=False)
    monkeypatch.chdir(tmp_path)
    shell = LabelShell(tmp_path)
    with shell.open() as database, database.write() as session:
        hers = demo_prompt("ilse").model_copy(update={"user_id": "ilse@example.org"})
        add_prompts(session, demo_project(session, num_prompts=1).id, [hers])
    with pytest.raises(ConfigError, match="nothing to look through"):
        data("withdraw", "ilse@example.org")
    shown = data("withdraw", "ilse@example.org", "--database", tmp_path / shell.file)
    assert "withdrawals.jsonl: their withdrawal is registered." in shown
    assert "heedful.db: removed: prompts 1; their withdrawal is registered there." in shown
    monkeypatch.setenv("HEEDFUL_DATABASE", shell.url)
    assert "nothing of theirs was found" in data("withdraw", "ilse@example.org")
