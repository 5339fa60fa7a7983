"""Settings of the data room: as strict as all others, with sources as a list of tables."""

from pathlib import Path

import pytest

from heedful.core.config import load_config, walk_settings
from heedful.core.data_settings import DataRoom, DedupSettings, SplitSettings
from heedful.core.errors import ConfigError

SOURCE = '[[sources]]\npath = "a.jsonl"\nkind = "prompts"\n'


def load(tmp_path: Path, text: str, *overrides: str) -> DataRoom:
    file = tmp_path / "room.toml"
    file.write_text(text)
    return load_config(DataRoom, [file], overrides)


def test_one_source_is_enough(tmp_path: Path) -> None:
    config = load(tmp_path, SOURCE)
    assert config.run.dir == Path("runs/data")
    assert config.sources[0].path == Path("a.jsonl")
    assert config.dedup.named == ("exact", "containment", "near", "template")
    assert config.dedup.join == ("near",)
    assert (config.contamination, config.languages) == (None, None)


def test_sources_are_tables_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "/data")
    second = '[[sources]]\npath = "${HERE}/b.csv"\nkind = "rankings"\nlanguages = ["en", "de"]\n'
    config = load(tmp_path, SOURCE + second, 'split.previous=["${HERE}/old", "runs/old"]')
    assert [str(source.path) for source in config.sources] == ["a.jsonl", "/data/b.csv"]
    assert config.sources[1].languages == ("en", "de")
    assert config.split.previous == (Path("/data/old"), Path("runs/old"))
    assert [source.max_rejects for source in config.with_max_rejects(7).sources] == [7, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "setting `sources.path` is needed"),
        ("sources = []\n", "at least 1 item"),
        (SOURCE + 'licens = "MIT"\n', r"unknown setting `sources.0.licens`"),
        (SOURCE + 'max_rejects = "many"\n', "`sources.0.max_rejects`: Input should be"),
        (SOURCE + "[split]\ntrain = 0.9\n", "train, validation and test sum to 1.3"),
        (SOURCE + "[dedup]\njoin = []\n", "near is neither in remove nor in join"),
        (SOURCE + '[dedup]\nremove = ["near"]\n', "the policy near is named twice"),
        (
            SOURCE + '[dedup]\nremove = ["exact"]\ncontainment_min_words = 9\n',
            "containment_min_words does nothing without the policy containment",
        ),
        (SOURCE + "[dedup]\nprefix_min_words = 9\n", "does nothing without the policy common-"),
        (SOURCE + "[contamination]\nsets = []\n", "at least 1 item"),
        (SOURCE + '[dedup]\nreport = ["paraphrase"]\n', r"needs a section \[embeddings\]"),
        (SOURCE + '[split]\nprevious = ["runs/data"]\n', "previous names run.dir itself"),
        (SOURCE + "[embeddings]\n", r"\[embeddings\] does nothing"),
        (
            SOURCE + '[contamination]\nsets = ["a"]\nparaphrase_cosine = 0.7\n',
            r"does nothing without \[embeddings\]",
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_a_policy_gets_its_own_settings() -> None:
    settings = DedupSettings(
        report=("template", "common-prefix"), prefix_min_words=20, near_threshold=0.7
    )
    assert settings.of_policy("near") == {"threshold": 0.7}
    assert settings.of_policy("common-prefix") == {"min_words": 20, "min_share": 0.5}
    assert settings.of_policy("exact") == {}


def test_shares_by_split() -> None:
    shares = SplitSettings(train=0.8, validation=0.2, test=0.0).shares
    assert shares == (("train", 0.8), ("validation", 0.2), ("test", 0.0))


def test_every_setting_is_described() -> None:
    assert [name for name, field in walk_settings(DataRoom) if not field.description] == []
