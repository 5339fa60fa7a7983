"""Reading a data room's folder: whole, in part, damaged."""

import shutil
from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.reports.data_run import ORDER, DataRun, read_data_run


def test_a_whole_folder_is_read_in_the_order_of_the_stages(data_run: DataRun) -> None:
    assert tuple(data_run.manifests) == ORDER
    assert [stage.stage for stage in data_run.shaping] == ["read", "dedup", "cap", "split"]
    assert data_run.name == "run"
    assert len(data_run.quarantined) == 4
    for part in ("personal_data", "dedup", "proof", "contamination", "distribution"):
        assert getattr(data_run, part) is not None, part


def test_stages_that_have_not_run_are_absent(room: Path, tmp_path: Path) -> None:
    shutil.copytree(room / "read", tmp_path / "run" / "read")
    run = read_data_run(tmp_path / "run")
    assert list(run.manifests) == ["read"]
    assert run.proof is None
    assert run.quarantined == []


def test_a_folder_without_stages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no stage of a data room has run there"):
        read_data_run(tmp_path)


def test_a_damaged_file_is_named(room: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(room, tmp_path / "run")
    (copy / "split" / "proof.json").write_text('{"shares": 1}')
    with pytest.raises(DataError, match=r"proof\.json, field `shares`"):
        read_data_run(copy)
