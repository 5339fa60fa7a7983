"""Files of records: round trips, precise errors, atomic writes."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import DataError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import (
    RowError,
    iter_records,
    open_atomic,
    read_records,
    read_rows,
    write_json_atomic,
    write_records,
    write_text_atomic,
)
from heedful.core.records import Checkpoint, Example, Expectation, Prompt, Ranking, Turn

SUFFIXES = [".jsonl", ".jsonl.gz", ".parquet"]


def make_prompt(text: str = "Say hi.", **fields: object) -> Prompt:
    base = {"id": "p", "text_hash": "h", "instruction": text, "source": "s", "user_id": "u"}
    return Prompt.model_validate({**base, "consent": True, **fields})


RICH = make_prompt(
    "é\u2028\n🙂",
    examples=(Example(prompt="a", completion="b"),),
    turns=(Turn(role="user", text="x"),),
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
    tags=("one", "two"),
    expectations=(
        Expectation(kind="max_words", value=20),
        Expectation(kind="language", value="fr"),
        Expectation(kind="names", value=("a", "b")),
    ),
)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"prompts{suffix}"
    records = [RICH, make_prompt(), make_prompt("x", organisation="o")]
    assert write_records(path, records) == 3
    assert read_records(path, Prompt) == records
    assert read_records(path, Prompt, limit=2) == records[:2]
    assert read_records(path, Prompt, limit=0) == []
    assert write_records(path, iter([])) == 0
    assert read_records(path, Prompt) == []
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no temporary is left"


@given(text=st.text(min_size=1), tags=st.lists(st.text()).map(tuple))
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, text: str, tags: tuple[str, ...]
) -> None:
    record = make_prompt(text, tags=tags)
    for suffix in SUFFIXES:
        path = tmp_path_factory.getbasetemp() / f"any{suffix}"
        write_records(path, [record])
        assert read_records(path, Prompt) == [record]


def test_parquet_keeps_plain_columns_plain(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rankings = [
        Ranking(
            id=f"r{number}",
            prompt_id="p",
            completion_ids=("a", "b"),
            ranks=(1, 2),
            labeller_id="l",
            made_by="person",
        )
        for number in range(3)
    ]
    card = Checkpoint(
        id="c",
        kind="sft",
        step=1,
        base_model="m",
        config_hash="h",
        tokenizer_hash="t",
        format_version="f",
        files={"a.safetensors": "00"},
    )
    write_records(tmp_path / "r.parquet", rankings)
    assert pq.read_table(tmp_path / "r.parquet")["ranks"].to_pylist() == [[1, 2]] * 3
    assert read_records(tmp_path / "r.parquet", Ranking) == rankings
    write_records(tmp_path / "c.parquet", [card])
    assert read_records(tmp_path / "c.parquet", Checkpoint) == [card]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        hashes = set()
        for name in ("a", "b"):
            write_records(tmp_path / (name + suffix), [RICH])
            hashes.add(sha256_file(tmp_path / (name + suffix)))
        assert len(hashes) == 1


def test_line_ends_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    line = make_prompt().model_dump_json().encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line)
    assert read_records(path, Prompt) == [make_prompt()] * 2
    assert [number for number, _ in read_rows(path)] == [1, 4]


def broken(tmp_path: Path, seventh: str | bytes) -> RowError:
    path = tmp_path / "prompts.jsonl"
    good = make_prompt().model_dump_json().encode()
    seventh = seventh.encode() if isinstance(seventh, str) else seventh
    path.write_bytes(b"\n".join([good] * 6 + [seventh, good]))
    with pytest.raises(RowError) as caught:
        read_records(path, Prompt)
    assert (caught.value.path, caught.value.line) == (path, 7)
    return caught.value


def test_a_broken_line_names_file_line_and_field(tmp_path: Path) -> None:
    fields = make_prompt().model_dump()
    error = broken(tmp_path, json.dumps({**fields, "instruction": ""}))
    assert error.what.endswith("prompts.jsonl, line 7, field `instruction`: " + error.reason)
    assert error.hint == "Correct that line or remove it."
    error = broken(tmp_path, json.dumps({**fields, "turns": [{"role": "king", "text": ""}]}))
    assert error.field == "turns.0.role"
    error = broken(tmp_path, json.dumps({"id": "p"}))
    assert error.field == "text_hash"
    assert error.reason == "missing; every Prompt has it (and 4 more in this row)"


def test_an_unknown_field_is_refused_with_the_nearest(tmp_path: Path) -> None:
    error = broken(tmp_path, json.dumps({**make_prompt().model_dump(), "userid": "x"}))
    assert error.field == "userid"
    assert error.reason == "a Prompt has no such field"
    assert str(error.hint).startswith("Did you mean `user_id`?")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        # Python 3.13 points at the comma, earlier versions behind it.
        ('{"id": "p", }', "not valid JSON at column 1"),
        ('{"id": "p"', "not valid JSON at column 11"),
        ("[1, 2]", "expected a JSON object, found an array"),
        ("true", "found a boolean"),
        ("7", "found a number"),
        ("null", "found null"),
        ('"x"', "found a string"),
        (b'{"id": "\xff"}', "not UTF-8 at byte 9"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_json_object(tmp_path: Path, line: str | bytes, reason: str) -> None:
    error = broken(tmp_path, line)
    assert error.field is None
    assert reason in error.reason


def test_a_lone_surrogate_is_refused(tmp_path: Path) -> None:
    text = make_prompt("X").model_dump_json().replace('"X"', '"\\ud800"')
    assert broken(tmp_path, text).field == "instruction"
    assert broken(tmp_path, '{"\\ud800": 1}').field == "\\ud800"
    whole = make_prompt("X").model_dump_json().replace('"X"', '"\\ud83d\\ude42"')
    (tmp_path / "whole.jsonl").write_text(whole)
    assert read_records(tmp_path / "whole.jsonl", Prompt)[0].instruction == "🙂"


def test_bad_rows_can_be_collected(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("{\n" + make_prompt().model_dump_json() + '\n{"id": 1}\n')
    errors: list[RowError] = []
    records = list(iter_records(path, Prompt, on_bad_row=errors.append))
    assert records == [make_prompt()]
    assert [error.line for error in errors] == [1, 3]


def test_missing_damaged_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_records(tmp_path / "none.jsonl", Prompt)
    with pytest.raises(DataError, match="unknown kind of data file"):
        list(read_rows(tmp_path / "a.docx"))
    with pytest.raises(DataError, match="cannot write records there"):
        write_records(tmp_path / "a.csv", [])
    whole = gzip.compress(b'{"a": 1}\n' * 1000)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-10])
    (tmp_path / "no.jsonl.gz").write_bytes(b"plain")
    (tmp_path / "no.parquet").write_bytes(b"plain")
    for name in ("cut.jsonl.gz", "no.jsonl.gz"):
        with pytest.raises(DataError, match="damaged"):
            list(read_rows(tmp_path / name))
    with pytest.raises(DataError, match="not readable as Parquet"):
        list(read_rows(tmp_path / "no.parquet"))


def test_a_broken_parquet_row_is_called_a_row(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_records(path, [Turn(role="user", text="x")])
    with pytest.raises(RowError, match=r"p\.parquet, row 1, field `id`"):
        read_records(path, Prompt)


def test_json_arrays_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('\ufeff\n[\n  {"a": 1},\n  {"a":\n 2}, {"a": 3}\n,{"b": "[{"}]\n')
    assert list(read_rows(path)) == [(3, {"a": 1}), (4, {"a": 2}), (5, {"a": 3}), (6, {"b": "[{"})]
    path.write_text('[{"a": 1},\n 7]')
    with pytest.raises(RowError, match="line 2: expected a JSON object, found a number"):
        list(read_rows(path))
    path.write_text('[{"a": 1},\n {"a" 2}]')
    with pytest.raises(RowError, match="line 2: not valid JSON at column 7"):
        list(read_rows(path))
    path.write_text('{"a": 1}\n{"a": 2}')
    assert list(read_rows(path)) == [(1, {"a": 1}), (2, {"a": 2})]
    path.write_text("[]")
    assert list(read_rows(path)) == []


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\r\n1,"two\nlines"\r\n\r\n3,4\r\n')
    assert list(read_rows(path)) == [(2, {"a": "1", "b": "two\nlines"}), (5, {"a": "3", "b": "4"})]
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert list(read_rows(tmp_path / "rows.csv.gz")) == list(read_rows(path))
    path.write_text("a,b\n1,2,3\n")
    with pytest.raises(RowError, match="line 2: 3 cells for 2 columns"):
        list(read_rows(path))
    path.write_text('a,b\n1,"x\n')
    with pytest.raises(RowError, match="not valid CSV"):
        list(read_rows(path))
    (tmp_path / "rows.tsv").write_text("a\tb\n1\t2\n")
    assert list(read_rows(tmp_path / "rows.tsv")) == [(2, {"a": "1", "b": "2"})]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")

    def fail() -> None:
        with open_atomic(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_small_writers(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json_atomic(path, {"é": [1, None]})
    assert json.loads(path.read_text("utf-8")) == {"é": [1, None]}
    assert path.stat().st_mode & 0o044 == (tmp_path / "deep").stat().st_mode & 0o044
