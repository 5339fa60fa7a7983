"""Kind by kind, what of a file stays without a person."""

import gzip
import json
from pathlib import Path

import pytest

from heedful.core.jsonl import read_rows
from heedful.data.removal import Cleaned, UnknownKindError, clean_file, rows_of
from heedful.data.traces import Traces

TRACES = Traces({"user-ada"}, {"prompt-12345"}, {"A text of more than twenty characters."})
THEIRS, OTHERS = '{"user_id": "user-ada"}\n', '{"user_id":  "user-bob"}\n'


def test_lines_that_stay_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(OTHERS + THEIRS + "\n{broken\n" + '{"broken": user-ada\n[1]\n')
    cleaned = clean_file(path, TRACES)
    assert cleaned == Cleaned((OTHERS + "\n{broken\n[1]\n").encode(), 2)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    again = clean_file(packed, TRACES)
    assert again is not None
    assert again.content is not None
    assert gzip.decompress(again.content) == cleaned.content
    path.write_text(OTHERS)
    assert clean_file(path, TRACES) is None


def test_notes_of_others_lose_only_what_refers_to_the_person(tmp_path: Path) -> None:
    path = tmp_path / "dropped.jsonl"
    rows = [
        {"id": "x", "because_of": "prompt-12345", "detail": "A text of more than twenty\u2026"},
        {"id": "y", "because_of": "z", "detail": "as A text of more than twenty characters."},
        {"id": "v", "members": [{"id": "prompt-12345"}, {"id": "w"}]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    cleaned = clean_file(path, TRACES)
    assert cleaned is not None
    assert cleaned.content is not None
    assert [json.loads(line) for line in cleaned.content.splitlines()] == [
        {"id": "x", "because_of": "withdrawn", "detail": "withdrawn"},
        {"id": "v", "members": [{"id": "w"}]},
    ]


def test_parquet_keeps_its_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    rows = [{"user": "user-ada", "n": None}, {"user": "user-bob", "n": None}]
    schema = pa.schema([("user", pa.string()), ("n", pa.int64())], metadata={"a": "b"})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    cleaned = clean_file(path, TRACES)
    assert cleaned is not None
    assert cleaned.content is not None
    path.write_bytes(cleaned.content)
    assert pq.read_table(path).schema.equals(schema, check_metadata=True)
    assert [row for _, row in read_rows(path)] == rows[1:]
    assert clean_file(path, TRACES) is None


FILES: list[tuple[str, str, str | None]] = [
    ("a.csv", 'user,n\nuser-ada,"1\n2"\nuser-bob,3\n', "user,n\nuser-bob,3\n"),
    ("a.tsv", "text\tn\nA text of more than twenty characters.\t1\nx\t2\n", "text\tn\nx\t2\n"),
    ("a.csv", "user,n\nuser-bob,3\n", None),
    ("a.json", '{"by": {"user-ada": 1}, "n": 2}', '{\n  "by": {},\n  "n": 2\n}\n'),
    ("a.json", '{"n": 2}', None),
    ("a.md", "x\nof user-ada\ny\n", "x\ny\n"),
    ("a.txt", "nothing", None),
    ("a.html", "<p>nothing</p>", None),
    ("a.safetensors", "user-ada", None),
    ("a.bin", "user-ada", None),
    ("a.db", "nothing", None),
    ("a.json", "{not json", None),
]


@pytest.mark.parametrize(("name", "content", "left"), FILES)
def test_other_kinds(tmp_path: Path, name: str, content: str, left: str | None) -> None:
    (tmp_path / name).write_text(content)
    cleaned = clean_file(tmp_path / name, TRACES)
    assert (cleaned and cleaned.content) == (left and left.encode())


@pytest.mark.parametrize("shown", ["of user-ada", "A text of more than&#32;twenty\u2026"])
def test_a_page_goes_whole(tmp_path: Path, shown: str) -> None:
    (tmp_path / "a.html").write_text(f"<p>x</p><p>{shown}</p>")
    assert clean_file(tmp_path / "a.html", TRACES) == Cleaned(None, 1)


@pytest.mark.parametrize("name", ["a.db", "a.json", "a.csv", "a.jsonl.tmp", "a.db.gz"])
def test_what_cannot_be_changed_is_an_error(tmp_path: Path, name: str) -> None:
    content = b'\xff"x user-ada'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UnknownKindError):
        clean_file(tmp_path / name, TRACES)


def test_links_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(THEIRS)
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "a.jsonl")
    with pytest.raises(UnknownKindError):
        clean_file(tmp_path / "b.jsonl", TRACES)


def test_rows_of_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(OTHERS + "{broken\n" + OTHERS)
    assert len(list(rows_of(tmp_path / "a.jsonl"))) == 2
    (tmp_path / "b.parquet").write_text("not Parquet")
    assert list(rows_of(tmp_path / "b.parquet")) == []
