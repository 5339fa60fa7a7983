"""Documents for the pretraining mix."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.core.errors import DataError
from heedful.data.texts import cut_passages, load_texts


def test_text_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo\fthree\f \f".encode())
    assert load_texts(path) == ["one\n\ntwo", "three"]
    assert load_texts(path, separator="\n\n") == ["one", "two\fthree\f \f"]
    (tmp_path / "b.jsonl").write_text('{"content": "four"}')
    assert load_texts(tmp_path) == ["one\n\ntwo", "three", "four"]


def test_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text, "n": 1}) + "\n" for text in ("x", " ", "y")))
    assert load_texts(path) == ["x", "y"]
    path.write_text('{"text": "x"}\n{"text": 5}\n')
    with pytest.raises(DataError, match="line 2, field `text`: expected text, found int"):
        load_texts(path)
    path.write_text('{"body": "x"}\n')
    with pytest.raises(DataError, match=r"no column `text` or `content` \(found body\)"):
        load_texts(path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no text"):
        load_texts(tmp_path)
    with pytest.raises(DataError, match=r"none\.txt"):
        load_texts(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="utf-8"):
        load_texts(tmp_path / "latin.txt")


@pytest.mark.data
def test_real_texts(real_data: Path) -> None:
    assert len(load_texts(real_data / "pretrain" / "classic_books_45mb.jsonl.gz")) == 118
    wiki = real_data / "pretrain" / "wikitext2_valid.txt"
    assert len(load_texts(wiki)) == 1
    assert len(load_texts(wiki, separator="\n \n")) > 1000


@given(st.lists(st.text(alphabet="ab \n")), st.integers(1, 9))
def test_passages_lose_nothing_and_keep_to_their_size(texts: list[str], size: int) -> None:
    passages = cut_passages(texts, size)
    assert "".join(passages) == "".join(texts)
    assert all(0 < len(passage) <= size for passage in passages)


def test_passages_end_after_white_space() -> None:
    assert cut_passages(["one two three", "unbreakable"], 6) == [
        "one ", "two ", "three", "unbrea", "kable",
    ]  # fmt: skip
