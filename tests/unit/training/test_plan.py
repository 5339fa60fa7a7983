from pathlib import Path

import pytest

from fakes.planned_stage import COSTS, PACE, case
from fakes.training_data import make_project
from heedful.training.plan import Plan, known_shapes, make_plan


def test_the_peak_is_the_fullest_moment() -> None:
    memory = {"training": {"a": 3.0, "b": 1.0}, "saving": {"a": 2.0, "b": 5.0}}
    plan = Plan(memory=memory, seconds={"x": 1.0, "y": 2.5}, tokens={}, flops={})
    assert (plan.peak_moment, plan.peak_bytes) == ("saving", 7.0)
    assert plan.total_seconds == 3.5


def test_a_machine_that_was_not_measured_has_no_time(base: Path) -> None:
    plan = make_plan(case("sft", base / "model"), COSTS, None)
    assert plan.total_seconds is None
    assert plan.peak_bytes > 0
    timed = make_plan(case("sft", base / "model"), COSTS, PACE)
    assert timed.total_seconds == pytest.approx(sum(timed.seconds.values()))
    assert {"training", "optimiser", "loading", "saving"} <= set(timed.seconds)


def test_models_that_are_not_here_are_named(base: Path) -> None:
    config = make_project(Path("run"), base / "model", ppo={"reward": "runs/rm"})
    known, missing = known_shapes("ppo", config)
    assert set(known) == {str(base / "model")}
    assert missing == ["runs/rm"]
