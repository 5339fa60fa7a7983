"""What labels cost."""

from heedful.labelling.pay import cost_of
from heedful.store.overview import Work
from heedful.store.tables import ProjectRow


def project(*, pay_rate: float | None = 18.0, simulated: bool = False) -> ProjectRow:
    return ProjectRow(id="p", name="P", pay_rate=pay_rate, simulated=simulated)


MIXED = Work(labels=8, simulated=4, seconds=7200.0, seconds_of_people=3600.0)


def test_people_are_paid_for_all_their_time_and_programs_are_not() -> None:
    cost = cost_of(project(), MIXED)
    assert cost is not None
    assert (cost.total, cost.per_label) == (18.0, 4.5)


def test_a_rehearsal_is_counted_as_if_it_were_paid() -> None:
    cost = cost_of(project(simulated=True), MIXED)
    assert cost is not None
    assert (cost.total, cost.per_label) == (36.0, 4.5)


def test_without_a_rate_or_labels_there_is_no_figure() -> None:
    assert cost_of(project(pay_rate=None), MIXED) is None
    nothing = cost_of(project(), Work())
    assert nothing is not None
    assert (nothing.total, nothing.per_label) == (0.0, None)
