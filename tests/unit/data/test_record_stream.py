"""Records of several kinds in one stream, whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.core.jsonl import RowError, refuse
from heedful.core.records import Completion, Demonstration, Prompt, Ranking, Rating, Record
from heedful.data.record_stream import (
    closing_line,
    is_closing,
    is_stream,
    read_stream,
    record_in,
    stream_lines,
)
from heedful.data.sources import Rejects, load_demonstrations, load_prompts, load_rankings


@pytest.fixture
def records(make_prompt: Callable[..., Prompt]) -> list[Record]:
    made = {"labeller_id": "l", "made_by": "person"}
    return [
        make_prompt("a", id="p1"),
        *(Completion(id=c, prompt_id="p1", text=c, checkpoint_id="m") for c in ("c1", "c2")),
        Ranking(id="r1", prompt_id="p1", completion_ids=("c1", "c2"), ranks=(1, 2), **made),
        Rating(id="g1", prompt_id="p1", completion_id="c1", quality=4, **made),
        Demonstration(id="d1", prompt_id="p1", text="x\u2028y", **made),
    ]


@pytest.fixture
def stream(tmp_path: Path, records: list[Record]) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b"".join(stream_lines(records)))
    return path


def test_the_records_come_back(stream: Path, records: list[Record]) -> None:
    assert is_stream(stream)
    found = read_stream(stream, refuse)
    assert [*found.prompts, *found.completions, *found.rankings] == records[:4]
    assert [*found.ratings, *found.demonstrations] == records[4:]


def test_every_reader_of_data_takes_a_stream(stream: Path) -> None:
    assert [prompt.id for prompt in load_prompts(stream)] == ["p1"]
    assert [record.id for record in load_demonstrations(stream).demonstrations] == ["d1"]
    assert [record.id for record in load_rankings(stream, format="heedful").rankings] == ["r1"]


@pytest.mark.parametrize("without", [-1, 3], ids=["its end", "a line in the middle"])
def test_a_stream_that_was_cut_off_is_refused(stream: Path, without: int) -> None:
    lines = stream.read_bytes().splitlines(keepends=True)
    del lines[without]
    stream.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match="it was cut off"):
        load_rankings(stream)


def test_nothing_comes_after_the_end(stream: Path) -> None:
    stream.write_bytes(stream.read_bytes() * 2)
    with pytest.raises(RowError, match="line 8: comes after the end"):
        load_prompts(stream)


def test_a_bad_line_is_named_with_its_kind(stream: Path) -> None:
    stream.write_text(stream.read_text().replace('"quality":4', '"quality":8'))
    with pytest.raises(RowError, match=r"labels\.jsonl, line 5, field `quality`"):
        load_prompts(stream)
    rejects = Rejects()
    assert load_prompts(stream, max_rejects=1, rejects=rejects)
    assert [reject.line for reject in rejects] == [5]


def test_an_unknown_kind_is_named(stream: Path) -> None:
    stream.write_text(stream.read_text().replace('{"rating":', '{"ratings":'))
    with pytest.raises(RowError, match="Did you mean `rating`"):
        load_prompts(stream)


def test_a_record_must_refer_to_one_that_is_there(stream: Path) -> None:
    lines = stream.read_text().split("\n")[:-1]
    del lines[1]
    lines[-1] = json.dumps({"end": {"records": 5}})
    stream.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="there is no c1"):
        load_rankings(stream)


def test_other_files_are_no_streams(tmp_path: Path) -> None:
    for name, content in {
        "a.jsonl": '{"prompt": "x", "completion": "y"}',
        "b.jsonl": '{"prompt": "x"}',
        "c.jsonl": "not JSON",
        "d.jsonl": "",
        "e.json": '{"prompt": {}}',
    }.items():
        (tmp_path / name).write_text(content + "\n")
        assert not is_stream(tmp_path / name)
    assert not is_stream(tmp_path / "missing.jsonl")


def test_a_line_tells_its_record_and_the_last_one_itself() -> None:
    assert record_in({"prompt": {"id": "p"}}) == {"id": "p"}
    assert record_in({"prompt": "x"}) == {"prompt": "x"}
    closing = json.loads(closing_line(3))
    assert record_in(closing) == closing
    assert is_closing(closing)
    assert not is_closing({"end": 3})
