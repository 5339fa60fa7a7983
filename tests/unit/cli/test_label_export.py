import subprocess
import sys
from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelled_project import LabelledProject, labelled_project
from heedful.core.errors import ConfigError, DataError
from heedful.data.sources import load_demonstrations, load_rankings


@pytest.fixture
def label(tmp_path: Path) -> LabelShell:
    return LabelShell(tmp_path)


@pytest.fixture
def project(label: LabelShell) -> LabelledProject:
    with label.open() as database, database.write() as session:
        return labelled_project(session)


def test_training_labels_go_down_the_pipe_and_the_rest_is_counted(
    label: LabelShell, project: LabelledProject
) -> None:
    result = label.run("export")
    path = label.folder / "labels.jsonl"
    path.write_text(result.stdout)
    assert len(load_rankings(path).rankings) == 3
    assert len(load_demonstrations(path).demonstrations) == 1
    assert "Demo: " in result.stderr
    assert "1 excluded, 1 surplus, 2 replaced by an adjudication" in result.stderr


def test_folders_and_files_are_new(label: LabelShell, project: LabelledProject) -> None:
    for form in ("folder", "parquet"):
        out = label.folder / form
        label("export", "--as", form, "--out", out, "--purpose", "all", "--surplus")
        assert len(load_rankings(out).rankings) == 5
        with pytest.raises(DataError, match="exists already"):
            label("export", "--as", form, "--out", out)
    with pytest.raises(ConfigError, match="Name a new one with --out"):
        label("export", "--as", "parquet")
    label("export", "--as", "preference", "--out", label.folder / "trl.jsonl")
    assert len(load_rankings(label.folder / "trl.jsonl").rankings) == 8


def test_choices(label: LabelShell, project: LabelledProject) -> None:
    lines = label("export", "--batch", "Final", "--purpose", "evaluation", "--kind", "rankings")
    assert lines.count('{"ranking"') == 1
    assert '{"rating"' not in lines
    assert label("export", "--made-by", "model").count("\n") == 1
    assert label("export", "--adjudicated", "leave-out").count('{"ranking"') == 4
    with pytest.raises(DataError, match="Did you mean “Final”"):
        label("export", "--batch", "Finale")
    with pytest.raises(ConfigError, match=r"no `trainig`\nUse one of training"):
        label("export", "--purpose", "trainig")


def test_pseudonyms_need_a_secret(
    label: LabelShell, project: LabelledProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEEDFUL_SALT", raising=False)
    with pytest.raises(ConfigError, match="--pseudonyms needs a secret key"):
        label("export", "--pseudonyms")
    monkeypatch.setenv("HEEDFUL_SALT", "a salt of sixteen bytes")
    assert "account-" not in label("export", "--pseudonyms")


def test_an_export_is_in_the_audit_log(label: LabelShell, project: LabelledProject) -> None:
    from sqlalchemy import select

    from heedful.store.tables import AuditRow

    label("export")
    with label.open() as database, database.read() as session:
        query = select(AuditRow).where(AuditRow.action == "project.export")
        row = session.scalars(query).one()
    assert (row.account_id, row.detail["rankings"]) == (None, 3)


def test_a_reader_that_has_had_enough_ends_it_quietly(
    label: LabelShell, project: LabelledProject
) -> None:
    program = "from heedful.cli.main import main; main()"
    command = [sys.executable, "-c", program, "label", "export", "--database", "heedful.db"]
    with subprocess.Popen(
        command, cwd=label.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
        process.wait(timeout=60)
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
