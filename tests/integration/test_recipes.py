"""The recipes, on the real data they name, with a tiny model in place of the named one."""

import io
import itertools
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from fakes.tiny_models import build_model_dir
from heedful.core.config import load_config
from heedful.core.data_settings import DataRoom
from heedful.core.errors import ConfigError
from heedful.core.jsonl import read_records
from heedful.core.records import EvalResult
from heedful.core.settings import Project
from heedful.data.contamination_records import read_report
from heedful.data.sources import load_demonstrations, load_prompts, load_rankings
from heedful.data.split import with_splits
from heedful.data.split_proof import SplitProof
from heedful.pipeline.data_room import prepare
from heedful.training import reward, sft
from heedful.training.display import Display

RECIPES = Path(__file__).parents[2] / "recipes"
FILES = sorted(RECIPES.glob("*.toml"))
TRAINING = [path for path in FILES if path.stem != "data-room"]
# Few bytes are enough: the tiny model's tokens are bytes, and it learns nothing.
SMALL = ["data.limit=8", "format.max_prompt_tokens=512", "format.max_completion_tokens=48"]
SMALL += ["run.threads=1", "model.compute_dtype=float32", "model.microbatch_tokens=8192"]


def commands() -> list[list[str]]:
    """The words of every `heedful train` in the recipes' README."""
    text = (RECIPES / "README.md").read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"(?m)^heedful train .*", text)]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[2:5:2]))
def test_the_readme_has_settings_that_exist(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_DATA", "/data")
    files = [RECIPES.parent / word for word in words if word.endswith(".toml")]
    overrides = [after for word, after in itertools.pairwise(words) if word == "--set"]
    config = load_config(Project, files, overrides)
    assert str(config.data.rankings).startswith("/data/")
    assert {words[2]} <= {"sft", "reward", "ppo"}


@pytest.mark.parametrize("recipe", FILES, ids=lambda path: path.stem)
def test_without_the_variable_a_recipe_says_so(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEEDFUL_DATA", raising=False)
    project = DataRoom if recipe.stem == "data-room" else Project
    with pytest.raises(ConfigError, match="HEEDFUL_DATA is not set: export it"):
        load_config(project, [recipe], ["run.dir=x"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_dir(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=1024)


@pytest.mark.data
@pytest.mark.parametrize("recipe", TRAINING, ids=lambda path: path.stem)
def test_a_recipe_trains_on_the_real_data(
    recipe: Path, real_data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_DATA", str(real_data))
    out = io.StringIO()
    display = Display(Console(file=out))

    def load(stage: str, *overrides: str) -> Project:
        return load_config(Project, [recipe], [*SMALL, f"run.dir={tmp_path / stage}", *overrides])

    tuned = sft.train(load("sft", f"model.name={model}", "sft.epochs=1"), display)
    scored = reward.train(load("reward", f"model.name={tmp_path / 'sft'}"), display)
    assert scored.parents == (tuned.id,)
    assert "person" in scored.made_by, "people ranked, whoever wrote the answers"
    assert "simulated" not in scored.made_by
    assert scored.step in (1, 2)
    results = {r.metric: r for r in read_records(tmp_path / "reward" / "results.jsonl", EvalResult)}
    for metric in ("accuracy", "length_accuracy"):
        low, high = results[metric].ci_low, results[metric].ci_high
        assert low is not None
        assert high is not None
        assert 0 <= low <= results[metric].value <= high <= 1
    assert results["accuracy"].num_examples == results["length_accuracy"].num_examples > 20
    assert "reward model " in out.getvalue()
    assert "the longer one wins " in out.getvalue()


@pytest.mark.data
@pytest.mark.parametrize("recipe", TRAINING, ids=lambda path: path.stem)
def test_all_stages_hold_out_the_same_conversations(
    recipe: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_DATA", str(real_data))
    data = load_config(Project, [recipe], ["run.dir=x"]).data
    assert data.demonstrations is not None
    assert data.rankings is not None
    assert data.prompts is not None
    uses = (
        load_demonstrations(data.demonstrations).prompts,
        load_rankings(data.rankings).prompts,
        load_prompts(data.prompts),
    )
    held_out: list[set[str]] = []
    for prompts in uses:
        split = with_splits(prompts, data.validation_share, 0).values()
        held_out.append({prompt.id for prompt in split if prompt.split == "validation"})
        groups = [{p.organisation for p in split if p.split == s} for s in ("train", "validation")]
        assert not groups[0] & groups[1]
    assert held_out[0] == held_out[1] == held_out[2]
    assert held_out[0]


@pytest.mark.data
@pytest.mark.slow
def test_the_data_room_reads_real_data(
    tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEEDFUL_DATA", str(real_data))
    recipe = load_config(DataRoom, [RECIPES / "data-room.toml"], [f"run.dir={tmp_path / 'run'}"])
    small = {"self_instruct_seed_tasks.jsonl", "oasst_en_trees_80.jsonl"}
    assert recipe.contamination is not None
    config = recipe.model_copy(
        update={
            "sources": tuple(item for item in recipe.sources if item.path.name in small),
            "languages": None,
            "contamination": recipe.contamination.model_copy(update={"pretraining": ()}),
        }
    )
    prepare(config, Display(quiet=True))
    proof = SplitProof.model_validate_json((tmp_path / "run/split/proof.json").read_bytes())
    assert proof.holds
    report = read_report(tmp_path / "run" / "contamination")
    assert len(report.sets) == 20
    assert {source.kind for source in report.sources} >= {"demonstrations", "completions"}
