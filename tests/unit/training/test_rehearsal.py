from dataclasses import replace
from pathlib import Path

import pytest

from fakes.planned_stage import PACE, case
from heedful.core.jsonl import write_json_atomic
from heedful.training.rehearsal import (
    Scene,
    known_seconds,
    rehearse_bytes,
    rehearse_seconds,
)


@pytest.fixture
def scene(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path / "cache"))
    return replace(case("sft", base / "model").scene(), threads=1)


def test_seconds_are_measured_once_and_said(scene: Scene) -> None:
    told: list[str] = []
    assert known_seconds(scene) is None
    first = rehearse_seconds(scene, told.append)
    assert known_seconds(scene) == first
    assert rehearse_seconds(scene, told.append) == first
    assert len(told) == 1
    assert "Measuring this machine" in told[0]


def test_lengths_nearly_alike_share_an_answer_and_other_scenes_do_not(scene: Scene) -> None:
    long = replace(scene, prompt_tokens=100)
    assert replace(long, prompt_tokens=99).rounded().key() == long.rounded().key()
    others = [
        replace(scene, lora_rank=4),
        replace(scene, dtype="float32"),
        replace(scene, threads=2),
        replace(scene, prompts=1),
        replace(scene, decode_rows=8),
    ]
    keys = {other.rounded().key() for other in (scene, *others)}
    assert len(keys) == 6


def test_a_damaged_answer_is_measured_again(scene: Scene, tmp_path: Path) -> None:
    rehearse_seconds(scene, lambda _: None)
    (file,) = (tmp_path / "cache" / "rehearsals").iterdir()
    write_json_atomic(file, {"train": 1.0})
    assert known_seconds(scene) is None
    assert rehearse_seconds(scene, lambda _: None).train < 1.0


def test_a_kept_answer_is_read_as_it_was_written(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "rehearsals"
    folder.mkdir(parents=True)
    write_json_atomic(folder / f"{scene.rounded().key()}.json", PACE.model_dump())
    assert known_seconds(scene) == PACE


def test_bytes_are_the_same_each_time(scene: Scene) -> None:
    assert rehearse_bytes(scene) == rehearse_bytes(replace(scene))
