from pathlib import Path

import pytest

from heedful.core.records import Completion, Demonstration, Prompt, Ranking, text_hash
from heedful.pipeline.record_set import RecordSet


def prompt(name: str, split: str = "train") -> Prompt:
    return Prompt.model_validate(
        {
            "id": name,
            "text_hash": text_hash(name),
            "instruction": name,
            "source": "test",
            "user_id": "u",
            "consent": True,
            "split": split,
        }
    )


@pytest.fixture
def records() -> RecordSet:
    """Two prompts, each with a demonstration, two completions and a ranking."""
    names = ("p1", "p2")
    return RecordSet(
        prompts=[prompt("p1"), prompt("p2", "test")],
        demonstrations=[
            Demonstration(id=f"d-{n}", prompt_id=n, text="x", labeller_id="l", made_by="person")
            for n in names
        ],
        completions=[
            Completion(id=f"c{k}-{n}", prompt_id=n, text="x", checkpoint_id="m")
            for n in names
            for k in (1, 2)
        ],
        rankings=[
            Ranking(
                id=f"r-{n}",
                prompt_id=n,
                completion_ids=(f"c1-{n}", f"c2-{n}"),
                ranks=(1, 2),
                labeller_id="l",
                made_by="person",
            )
            for n in names
        ],
    )


def test_a_folder_gives_back_what_was_written(tmp_path: Path, records: RecordSet) -> None:
    records.write(tmp_path)
    assert RecordSet.read(tmp_path) == records
    assert records.numbers() == {
        "prompts": 2,
        "demonstrations": 2,
        "completions": 4,
        "rankings": 2,
    }
    other = tmp_path / "other.jsonl"
    other.write_text(prompt("p3").model_dump_json() + "\n")
    assert [item.id for item in RecordSet.read(tmp_path, other).prompts] == ["p3"]


def test_what_has_no_prompt_goes_and_rankings_get_their_split(records: RecordSet) -> None:
    kept, orphans = RecordSet(
        prompts=records.prompts[1:],
        demonstrations=records.demonstrations,
        completions=records.completions,
        rankings=records.rankings,
    ).without_orphans("result")
    assert [ranking.split for ranking in kept.rankings] == ["test"]
    assert {item.id for item in orphans} == {"d-p1", "c1-p1", "c2-p1", "r-p1"}
    assert {(item.stage, item.because_of) for item in orphans} == {("result", "p1")}


def test_one_split(records: RecordSet) -> None:
    train = records.of_split("train")
    assert [item.id for item in train.prompts] == ["p1"]
    assert [item.prompt_id for item in train.completions] == ["p1", "p1"]
