import json
from pathlib import Path

import pytest

from fakes.label_shell import LabelShell
from fakes.labelled_project import labelled_project
from fakes.labelling_store import demo_project
from heedful.core.errors import DataError
from heedful.core.jsonl import RowError

PAIR = {"prompt": "Say hello.", "chosen": "Hello!", "rejected": "No."}


@pytest.fixture
def label(tmp_path: Path) -> LabelShell:
    shell = LabelShell(tmp_path)
    with shell.open() as database, database.write() as session:
        demo_project(session)
    return shell


def write(label: LabelShell, *rows: object) -> Path:
    path = label.folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_file_is_imported_and_what_happened_is_told(label: LabelShell) -> None:
    path = write(label, PAIR)
    told = label("import", path)
    assert told.splitlines()[:2] == ["prompts: 1 new, 0 known.", "completions: 2 new, 0 known."]
    assert "labels were not asked for: 1 rankings" in told
    assert "rankings: 1 new, 0 known." in label("import", path, "--labels")
    assert "pairs.jsonl: rankings: ranking for training, closed; 1 of 1" in label("batch", "list")


def test_a_bad_row_stops_it_or_is_set_aside(label: LabelShell) -> None:
    path = write(label, PAIR, {"prompt": "x", "chosen": "y", "rejected": 3})
    with pytest.raises(RowError, match=r"pairs\.jsonl, line 2, field `rejected`"):
        label("import", path)
    assert "4 prompts" in label("project", "list")
    rejects = label.folder / "rejects.jsonl"
    told = label("import", path, "--max-rejects", 1, "--rejects", rejects)
    assert "1 rows were unreadable" in told
    assert json.loads(rejects.read_text())["line"] == 2
    with pytest.raises(DataError, match="exists already"):
        label("import", path, "--rejects", rejects)


def test_an_export_is_imported_again(label: LabelShell, tmp_path: Path) -> None:
    other = LabelShell(tmp_path, "other.db")
    with other.open() as database, database.write() as session:
        labelled_project(session)
    out = tmp_path / "labels.jsonl"
    other("export", "--out", out)
    with label.open() as database, database.write() as session:
        demo_project(session, name="Empty", num_prompts=0)
    with pytest.raises(DataError, match="in another project"):
        label("import", out, "--labels", "--project", "Empty")
    third = LabelShell(tmp_path, "third.db")
    third("upgrade")
    third("project", "create", "Copy")
    third("import", out, "--labels")
    assert sorted(third("export").splitlines()) == sorted(out.read_text().splitlines())


def test_agreement_of_a_project_and_of_a_file(label: LabelShell, tmp_path: Path) -> None:
    assert "Nothing was ranked twice" in label("agreement")
    other = LabelShell(tmp_path, "other.db")
    with other.open() as database, database.write() as session:
        labelled_project(session)
    told = other("agreement", "--ties", "half")
    assert "ties: half" in told
    assert "different labellers: " in told
    out = tmp_path / "labels.jsonl"
    other("export", "--out", out, "--adjudicated", "leave-out")
    assert "4 rankings; ties: exact" in label("agreement", out)
    with pytest.raises(DataError, match="holds no rankings"):
        label("agreement", write(label, {"instruction": "x", "output": "y"}))


@pytest.mark.data
def test_agreement_of_wmt(label: LabelShell, real_data: Path) -> None:
    told = label("agreement", real_data / "rank" / "wmt15_fre_eng_rankings.csv")
    assert "different labellers: 14,919 of 22,237 pairs; agreement 0.671" in told
    assert "the same labeller again: 1,870 of 2,374 pairs" in told
