"""A stage as the plan sees it, on a tiny model."""

from pathlib import Path
from typing import Any

from fakes.training_data import make_project
from heedful.models.shape import read_shape
from heedful.training.plan_case import Case, copies
from heedful.training.rehearsal import Bytes, Seconds
from heedful.training.workload import Workload

COSTS = Bytes(
    train=1000.0, train_pass=50.0, score=100.0, head=10.0, head_most=4000.0, head_pass=500.0
)
PACE = Seconds(
    train=1e-3,
    score=3e-4,
    head_train=1e-4,
    head_score=5e-5,
    update=1e-9,
    step=0.01,
    prefill=2e-4,
    rate=1e11,
)


def work(**changes: Any) -> Workload:
    """A hundred examples of 20 + 10 tokens, ten to validate on."""
    values: dict[str, Any] = {
        "source": "counted",
        "prompt_tokens": 20.0,
        "completion_tokens": 10.0,
        "longest": 40,
        "read": 110,
        "training": 100,
        "validation": 10,
    }
    return Workload(**values | changes)


def case(
    stage: str,
    folder: Path,
    /,
    *,
    dtype: str = "bfloat16",
    budget: int = 256,
    workload: Workload | None = None,
    **sections: dict[str, Any],
) -> Case:
    """`stage` on the tiny model in the given folder; PPO's reward model is the same one."""
    sections["ppo"] = {"reward": str(folder)} | sections.get("ppo", {})
    config = make_project(Path("run"), folder, **sections)
    shapes = {copy.name: read_shape(copy.name) for copy in copies(stage, config)}
    assert None not in shapes.values()
    return Case(
        stage=stage,
        config=config,
        work=workload or work(),
        shapes={name: shape for name, shape in shapes.items() if shape is not None},
        device="cpu",
        dtype=dtype,
        budget=budget,
    )
