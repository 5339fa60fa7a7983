"""Files that are absent, whole, damaged."""

from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.core.records import Record
from heedful.reports.files import read_json, read_object, read_rows


class Pair(Record):
    name: str
    count: int


def test_absent_files_are_nothing(tmp_path: Path) -> None:
    absent = tmp_path / "absent.json"
    assert read_object(absent) is None
    assert read_json(absent, Pair) is None
    assert read_rows(absent, Pair) == []


def test_whole_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"name": "a", "count": 1}')
    (tmp_path / "rows.jsonl").write_text('{"name": "a", "count": 1}\n{"name": "b", "count": 2}\n')
    assert read_json(tmp_path / "one.json", Pair) == Pair(name="a", count=1)
    assert [row.name for row in read_rows(tmp_path / "rows.jsonl", Pair)] == ["a", "b"]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"name": "a"}')
    with pytest.raises(DataError, match=r"one\.json, field `count`"):
        read_json(tmp_path / "one.json", Pair)
    (tmp_path / "rows.jsonl").write_text('{"name": "a", "count": 1}\n{"name": "b"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl, line 2, field `count`"):
        read_rows(tmp_path / "rows.jsonl", Pair)
