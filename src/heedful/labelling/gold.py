"""How far labellers agree with the gold rankings that researchers gave to some items.

Screening, the practice gate and the running check of working labellers all read this one
number; what follows from it is theirs to say.
"""

from collections.abc import Collection, Sequence

from heedful.labelling.agreement import Agreement, agreement
from heedful.labelling.paired_rankings import TiePolicy, pair_rankings
from heedful.store.columns import Purpose
from heedful.store.quality_queries import GOLD, Judgement


def gold_agreement(
    judgements: Sequence[Judgement],
    purposes: Collection[Purpose],
    *,
    ties: TiePolicy = "exact",
) -> dict[str, Agreement]:
    """Of each labeller who ranked a gold item in a batch of these purposes.

    A ranking meets the gold ranking of its own item alone.
    """
    chosen = [one for one in judgements if one.gold is not None and one.purpose in purposes]
    gold, rankings = {}, []
    for one in chosen:
        by_item = {"prompt_id": one.item_id}
        rankings.append(one.ranking.model_copy(update=by_item))
        if one.gold is not None:
            gold[one.item_id] = one.gold.model_copy(update=by_item)
    pairs = pair_rankings([*rankings, *gold.values()])
    return {
        labeller: agreement(pairs.between({labeller}, {GOLD}), ties=ties)
        for labeller in sorted({one.labeller_id for one in chosen})
    }
