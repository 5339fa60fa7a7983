import json
from pathlib import Path

import pytest

from fakes.data_room_sources import SECRETS, write_sources
from heedful.core.config import load_config
from heedful.core.data_settings import DataRoom, DistributionSettings
from heedful.core.errors import ConfigError, DataError
from heedful.pipeline.data_outputs import compare, release
from heedful.pipeline.data_room import prepare
from heedful.training.display import Display

NOBODY = Path("no-withdrawals.jsonl")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = load_config(DataRoom, [write_sources(tmp_path_factory.mktemp("outputs"))])
    prepare(config, Display(quiet=True))
    return config.run.dir


def test_a_release_counts_its_rows(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_SALT", "a salt of more than sixteen bytes")
    facts = release(run, tmp_path / "out", title="Ours", register=NOBODY)
    assert sum(facts.num_rows["demonstrations"].values()) == 46
    assert sum(facts.num_rows["rankings"].values()) == 12
    assert "The stage dedup dropped 1 containment, 1 exact, 1 near." in facts.how_made
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in SECRETS)


def test_a_release_needs_a_salt_and_a_finished_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEEDFUL_SALT", raising=False)
    monkeypatch.delenv("HEEDFUL_SALT_FILE", raising=False)
    with pytest.raises(ConfigError, match="a release needs a secret key"):
        release(run, tmp_path / "out", title="Ours", register=NOBODY)
    with pytest.raises(DataError, match="no stage of a data room has run there"):
        release(tmp_path, tmp_path / "out", title="Ours", register=NOBODY)


def test_two_sets_side_by_side(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(
        "".join(json.dumps({"prompt": "Say it. " * n, "completion": "It."}) + "\n" for n in (1, 2))
    )
    page = compare(run, other, tmp_path / "both", settings=DistributionSettings(), languages=None)
    assert page == tmp_path / "both" / "report.html"
    assert other.name in page.read_text(encoding="utf-8")
