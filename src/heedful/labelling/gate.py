"""The training gate: what a labeller does in practice before they work, and how it goes after.

After practice, gold items that are mixed into ordinary batches give each labeller a running
agreement. Nobody is moved by a number: a researcher moves them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from heedful.labelling.agreement import Agreement
from heedful.labelling.gold import gold_agreement
from heedful.labelling.project_settings import ProjectSettings
from heedful.store.quality_queries import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How far a labeller is with their practice.

    Attributes:
        gold: Agreement with the gold rankings of practice items; None before the first.
    """

    labeller_id: str
    items_done: int
    items_needed: int
    gold: Agreement | None
    cutoff: float

    @property
    def is_met(self) -> bool:
        """Whether enough items were done, and those with gold rankings well enough."""
        value = self.gold.pairwise if self.gold is not None else None
        return self.items_done >= self.items_needed and (
            value is None or value.value >= self.cutoff
        )


def gates(
    labellers: Collection[str], judgements: Sequence[Judgement], settings: ProjectSettings
) -> dict[str, Gate]:
    """The gate of each of these labellers; where practice has no gold items, the count decides."""
    against_gold = gold_agreement(
        [one for one in judgements if one.labeller_id in labellers], {"practice"}
    )
    done: dict[str, set[str]] = {name: set() for name in labellers}
    for one in judgements:
        if one.purpose == "practice" and one.labeller_id in done:
            done[one.labeller_id].add(one.item_id)
    return {
        name: Gate(
            labeller_id=name,
            items_done=len(items),
            items_needed=settings.practice_min_items,
            gold=against_gold.get(name),
            cutoff=settings.practice_agreement_cutoff,
        )
        for name, items in done.items()
    }


def running_agreement(judgements: Sequence[Judgement]) -> dict[str, Agreement]:
    """Agreement of each working labeller with the gold items mixed into their batches."""
    return gold_agreement(judgements, {"training", "evaluation"})
