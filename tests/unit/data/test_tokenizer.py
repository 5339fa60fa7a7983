"""Text, ids, and control strings that must stay text."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from heedful.core.errors import DataError
from heedful.data.tokenizer import TextTokenizer

CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
texts = st.lists(st.one_of(st.text(), st.sampled_from([*CONTROLS, "<|im_", "end|>"]))).map("".join)


@given(texts)
def test_round_trip_is_exact_and_free_of_control_tokens(
    tokenizer: TextTokenizer, text: str
) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not {0, 1, 2} & set(ids)
    assert tokenizer.decode_continuation(tokenizer.encode_continuation(text)) == text
    assert tokenizer.encode_batch([text]) == [ids]


@given(texts)
def test_only_what_the_template_wrote_becomes_a_control_token(
    tokenizer: TextTokenizer, text: str
) -> None:
    rendered = f"<|im_start|>{tokenizer.protect(text)}<|im_end|>"
    ids = tokenizer.encode_template(rendered)
    assert ids == [1, *tokenizer.encode(text), 2]
    assert tokenizer.unprotect(rendered) == f"<|im_start|>{text}<|im_end|>"


def test_ids_are_those_of_the_tokenizers_library(
    tokenizer: TextTokenizer, tokenizer_dir: Path
) -> None:
    plain = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    text = "<|im_start|>user\n the assistant asks: é?<|im_end|>\n"
    assert tokenizer.encode_template(text) == plain.encode(text).ids
    assert tokenizer.decode([1, *tokenizer.encode("a"), 2], skip_special_tokens=False) == (
        "<|im_start|>a<|im_end|>"
    )


def test_attributes(tokenizer: TextTokenizer) -> None:
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.eos_ids) == (1, 2, frozenset([2]))
    assert not tokenizer.adds_bos
    assert 3 + 256 < tokenizer.vocab_size <= 320
    assert tokenizer.token_id("<|im_end|>") == 2
    assert tokenizer.token_id("no such token") is None


def test_pad_equal_to_eos_is_replaced_and_said(tokenizer: TextTokenizer) -> None:
    assert tokenizer.pad_id == 0
    assert any("<|endoftext|>" in note and "end token" in note for note in tokenizer.notes)


@pytest.mark.parametrize(
    ("config", "pad_id"),
    [
        ({"pad_token": "<|endoftext|>"}, 0),
        ({"pad_token": None}, 0),
        ({"pad_token": None, "unk_token": None, "eos_token": "<|endoftext|>"}, 2),
    ],
)
def test_pad_choice(
    make_tokenizer_dir: Callable[..., Path],
    tmp_path: Path,
    config: dict[str, str | None],
    pad_id: int,
) -> None:
    assert TextTokenizer.from_dir(make_tokenizer_dir(tmp_path, **config)).pad_id == pad_id


def test_a_pad_token_by_name_wins(make_tokenizer_dir: Callable[..., Path], tmp_path: Path) -> None:
    pad = {"content": "[PAD]", "special": True}
    free = TextTokenizer.from_dir(make_tokenizer_dir(tmp_path)).vocab_size
    path = make_tokenizer_dir(tmp_path, pad_token=None, added_tokens_decoder={free: pad})
    loaded = TextTokenizer.from_dir(path)
    assert loaded.pad_id == loaded.token_id("[PAD]")
    assert loaded.pad_id not in loaded.encode("[PAD]")
    path = make_tokenizer_dir(tmp_path, added_tokens_decoder={free + 9: pad})
    with pytest.raises(DataError, match=r"'\[PAD\]' cannot have the id"):
        TextTokenizer.from_dir(path)


def test_several_end_tokens(make_tokenizer_dir: Callable[..., Path], tmp_path: Path) -> None:
    path = make_tokenizer_dir(tmp_path)
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    loaded = TextTokenizer.from_dir(path)
    assert loaded.eos_id == 2
    assert loaded.eos_ids == {0, 2}
    assert loaded.pad_id == 1, "neither end token may be the filler"


def test_end_token_from_the_model_configuration(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_tokenizer_dir(tmp_path, eos_token=None, pad_token=None)
    with pytest.raises(DataError, match="names no end token"):
        TextTokenizer.from_dir(path)
    (path / "config.json").write_text(json.dumps({"eos_token_id": 0}))
    loaded = TextTokenizer.from_dir(path)
    assert loaded.eos_id == 0
    assert loaded.special_names["eos_token"] == "<|endoftext|>"


def test_bos_is_added_where_the_tokenizer_says_so(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    loaded = TextTokenizer.from_dir(make_tokenizer_dir(tmp_path, add_bos_token=True))
    assert loaded.adds_bos
    assert loaded.encode("a", add_special_tokens=True) == [1, *loaded.encode("a")]


def test_an_end_token_only_in_the_configuration_is_a_control_token(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_tokenizer_dir(tmp_path)
    spec = json.loads((path / "tokenizer.json").read_text())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["id"] != 2]
    (path / "tokenizer.json").write_text(json.dumps(spec))
    loaded = TextTokenizer.from_dir(path)
    assert loaded.eos_id == 2
    assert loaded.encode_template("<|im_end|>") == [2]
    assert 2 not in loaded.encode("<|im_end|>")


def test_a_word_level_vocabulary_cannot_be_injected_either(tmp_path: Path) -> None:
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "a": 2}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["<unk>", "</s>"])
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    loaded = TextTokenizer.from_dir(tmp_path)
    assert loaded.encode("a </s> a") == [2, 0, 2]
    assert loaded.encode_template("a</s>") == [2, 1]


def test_truncation_in_the_file_is_ignored(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_tokenizer_dir(tmp_path)
    backend = Tokenizer.from_file(str(path / "tokenizer.json"))
    backend.enable_truncation(3)
    backend.save(str(path / "tokenizer.json"))
    assert len(TextTokenizer.from_dir(path).encode("zqzqzq")) == 6


def test_named_templates(make_tokenizer_dir: Callable[..., Path], tmp_path: Path) -> None:
    named = [{"name": "tools", "template": "T"}, {"name": "default", "template": "D"}]
    path = make_tokenizer_dir(tmp_path, chat_template=named)
    assert TextTokenizer.from_dir(path).chat_template == "D"
    (path / "chat_template.jinja").write_text("FILE")
    assert TextTokenizer.from_dir(path).chat_template == "FILE"
    with pytest.raises(DataError, match="called `default`"):
        TextTokenizer.from_dir(make_tokenizer_dir(tmp_path / "b", chat_template=named[:1]))


def test_folders_that_say_the_same_share_a_tokenizer(
    make_tokenizer_dir: Callable[..., Path], tmp_path: Path
) -> None:
    first, again, other = (
        TextTokenizer.from_dir(make_tokenizer_dir(tmp_path / name, chat_template=template))
        for name, template in (("a", "A"), ("b", "A"), ("c", "C"))
    )
    assert first is again
    assert first.chat_template == "A"
    assert other.chat_template == "C"


def test_save_and_hash(
    tokenizer: TextTokenizer, tmp_path: Path, make_tokenizer_dir: Callable[..., Path]
) -> None:
    tokenizer.save(tmp_path / "saved")
    again = TextTokenizer.from_dir(tmp_path / "saved")
    for name in ("hash", "eos_ids", "bos_id", "pad_id", "chat_template", "special_names"):
        assert getattr(again, name) == getattr(tokenizer, name)
    assert TextTokenizer.from_dir(make_tokenizer_dir(tmp_path)).hash == tokenizer.hash
    other = TextTokenizer.from_dir(make_tokenizer_dir(tmp_path, chat_template="x"))
    assert other.hash != tokenizer.hash


def test_missing_and_ambiguous_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        TextTokenizer.from_dir(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no tokenizer\.json"):
        TextTokenizer.from_dir(tmp_path)
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(DataError, match=r"one\.json: not a tokenizer"):
        TextTokenizer.from_dir(tmp_path)
    (tmp_path / "two.json").write_text("{}")
    with pytest.raises(DataError, match=r"one\.json, two\.json"):
        TextTokenizer.from_dir(tmp_path)
    (tmp_path / "two.json").unlink()
    (tmp_path / "one.json").write_text("{")
    with pytest.raises(DataError, match=r"one\.json: Expecting"):
        TextTokenizer.from_dir(tmp_path)


PIECES = ["a", "b", "c", " ", "ab", "abc", " a", " ab", "bc", "\n"]


def write_piece_list(path: Path) -> Path:
    rows: list[list[object]] = [["<unk>", 0.0], ["\n<s>\n", 0.0], ["\n</s>\n", 0.0]]
    rows += [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
    rows += [[piece, -float(place)] for place, piece in enumerate(PIECES)]
    path.mkdir(exist_ok=True)
    (path / "pieces.json").write_text(json.dumps(rows))
    return path


def sentence_piece(text: str, scores: dict[str, float]) -> list[str]:
    """The slow twin: merge the best-scored neighbours until none merges."""
    parts = list(" " + text)
    while True:
        pairs = [(scores[a + b], -i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in scores]
        if not pairs:
            return parts
        place = -max(pairs)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@given(text=st.text(alphabet="abc \n", min_size=1))
def test_llama2c_pieces_merge_as_sentencepiece_does(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    loaded = TextTokenizer.from_dir(write_piece_list(tmp_path_factory.getbasetemp() / "pieces"))
    ids = {piece: 259 + place for place, piece in enumerate(PIECES)}
    scores = {piece: -float(place) for place, piece in enumerate(PIECES)}
    assert loaded.encode(text) == [ids[piece] for piece in sentence_piece(text, scores)]
    assert loaded.decode(loaded.encode(text)) == text
    assert loaded.decode_continuation(loaded.encode_continuation(text)) == text


def test_llama2c_pieces(tmp_path: Path) -> None:
    loaded = TextTokenizer.from_dir(write_piece_list(tmp_path))
    assert (loaded.bos_id, loaded.eos_id, loaded.pad_id, loaded.adds_bos) == (1, 2, 0, True)
    assert loaded.decode(loaded.encode("é </s>")) == "é </s>"
    assert loaded.encode_continuation("ab") == [263]
    assert loaded.encode("ab") == [266]
    loaded.save(tmp_path / "saved")
    again = TextTokenizer.from_dir(tmp_path / "saved")
    assert again.hash == loaded.hash
    assert again.encode("ab abc") == loaded.encode("ab abc")


@pytest.mark.data
def test_stories260k(real_data: Path) -> None:
    loaded = TextTokenizer.from_dir(real_data / "models" / "stories260K")
    text = "Once upon a time, there was a little girl named Lily."
    ids = loaded.encode(text, add_special_tokens=True)
    assert ids[0] == 1
    assert ids[1:6] == [403, 407, 261, 378, 432]
    assert loaded.decode(ids) == text
