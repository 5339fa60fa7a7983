"""What labels cost at a project's pay rate.

All time on work that was sent is paid, also where the label turned out surplus or was
excluded. Programs are not paid; in a rehearsal, where only programs work, their simulated
time is counted as if they were, so that the figures can be seen.
"""

from dataclasses import dataclass

from heedful.store.overview import Work
from heedful.store.tables import ProjectRow


@dataclass(frozen=True, slots=True)
class Cost:
    """In the project's currency.

    Attributes:
        per_label: Of labels that count; None where there are none.
    """

    total: float
    per_label: float | None


def cost_of(project: ProjectRow, work: Work) -> Cost | None:
    """The cost of `work`; None where the project has no pay rate."""
    if project.pay_rate is None:
        return None
    seconds, labels = work.seconds_of_people, work.labels - work.simulated
    if project.simulated:
        seconds, labels = work.seconds, work.labels
    total = project.pay_rate * seconds / 3600
    return Cost(total, total / labels if labels else None)
