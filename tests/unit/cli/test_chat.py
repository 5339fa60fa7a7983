from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.tiny_models import build_model_dir
from heedful.cli.main import app
from heedful.core.errors import ModelError

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=512)


def chat(model: Path, typed: str, *options: str) -> str:
    arguments = ["chat", str(model), "--max-tokens", "4", *options]
    result = RUNNER.invoke(app, arguments, input=typed)
    assert result.exit_code == 0, result.exception
    return result.output


def test_each_prompt_has_an_answer_and_the_end_of_input_ends(model: Path) -> None:
    output = chat(model, "Say a word.\n\nAnd another.\n")
    assert output.count("model ") == 2
    assert "Ctrl-D ends" in output.splitlines()[0]


def test_the_seed_decides_the_answer(model: Path) -> None:
    assert chat(model, "Hello.\n", "--seed", "3") == chat(model, "Hello.\n", "--seed", "3")
    answers = {chat(model, "Hello.\n", "--seed", str(seed)) for seed in range(4)}
    assert len(answers) > 1


def test_earlier_turns_count_until_the_talk_starts_over(model: Path) -> None:
    greedy = ("--temperature", "0")
    _, _, fresh = chat(model, "One two three.\n", *greedy).partition("\n")
    assert chat(model, "Something else.\n/new\nOne two three.\n", *greedy).endswith(fresh)
    assert not chat(model, "Something else.\nOne two three.\n", *greedy).endswith(fresh)


def test_a_prompt_that_does_not_fit_is_refused_and_the_talk_goes_on(tmp_path: Path) -> None:
    model = build_model_dir(tmp_path / "tiny")
    (model / "format.json").write_text('{"template": "plain", "max_prompt_tokens": 60}')
    output = chat(model, f"{'word ' * 40}\nHi.\n")
    assert "is longer than 60 tokens" in output
    assert output.count("model ") == 1


def test_no_such_model() -> None:
    error = RUNNER.invoke(app, ["chat", "no-such-model"]).exception
    assert isinstance(error, ModelError)
