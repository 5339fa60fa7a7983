"""Every drop can be found again, and leads to what it was dropped for."""

import json
from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import write_records
from heedful.core.records import Prompt, text_hash
from heedful.data.lineage import Counts, Dropped, read_manifests, why, write_stage


def prompt(name: str, split: str | None) -> Prompt:
    return Prompt.model_validate(
        {
            "id": name,
            "text_hash": text_hash(name),
            "instruction": f"mentions {name} and q-3",
            "source": "test",
            "user_id": "u",
            "consent": True,
            "split": split,
        }
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    source = tmp_path / "source.jsonl"
    source.write_text("{}\n")
    rejected = Dropped(id="source.jsonl:7", stage="read", reason="unreadable", detail="`text`")
    write_stage(
        tmp_path / "read", inputs=[source], settings={"a": 1}, num_out=3, dropped=[rejected]
    )
    removed = [
        Dropped(id="q-2", stage="dedup", reason="near", because_of="q-1"),
        Dropped(id="q-1", stage="dedup", reason="exact", because_of="q-0"),
    ]
    write_stage(
        tmp_path / "dedup",
        inputs=[source],
        settings={},
        num_out=1,
        dropped=removed,
        numbers={"links": 2},
    )
    write_records(tmp_path / "result" / "prompts.jsonl", [prompt("q-0", "train")])
    return tmp_path


def test_a_manifest_says_what_came_in_and_went_out(run_folder: Path) -> None:
    found = read_manifests(run_folder)
    source = run_folder / "source.jsonl"
    assert found["read"].inputs == {str(source): sha256_file(source)}
    assert found["read"].settings == {"a": 1}
    assert found["dedup"].counts == Counts(num_in=3, num_out=1, dropped={"exact": 1, "near": 1})
    assert found["dedup"].numbers == {"links": 2}
    lines = (run_folder / "dedup" / "dropped.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["q-1", "q-2"]


def test_why_follows_what_a_record_was_dropped_for(run_folder: Path) -> None:
    steps = [(step.id, step.stage, step.what) for step in why(run_folder, "q-2")]
    assert steps == [
        ("q-2", "dedup", "was dropped: near, because of q-1"),
        ("q-1", "dedup", "was dropped: exact, because of q-0"),
        ("q-0", "result", "is in result/prompts.jsonl, split train"),
    ]


def test_why_names_rejected_rows_by_file_and_line(run_folder: Path) -> None:
    (step,) = why(run_folder, "source.jsonl:7")
    assert step.what == "was dropped: unreadable (`text`)"


def test_an_unknown_id_and_a_folder_that_is_no_run(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no record q-3 was dropped"):
        why(run_folder, "q-3")
    with pytest.raises(DataError, match="no stage of a data room"):
        why(tmp_path / "result", "q-0")
    (run_folder / "dedup" / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match=r"dedup/manifest.json: not a stage's manifest"):
        read_manifests(run_folder)
