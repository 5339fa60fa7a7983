"""The tokenizer's files: which is taken, and what is written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from heedful.core.errors import DataError
from heedful.data.tokenizer_files import read_tokenizer_files


def test_token_names_in_either_shape(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    eos = {"content": "<|im_end|>", "lstrip": False}
    path = make_tokenizer_dir(tmp_path, eos_token=eos, pad_token=None)
    (path / "special_tokens_map.json").write_text(
        json.dumps({"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"})
    )
    files = read_tokenizer_files(path)
    assert files.token_name("eos_token") == "<|im_end|>", "tokenizer_config.json wins"
    assert files.token_name("pad_token") == "<|endoftext|>"
    assert files.token_name("cls_token") is None


def test_model_ids(make_tokenizer_dir: Callable[..., Path], tmp_path: Path) -> None:
    path = make_tokenizer_dir(tmp_path)
    (path / "generation_config.json").write_text('{"eos_token_id": [2, 0], "bos_token_id": 1}')
    (path / "config.json").write_text('{"eos_token_id": 0, "bos_token_id": 0}')
    files = read_tokenizer_files(path)
    assert (files.eos_ids, files.bos_id) == ((2, 0, 0), 1)


def test_a_file_by_another_name_is_said(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_tokenizer_dir(tmp_path)
    (path / "tokenizer.json").rename(path / "mine.json")
    files = read_tokenizer_files(path)
    assert files.notes == ("mine.json was taken as tokenizer.json",)
    assert files.origin.endswith("mine.json")


def test_saving_spares_the_models_files(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    files = read_tokenizer_files(make_tokenizer_dir(tmp_path / "a"))
    saved = tmp_path / "b"
    files.save(saved, [2])
    assert json.loads((saved / "generation_config.json").read_text()) == {"eos_token_id": [2]}
    assert "chat_template" not in json.loads((saved / "tokenizer_config.json").read_text())
    assert (saved / "chat_template.jinja").read_text() == files.chat_template
    (saved / "generation_config.json").write_text("{}")
    files.save(saved, [2])
    assert (saved / "generation_config.json").read_text() == "{}"


def test_transformers_reads_what_is_saved(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    files = read_tokenizer_files(make_tokenizer_dir(tmp_path / "a"))
    files.save(tmp_path / "b", [2])
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "b"))
    assert theirs.eos_token_id == 2
    assert theirs.chat_template == files.chat_template


@pytest.mark.parametrize("pieces", [[], [["a", 0.0]], [["a"], ["b"], ["c"]], [1, 2, 3]])
def test_a_list_that_is_no_vocabulary(tmp_path: Path, pieces: list[object]) -> None:
    (tmp_path / "tok.json").write_text(json.dumps(pieces))
    with pytest.raises(DataError, match=r"tok\.json: not a llama2\.c list"):
        read_tokenizer_files(tmp_path)


def test_a_configuration_of_the_wrong_kind(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_tokenizer_dir(tmp_path)
    (path / "config.json").write_text("[]")
    with pytest.raises(DataError, match=r"config\.json: expected a JSON object"):
        read_tokenizer_files(path)
