"""The plan of a stage: how much memory and time it will take, and in what.

The examples are counted, the passes rehearsed, and the sums made, each in its own module;
here they come together, for `--dry-run` and for a run that is about to begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from heedful.core.settings import Project
from heedful.models.shape import ModelShape, read_shape
from heedful.training.plan_case import Case, Parts, copies
from heedful.training.plan_memory import memory_parts
from heedful.training.plan_time import effort
from heedful.training.rehearsal import Bytes, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The prediction for one stage.

    Attributes:
        memory: Bytes by moment and part: on a CPU of the process, on a GPU of its memory.
        seconds: By phase, imports left out; empty where the machine was not measured.
        tokens: By phase.
        flops: By phase, 2 N a token forward and 6 N forward and backward.
    """

    memory: Mapping[str, Parts]
    seconds: Parts
    tokens: Parts
    flops: Parts

    @property
    def peak_moment(self) -> str:
        """When memory is fullest."""
        return max(self.memory, key=lambda moment: sum(self.memory[moment].values()))

    @property
    def peak_bytes(self) -> float:
        """How full it is then."""
        return sum(self.memory[self.peak_moment].values())

    @property
    def total_seconds(self) -> float | None:
        """Of the whole stage; None where the machine was not measured."""
        return sum(self.seconds.values()) if self.seconds else None


def known_shapes(stage: str, config: Project) -> tuple[dict[str, ModelShape], list[str]]:
    """Sizes of the stage's models by name, and the names of those that are not here."""
    found = {copy.name: read_shape(copy.name) for copy in copies(stage, config)}
    known = {name: shape for name, shape in found.items() if shape is not None}
    return known, [name for name in found if name not in known]


def make_plan(case: Case, costs: Bytes, pace: Seconds | None) -> Plan:
    """The sums for one stage."""
    done = effort(case, pace)
    return Plan(
        memory=memory_parts(case, costs),
        seconds=done.seconds,
        tokens=done.tokens,
        flops=done.flops,
    )
