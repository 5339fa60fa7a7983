"""Reading a data room's folder: whole, in part, damaged."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from fakes.data_room_folder import made_up_prompts
from heedful.core.errors import DataError
from heedful.reports.data_run import ORDER, DataRun, quoting_only, read_data_run


def test_a_whole_folder_is_read_in_the_order_of_the_stages(data_run: DataRun) -> None:
    assert list(data_run.manifests) == [name for name in ORDER if name != "result"]
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


def test_only_the_prompts_of_named_sources_are_quoted(data_run: DataRun) -> None:
    assert data_run.dedup is not None
    exact = data_run.dedup.policies[0].examples[0]
    prompts = {prompt.id: prompt for prompt in made_up_prompts(600)}
    quoted = quoting_only(data_run, [prompts[exact.kept_id].source])
    assert quoted.dedup is not None
    example = quoted.dedup.policies[0].examples[0]
    assert example.kept_text == exact.kept_text
    assert example.removed_text == ""  # of no prompt that was read, so of no known source
    assert quoted.contamination is not None
    texts = {e.item_text for row in quoted.contamination.rows for e in row.examples}
    assert texts == {None}


def test_nothing_need_be_quoted_at_all(data_run: DataRun) -> None:
    quoted = quoting_only(dataclasses.replace(data_run, contamination=None), [])
    assert quoted.dedup is not None
    assert {e.kept_text for policy in quoted.dedup.policies for e in policy.examples} == {""}
    assert quoting_only(dataclasses.replace(data_run, dedup=None), []).dedup is None
