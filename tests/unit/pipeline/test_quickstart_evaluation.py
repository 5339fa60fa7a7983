"""What `tests/integration/test_quickstart.py` cannot tell: numbers known beforehand."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from heedful.core.jsonl import write_records
from heedful.core.records import EvalResult
from heedful.pipeline.quickstart_evaluation import (
    MODELS,
    OUTPUTS,
    Score,
    _score_results,
    results_table,
)


def score(model: str, user: str, value: float) -> Score:
    return Score(
        model=model,
        prompt_id=f"{user}-{value}",
        user_id=user,
        score=value,
        num_tokens=3,
        finish_reason="stop",
    )


def test_mean_scores_have_intervals_over_users() -> None:
    scores = [score("sft", "a", 1.0), score("sft", "b", 3.0), score("ppo", "a", 5.0)]
    first, second = _score_results(scores, seed=2)
    assert (first.checkpoint_id, first.value, first.num_examples) == ("sft", 2.0, 2)
    assert (first.ci_low, first.ci_high) == (1.0, 3.0)
    assert (second.checkpoint_id, second.value, second.ci_low) == ("ppo", 5.0, None)


def result(name: str, task: str, metric: str, value: float, spread: float = 0.0) -> EvalResult:
    return EvalResult(
        task=task,
        metric=metric,
        value=value,
        ci_low=value - spread if spread else None,
        ci_high=value + spread if spread else None,
        num_examples=200,
        checkpoint_id=name,
    )


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    """The table of made-up results, in a log of 80 columns."""
    results = []
    for name in MODELS:
        results.append(result(name, "likert", "quality", 4.0))
        if name != "sft":
            results.append(result(name, "win_rate_vs_sft", "win_rate", 0.61, 0.052))
        if name != "start_few_shot":
            results.append(result(name, "pretraining", "loss", 3.21))
    write_records(tmp_path / "results.jsonl", results)
    out = io.StringIO()
    Console(file=out, width=80).print(results_table(tmp_path))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_table_fits_a_log_and_says_simulated(lines: list[str]) -> None:
    assert "SIMULATED" in lines[0]
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_every_model_has_a_row(lines: list[str]) -> None:
    rows = {label: line for label in MODELS.values() for line in lines if label in line}
    assert rows.keys() == set(MODELS.values())
    numbers = "61.0 % 55.8 to 66.2 % 4.00 3.210"
    assert " ".join(rows["PPO-ptx"].split()) == f"PPO-ptx {numbers}"
    assert rows["SFT"].split()[-3:] == ["(itself)", "4.00", "3.210"]
    assert rows["start model, few-shot prefix"].endswith("4.00")


def test_the_outputs_are_named_once() -> None:
    assert len(set(OUTPUTS)) == len(OUTPUTS)
