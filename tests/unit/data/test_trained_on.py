"""Checkpoints are found by what their runs read, and by descent."""

from pathlib import Path

from fakes.data_tree import write_run
from heedful.core.file_hashes import sha256_file
from heedful.data.trained_on import TrainedOn, trained_on


def test_descent_is_followed_to_the_end(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    write_run(tmp_path / "b-sft", data, "sft-1")
    write_run(tmp_path / "a-ppo", None, "ppo-1", parent="sft-1")
    write_run(tmp_path / "c-more", None, "more-1", parent="ppo-1")
    write_run(tmp_path / "other", None, "other-1")
    (tmp_path / "copies").mkdir()
    (tmp_path / "c-more" / "checkpoint").rename(tmp_path / "copies" / "more")
    found, unreadable = trained_on([tmp_path], {sha256_file(data)}.__contains__)
    assert found == [
        TrainedOn(tmp_path / "b-sft", "sft-1", "read data"),
        TrainedOn(tmp_path / "a-ppo", "ppo-1", "began with sft-1"),
        TrainedOn(tmp_path / "c-more", None, "began with ppo-1"),
        TrainedOn(tmp_path / "copies" / "more", "more-1", "began with ppo-1"),
    ]
    assert unreadable == []


def test_damaged_cards_are_named(tmp_path: Path) -> None:
    write_run(tmp_path / "run", None, "sft-1")
    (tmp_path / "run" / "checkpoint" / "checkpoint.json").write_text("{}")
    (tmp_path / "run" / "run.json").write_text("[]")
    found, unreadable = trained_on([tmp_path], lambda _: True)
    assert found == []
    assert [file.name for file in unreadable] == ["run.json", "checkpoint.json"]
