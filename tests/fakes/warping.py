"""Top-k and top-p as their definition has them: sort everything. The reference of the fast way."""

from collections.abc import Sequence

import torch
from torch import Tensor


def keep_top_dense(logits: Tensor, top_k: Sequence[int], top_p: Sequence[float]) -> Tensor:
    """`logits` [B, V], already over temperature, with -inf for what is not kept."""
    kept = torch.full_like(logits, -torch.inf)
    for row, (k, p) in enumerate(zip(top_k, top_p, strict=True)):
        ranked, ids = logits[row].double().sort(descending=True, stable=True)
        ranked = ranked[: k or None]
        before = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1)
        chosen = ids[: len(ranked)]
        chosen = chosen[before < p] if p < 1 else chosen
        kept[row, chosen] = logits[row, chosen]
    return kept
