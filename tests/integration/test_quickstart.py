"""The whole quickstart on a tiny random model: it says nothing about quality, only that all
stages work together, are skipped when nothing changed, and leave valid files."""

import io
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from fakes.tiny_models import build_model_dir
from heedful.core.jsonl import read_records
from heedful.core.records import Completion, EvalResult, Prompt, Ranking, Rating
from heedful.core.run import read_card
from heedful.evaluation.win_rates import Verdict
from heedful.pipeline.quickstart import run
from heedful.pipeline.quickstart_evaluation import MODELS, Score
from heedful.pipeline.quickstart_settings import load_quickstart
from heedful.pipeline.quickstart_stages import shares
from heedful.training.display import Display

STAGES = ["data", "sft", "ppo_init", "rankings", "reward", "ppo", "ppo_ptx", "evaluation"]
# Tokens are bytes, so prompts are long; a single step of everything is enough.
TINY = """
[model]
compute_dtype = "float32"
microbatch_tokens = 8192
[format]
max_prompt_tokens = 2048
max_completion_tokens = 12
overlong_completions = "truncate"
[sizes]
ranking_prompts = 6
min_completions = 2
max_completions = 4
test_prompts = 10
[sft]
epochs = 0.05
batch_size = 8
choose_by = "last"
[ppo_init]
epochs = 0.05
batch_size = 8
[reward]
batch_size = 4
[ppo]
episodes = 8
rollout_batch_size = 4
minibatch_size = 4
evaluate_every = 1
evaluation_prompts = 2
[ppo_ptx]
ptx_ratio = 1.0
"""


def quickstart(folder: Path, *overrides: str) -> str:
    """Run it in `folder`; returns what a person sees."""
    out = io.StringIO()
    settings = [f"run.dir={folder / 'run'}", "run.threads=1", f"model.name={folder / 'model'}"]
    config = load_quickstart([folder / "tiny.toml"], [*settings, *overrides])
    report = run(config, Display(Console(file=out, width=80)))
    assert report == folder / "run" / "report.html"
    return out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quickstart")
    build_model_dir(folder / "model", max_position_embeddings=4096)
    (folder / "tiny.toml").write_text(TINY)
    (folder / "shown.txt").write_text(quickstart(folder))
    return folder


def statuses(folder: Path) -> dict[str, str]:
    summary = json.loads((folder / "run" / "quickstart.json").read_text())
    return {stage["name"]: stage["status"] for stage in summary["stages"]}


def test_all_stages_finish(folder: Path) -> None:
    for name in STAGES[1:]:
        card = read_card(folder / "run" / name)
        assert card.status == "finished"
        # People wrote the demonstrations; all that comes after the rankings is simulated.
        assert card.simulated == (name not in {"sft", "ppo_init"})
    shown = (folder / "shown.txt").read_text()
    for number, name in enumerate(STAGES, start=1):
        assert f"{number}/8 {name}: " in shown
        assert f"  {name} took " in shown


def test_the_table_says_that_labels_are_simulated(folder: Path) -> None:
    lines = (folder / "shown.txt").read_text().splitlines()
    start = next(place for place, line in enumerate(lines) if "SIMULATED" in line)
    for label, line in zip(MODELS.values(), lines[start + 3 :], strict=False):
        assert line.strip().startswith(label)
        assert len(line) <= 80


def test_rankings_are_whole(folder: Path) -> None:
    path = folder / "run" / "rankings"
    prompts = {prompt.id: prompt for prompt in read_records(path / "prompts.jsonl", Prompt)}
    completions = {c.id: c for c in read_records(path / "completions.jsonl", Completion)}
    rankings = read_records(path / "rankings.jsonl", Ranking)
    assert len(rankings) == len(prompts)
    assert {prompt.split for prompt in prompts.values()} == {"train", "validation"}
    assert {ranking.made_by for ranking in rankings} == {"simulated"}
    for ranking in rankings:
        ranked = [completions[name] for name in ranking.completion_ids]
        assert {completion.prompt_id for completion in ranked} == {ranking.prompt_id}
        by = Counter(found.checkpoint_id for found in ranked)
        assert (by["start"], by["sft"], by["ppo_init"]) == shares(len(ranked))
    assert {len(ranking.completion_ids) for ranking in rankings} == {2, 3, 4}


def test_the_evaluation_is_whole(folder: Path) -> None:
    path = folder / "run" / "evaluation"
    data = {p.id: p for p in read_records(folder / "run" / "data" / "prompts.jsonl", Prompt)}
    completions = read_records(path / "completions.jsonl", Completion)
    assert {data[found.prompt_id].split for found in completions} == {"test"}
    assert len(completions) == len(MODELS) * 10
    verdicts = read_records(path / "verdicts.jsonl", Verdict)
    assert {verdict.candidate for verdict in verdicts} == set(MODELS) - {"sft"}
    assert {verdict.made_by for verdict in verdicts} == {"simulated"}
    labellers = {verdict.labeller_id for verdict in verdicts}
    trained = read_records(folder / "run" / "rankings" / "rankings.jsonl", Ranking)
    assert not labellers & {ranking.labeller_id for ranking in trained}
    assert len(read_records(path / "ratings.jsonl", Rating)) == len(completions) * len(labellers)
    scores = read_records(path / "scores.jsonl", Score)
    assert {(s.model, s.prompt_id) for s in scores} == {
        (found.checkpoint_id, found.prompt_id) for found in completions
    }


def test_every_model_has_its_numbers_with_intervals(folder: Path) -> None:
    results = read_records(folder / "run" / "evaluation" / "results.jsonl", EvalResult)
    found = {(r.task, r.metric, r.checkpoint_id): r for r in results}
    for name in MODELS:
        kinds = [("likert", "quality"), ("score", "score")]
        kinds += [("win_rate_vs_sft", "win_rate")] if name != "sft" else []
        for task, metric in kinds:
            result = found[task, metric, name]
            assert result.ci_low is not None
            assert result.ci_high is not None
            assert result.ci_low <= result.value <= result.ci_high
            assert result.num_examples == 10
        assert (("pretraining", "loss", name) in found) == (name != "start_few_shot")


def test_the_report_is_there(folder: Path) -> None:
    page = (folder / "run" / "report.html").read_text()
    assert "imulated" in page


def copy(folder: Path, to: Path) -> Path:
    """A copy that a test may change; stages compare content and settings, so the path stays."""
    kept = to / "kept"
    shutil.copytree(folder / "run", kept)
    return kept


def test_a_second_run_skips_everything_and_shows_the_same(folder: Path) -> None:
    shown = quickstart(folder)
    assert set(statuses(folder).values()) == {"skipped"}
    first = (folder / "shown.txt").read_text()
    assert shown[shown.index("Win rate") :] == first[first.index("Win rate") :]


def test_another_kl_coef_runs_only_what_depends_on_it(folder: Path, tmp_path: Path) -> None:
    kept = copy(folder, tmp_path)
    quickstart(folder, "ppo.kl_coef=0.123")
    ran = [name for name, status in statuses(folder).items() if status == "finished"]
    assert ran == ["ppo", "ppo_ptx", "evaluation"]
    shutil.rmtree(folder / "run")
    shutil.copytree(kept, folder / "run")


def test_other_weights_under_the_same_name_run_again(folder: Path, tmp_path: Path) -> None:
    kept, model = copy(folder, tmp_path), folder / "model"
    shutil.copytree(model, tmp_path / "model")
    build_model_dir(model, seed=1, max_position_embeddings=4096)
    quickstart(folder)
    assert [name for name, status in statuses(folder).items() if status == "skipped"] == ["data"]
    shutil.rmtree(folder / "run")
    shutil.copytree(kept, folder / "run")
    shutil.rmtree(model)
    shutil.copytree(tmp_path / "model", model)
