import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from heedful.core.data_settings import DataRoom, DataRun, SourceSettings
from heedful.core.errors import ConfigError, DataError
from heedful.core.jsonl import read_records
from heedful.core.records import Prompt
from heedful.data.lineage import Dropped
from heedful.data.pseudonyms import NO_KEY, fingerprint
from heedful.data.withdrawals import Register, Withdrawal
from heedful.pipeline.data_reading import (
    TooManyRejectsError,
    admitted,
    detectors,
    enter,
    files_of,
    read_sources,
    source_files,
)
from heedful.training.display import Display

QUIET = Display(quiet=True)


def source(path: Path, kind: str = "prompts", **fields: object) -> SourceSettings:
    return SourceSettings.model_validate({"path": path, "kind": kind, **fields})


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def own(name: str, **fields: object) -> dict[str, object]:
    return {
        "schema_version": 1,
        "id": name,
        "text_hash": "0" * 32,
        "instruction": f"Ask {name}",
        "source": "test",
        "user_id": f"user-of-{name}",
        "consent": True,
        **fields,
    }


def test_files_of_folders_and_of_what_lies_elsewhere(tmp_path: Path) -> None:
    one, two = write(tmp_path / "b" / "one.jsonl"), write(tmp_path / "b" / "c" / "two.jsonl")
    elsewhere = [Path("hub:a/b"), Path("lm_eval:c")]
    assert files_of([tmp_path / "b", one, *elsewhere]) == sorted([one, two])
    with pytest.raises(DataError, match="gone: no such file or folder"):
        files_of([tmp_path / "gone"])


def test_a_source_read_twice_as_two_kinds_gives_its_prompts_once(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"prompt": "Say a", "completion": "a"})
    intake = read_sources([source(file), source(file, "demonstrations")])
    assert (len(intake.prompts), len(intake.demonstrations)) == (1, 1)
    with pytest.raises(DataError, match="is that of another record"):
        read_sources([source(file), source(file, licence="MIT")])


def test_bad_rows_of_every_source_are_known_before_one_is_refused(tmp_path: Path) -> None:
    good, bad = {"prompt": "Say a", "completion": "a"}, {"prompt": 7, "completion": "a"}
    one = write(tmp_path / "one.jsonl", good, bad)
    two = write(tmp_path / "two.jsonl", good, bad, bad)
    assert len(read_sources([source(one, max_rejects=1)]).rejects) == 1
    with pytest.raises(TooManyRejectsError) as caught:
        read_sources([source(one), source(two)])
    assert len(caught.value.rejects) == 3
    assert f"{one}, line 2, field `prompt`" in caught.value.what
    assert "--max-rejects 2" in str(caught.value.hint)


def test_without_consent_nothing_is_written(tmp_path: Path) -> None:
    file = write(tmp_path / "prompts.jsonl", own("p1"), own("p2", consent=False))
    records, dropped, orphans = admitted(read_sources([source(file)]), Register(NO_KEY))
    assert [prompt.id for prompt in records.prompts] == ["p1"]
    assert dropped == [Dropped(id="p2", stage="read", reason="no consent")]
    assert orphans == []


def test_who_withdrew_is_not_read_again(tmp_path: Path) -> None:
    file = write(tmp_path / "prompts.jsonl", own("p1"), own("p2"))
    register = Register(NO_KEY)
    withdrawal = Withdrawal(
        key=fingerprint(NO_KEY),
        people=(register.hash_of("user-of-p2"),),
        withdrawn_at=datetime.now(UTC),
    )
    listed = tmp_path / "withdrawals.jsonl"
    config = DataRoom(
        run=DataRun(dir=tmp_path / "run", withdrawals=listed), sources=(source(file),)
    )
    assert source_files(config) == [file]
    listed.write_text(withdrawal.model_dump_json() + "\n")
    assert source_files(config) == [file, listed]
    enter(tmp_path / "run" / "read", config, display=QUIET)
    kept = read_records(tmp_path / "run" / "read" / "prompts.jsonl", Prompt)
    assert [prompt.id for prompt in kept] == ["p1"]
    (gone,) = read_records(tmp_path / "run" / "read" / "dropped.jsonl", Dropped)
    assert (gone.id, gone.reason) == ("p2", "withdrawn")


def test_detectors_by_name() -> None:
    found = detectors(("names", "patterns"))
    assert [detector.name for detector in found] == ["names", "patterns"]
    with pytest.raises(ConfigError, match="no detector 'postmen'"):
        detectors(("postmen",))
