from pathlib import Path

import pytest
from typer.testing import CliRunner

from heedful.cli.main import app
from heedful.core.errors import ModelError

RUNNER = CliRunner()
NAME = "smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path))
    return tmp_path / "models" / NAME


def test_the_list_says_what_is_not_here() -> None:
    result = RUNNER.invoke(app, ["model", "list"])
    assert result.output.startswith(f"{NAME}  135M  Apache-2.0  ")
    assert result.output.endswith("[not fetched]\n")


def test_the_list_says_where_a_model_is(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    (own_cache / "config.json").write_text("{}")
    assert f"[{own_cache}]" in RUNNER.invoke(app, ["model", "list"]).output


def test_a_model_that_is_here_is_not_fetched_again(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    (own_cache / "config.json").write_text("{}")
    result = RUNNER.invoke(app, ["model", "get", NAME])
    assert result.output == f"{NAME} is already in {own_cache}.\n"


def test_an_unknown_model_is_an_error_that_lists_the_known() -> None:
    error = RUNNER.invoke(app, ["model", "get", "gpt-3"]).exception
    assert isinstance(error, ModelError)
    assert NAME in str(error.hint)
