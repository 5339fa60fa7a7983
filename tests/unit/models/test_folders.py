import sys
from pathlib import Path
from subprocess import run

import pytest

from heedful.core.errors import ModelError
from heedful.models.folders import cache_dir, find_model


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def make(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", *names):
        (folder / name).write_text("{}")
    return folder


def test_a_local_folder(tmp_path: Path) -> None:
    assert find_model(str(make(tmp_path / "mine"))).path == tmp_path / "mine"


def test_a_run_directory_means_its_checkpoint(tmp_path: Path) -> None:
    make(tmp_path / "runs" / "sft", "run.json")
    make(tmp_path / "runs" / "sft" / "checkpoint")
    found = find_model("runs/sft")
    assert (found.name, found.path) == ("runs/sft", Path("runs/sft/checkpoint"))


def test_a_run_without_a_checkpoint_is_no_model(tmp_path: Path) -> None:
    make(tmp_path / "runs" / "sft", "run.json")
    with pytest.raises(ModelError, match="holds no model") as error:
        find_model("runs/sft")
    assert "has finished" in str(error.value.hint)


def test_a_fetched_model_of_the_catalogue(tmp_path: Path) -> None:
    folder = make(tmp_path / "cache" / "models" / "smollm2-135m-instruct")
    assert find_model("smollm2-135m-instruct").path == folder


def test_a_model_of_the_catalogue_that_is_not_here() -> None:
    with pytest.raises(ModelError) as error:
        find_model("smollm2-135m-instruct")
    assert error.value.hint == "Run `heedful model get smollm2-135m-instruct`."


@pytest.mark.parametrize("name", ["nonsense", "a/b/c", "./none", "~none/x", "/none/x"])
def test_a_name_that_nothing_has(name: str) -> None:
    with pytest.raises(ModelError, match="no such folder, and not a name of the catalogue"):
        find_model(name)


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("HEEDFUL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "heedful"


def test_finding_needs_no_torch() -> None:
    code = "import sys, heedful.models.catalogue as _; print('torch' in sys.modules)"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
