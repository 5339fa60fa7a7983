import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from fakes.tiny_models import build_model_dir
from heedful.core.records import Prompt, text_hash
from heedful.core.run import read_card
from heedful.generation.language_model import LanguageModel
from heedful.models.loading import num_matrix_parameters
from heedful.pipeline.quickstart_sampling import Sampling
from heedful.pipeline.quickstart_settings import load_quickstart
from heedful.training.display import Display

PROMPTS = [
    Prompt(
        id=f"p{number}",
        text_hash=text_hash(text),
        instruction="Say it again.",
        context=text,
        source="test",
        user_id="u",
        consent=True,
    )
    for number, text in enumerate(["yes", "a line\n" * 20])
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def sampling(model: Path, tmp_path: Path, shown: io.StringIO) -> Iterator[Sampling]:
    settings = ["model.compute_dtype=float32", f"model.name={model}", f"run.dir={tmp_path}"]
    settings += ["format.max_prompt_tokens=80", "format.max_completion_tokens=6", "run.threads=1"]
    config = load_quickstart([], settings)
    display = Display(Console(file=shown))
    with Sampling.start(tmp_path / "stage", "rankings", config, display) as found:
        yield found


@pytest.fixture
def language(sampling: Sampling) -> LanguageModel:
    return sampling.open(sampling.config.model.name)


def test_completions_carry_the_name_and_the_seed(
    sampling: Sampling, language: LanguageModel
) -> None:
    rows = sampling.complete(language, PROMPTS, "start", seed=5, counts=[2] * len(PROMPTS))
    assert [[found.prompt_id for found in row] for row in rows] == [["p0", "p0"], ["p1", "p1"]]
    for found in (found for row in rows for found in row):
        assert (found.checkpoint_id, found.seed) == ("start", 5)
        assert found.sampling is not None
        assert found.sampling.temperature == 1.0
        assert found.num_tokens is not None
        assert found.num_tokens <= 6
    assert rows == sampling.complete(language, PROMPTS, "start", seed=5, counts=[2] * len(PROMPTS))
    assert rows != sampling.complete(language, PROMPTS, "start", seed=6, counts=[2] * len(PROMPTS))


def test_prompts_that_are_cut_are_counted_aloud(
    sampling: Sampling, language: LanguageModel, shown: io.StringIO
) -> None:
    sampling.complete(language, PROMPTS[:1], "sft", seed=0)
    assert shown.getvalue() == ""
    sampling.complete(language, PROMPTS, "sft", seed=0)
    assert "sft: 2 prompts: 2 kept (1 of them cut to the token budget)" in shown.getvalue()


def test_the_run_is_simulated_and_counts_tokens(
    sampling: Sampling, language: LanguageModel
) -> None:
    rows = sampling.complete(language, PROMPTS, "start", seed=0)
    tokens = sum(row[0].num_tokens or 0 for row in rows)
    cost = sampling.directory.card.cost
    assert cost.generated_tokens == tokens
    assert cost.flops == 2 * tokens * num_matrix_parameters(language.model)
    sampling.directory.save()
    card = read_card(sampling.directory.path)
    assert (card.kind, card.simulated) == ("rankings", True)
