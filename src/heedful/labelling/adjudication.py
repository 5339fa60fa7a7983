"""Which items' labels disagree most, and a batch that has somebody else decide them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.labelling.paired_rankings import TiePolicy, pair_rankings
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.columns import Purpose
from heedful.store.quality_queries import Judgement, open_to_adjudication
from heedful.store.tables import BatchRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """An item that several labellers ranked.

    Attributes:
        agreement: Share of its pairs of outputs on which its rankings agree.
        compared: Pairs of outputs times pairs of rankings.
    """

    item_id: str
    prompt_id: str
    purpose: str
    num_labels: int
    agreement: float
    compared: int


def disagreements(
    judgements: Sequence[Judgement], *, ties: TiePolicy = "exact"
) -> list[Disagreement]:
    """The items with two labels or more, the least agreed upon first."""
    labels: dict[str, list[Judgement]] = {}
    for one in judgements:
        if one.kind == "ranking":
            labels.setdefault(one.item_id, []).append(one)
    about = {item: mine[0] for item, mine in labels.items()}
    pairs = pair_rankings(
        [
            one.ranking.model_copy(update={"prompt_id": item})
            for item, mine in labels.items()
            for one in mine
        ]
    ).across()
    agreed, compared = (
        np.bincount(pairs.prompt, weights=part, minlength=len(pairs.prompts))
        for part in pairs.agreed(ties)
    )
    found = [
        Disagreement(
            item_id=item,
            prompt_id=about[item].ranking.prompt_id,
            purpose=about[item].purpose,
            num_labels=len(labels[item]),
            agreement=float(agreed[index] / compared[index]),
            compared=int(compared[index]),
        )
        for index, item in enumerate(pairs.prompts)
        if compared[index] > 0
    ]
    return sorted(found, key=lambda one: (one.agreement, -one.compared, one.item_id))


def adjudicate(
    session: Session,
    *,
    project_id: str,
    name: str,
    item_ids: Collection[str],
    created_by: str,
) -> BatchRow:
    """An open batch in which reviewers or researchers rank these items anew.

    Raises:
        DataError: No item is given, one is adjudicated already, or they are for more than one
            purpose, which a batch cannot be.
    """
    known = open_to_adjudication(session, project_id)
    if gone := [one for one in item_ids if one not in known]:
        raise DataError(
            f"{len(gone)} of the items cannot be adjudicated (the first is {gone[0]})",
            "They may have been adjudicated meanwhile; reload the page.",
        )
    purposes: set[Purpose] = {known[one][1] for one in item_ids}
    if len(purposes) > 1:
        raise DataError(
            f"The items are for {' and '.join(sorted(purposes))}; a batch is for one purpose.",
            "Choose items of one purpose, and make another batch for the others.",
        )
    return create_batch(
        session,
        project_id=project_id,
        name=name,
        kind="adjudication",
        purpose=purposes.pop() if purposes else "training",
        items=[
            ItemSpec(item.prompt_id, completion_ids=item.completion_ids, adjudicates=item.id)
            for item, _ in (known[one] for one in item_ids)
        ],
        created_by=created_by,
        state="open",
    )
