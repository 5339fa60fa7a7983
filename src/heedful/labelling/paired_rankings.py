"""Every two rankings of the same prompt, side by side: what all agreement is counted from.

Two rankings are compared on each pair of completions that both of them rank. How ties
count is not decided here: a pair of rankings keeps how many pairs of completions they
order alike, order the other way round, and tie, and `heedful.labelling.agreement` reads
its numbers off these counts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Self, TypeVar

import numpy as np

from heedful.core.records import Ranking
from heedful.labelling.resampling import Floats, Integers, Mask

TiePolicy = Literal["exact", "strict", "half"]
T = TypeVar("T")

_ALIKE, _OPPOSITE, _BOTH_TIED, _LEFT_TIED, _RIGHT_TIED = range(5)


@dataclass(frozen=True, slots=True)
class Places:
    """Where each ranking puts its completions, in the order of the completions' codes.

    Ties share the mean of the places they cover, so that only the order of the ranks counts.

    Attributes:
        doubled: Twice the mean place less two, which is a whole number from 0; of all
            rankings, one after the other.
        start: Of each ranking in `doubled`.
        size: Completions of each ranking.
    """

    doubled: Integers
    start: Integers
    size: Integers

    def of(self, rankings: Integers) -> Integers:
        """The places of these rankings, one after the other."""
        return self.doubled[ragged(self.start[rankings], self.size[rankings])]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRankings:
    """Pairs of rankings of one prompt each that share two completions or more.

    Attributes:
        labellers, prompts: Names; the arrays hold positions in them.
        left, right: Positions of the two rankings in the sequence given.
        counts: [pairs, 5] pairs of completions ordered alike, ordered the other way round,
            tied by both, tied by the left one alone, tied by the right one alone.
        same_set: Whether both rank exactly the same completions.
        set_code: Of the left one's set of completions.
    """

    labellers: tuple[str, ...]
    prompts: tuple[str, ...]
    places: Places
    left: Integers
    right: Integers
    left_labeller: Integers
    right_labeller: Integers
    prompt: Integers
    counts: Integers
    same_set: Mask
    set_code: Integers

    def __len__(self) -> int:
        return len(self.left)

    def where(self, mask: Mask) -> Self:
        """Only the pairs for which `mask` holds."""
        chosen = {
            field.name: getattr(self, field.name)[mask]
            for field in fields(self)
            if field.name not in {"labellers", "prompts", "places"}
        }
        return replace(self, **chosen)

    def across(self) -> Self:
        """Only pairs of different labellers."""
        return self.where(self.left_labeller != self.right_labeller)

    def within(self) -> Self:
        """Only pairs of one labeller, who ranked the same thing twice."""
        return self.where(self.left_labeller == self.right_labeller)

    def among(self, names: Collection[str]) -> Self:
        """Only pairs of different labellers who both are among `names`."""
        inside = self._is_one_of(names)
        return self.where(inside[self.left_labeller] & inside[self.right_labeller]).across()

    def between(self, names: Collection[str], others: Collection[str]) -> Self:
        """Only pairs of one labeller out of `names` and a different one out of `others`."""
        one, other = self._is_one_of(names), self._is_one_of(others)
        mask = one[self.left_labeller] & other[self.right_labeller]
        mask |= other[self.left_labeller] & one[self.right_labeller]
        return self.where(mask).across()

    def agreed(self, ties: TiePolicy) -> tuple[Floats, Floats]:
        """How many pairs of completions each pair of rankings agrees on, and out of how many.

        `exact`: better, worse and tied are three answers; the same answer agrees.
        `strict`: pairs of completions that either ranking tied are left out.
        `half`: as `exact`, but a tie against an order agrees by half.
        """
        alike, both_tied = self.counts[:, _ALIKE], self.counts[:, _BOTH_TIED]
        if ties == "strict":
            agreed, compared = alike, alike + self.counts[:, _OPPOSITE]
            return agreed.astype(float), compared.astype(float)
        one_tied = self.counts[:, _LEFT_TIED] + self.counts[:, _RIGHT_TIED]
        by_half = 0.5 if ties == "half" else 0.0
        agreed = (alike + both_tied).astype(float) + by_half * one_tied
        return np.asarray(agreed), self.counts.sum(axis=1).astype(float)

    def tau_b(self) -> Floats:
        """Kendall's tau-b of each pair of rankings; NaN where one ties everything shared.

        Source: Kendall 1945, The treatment of ties in ranking problems.
        """
        alike, opposite = self.counts[:, _ALIKE], self.counts[:, _OPPOSITE]
        ordered_left = alike + opposite + self.counts[:, _RIGHT_TIED]
        ordered_right = alike + opposite + self.counts[:, _LEFT_TIED]
        scale = np.sqrt((ordered_left * ordered_right).astype(float))
        scale[scale == 0] = np.nan
        return np.asarray((alike - opposite) / scale)

    def _is_one_of(self, names: Collection[str]) -> Mask:
        return np.array([name in names for name in self.labellers], dtype=np.bool_)


def pair_rankings(rankings: Sequence[Ranking], *, as_listed: bool = False) -> PairedRankings:
    """Every two of `rankings` that are of the same prompt and share two completions.

    Args:
        rankings: Of any prompts and labellers, in any order.
        as_listed: Compare two rankings on a pair of completions only where both list the
            two in the same order; see `heedful.labelling.wmt`.
    """
    labellers, labeller = _coded([ranking.labeller_id for ranking in rankings])
    prompts, prompt = _coded([ranking.prompt_id for ranking in rankings])
    codes: dict[tuple[str, str], int] = {}
    completions = [
        [codes.setdefault((ranking.prompt_id, one), len(codes)) for one in ranking.completion_ids]
        for ranking in rankings
    ]
    _, set_code = _coded([tuple(sorted(row)) for row in completions])
    owner, key, relation = _ordered_pairs(rankings, completions, len(codes), as_listed)
    left, right, counts = _compared(owner, key, relation, len(rankings))
    return PairedRankings(
        labellers=labellers,
        prompts=prompts,
        places=_places(rankings, completions),
        left=left,
        right=right,
        left_labeller=labeller[left],
        right_labeller=labeller[right],
        prompt=prompt[left],
        counts=counts,
        same_set=set_code[left] == set_code[right],
        set_code=set_code[left],
    )


def ragged(start: Integers, size: Integers) -> Integers:
    """`start[0], start[0] + 1, ...` for `size[0]` numbers, then the same of the next."""
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return np.asarray(np.repeat(start, size) + within, dtype=np.int64)


def _coded(values: Sequence[T]) -> tuple[tuple[T, ...], Integers]:
    """The distinct values in order of appearance, and the position of each value in them."""
    codes: dict[T, int] = {}
    coded = [codes.setdefault(value, len(codes)) for value in values]
    return tuple(codes), np.array(coded, dtype=np.int64)


def _by_size(rankings: Sequence[Ranking]) -> dict[int, list[int]]:
    positions: dict[int, list[int]] = {}
    for index, ranking in enumerate(rankings):
        positions.setdefault(len(ranking.ranks), []).append(index)
    return positions


def _ordered_pairs(
    rankings: Sequence[Ranking], completions: list[list[int]], num_codes: int, as_listed: bool
) -> tuple[Integers, Integers, Integers]:
    """Per ranking and pair of completions: the ranking, a key of the pair, -1, 0 or 1."""
    owners, keys, relations = [], [], []
    for size, members in _by_size(rankings).items():
        first, second = np.triu_indices(size, k=1)
        codes = np.array([completions[index] for index in members], dtype=np.int64)
        ranks = np.array([rankings[index].ranks for index in members], dtype=np.int64)
        one, other = codes[:, first], codes[:, second]
        relation = np.sign(ranks[:, first] - ranks[:, second])
        if not as_listed:
            relation = np.where(one > other, -relation, relation)
            one, other = np.minimum(one, other), np.maximum(one, other)
        keys.append((one * num_codes + other).ravel())
        relations.append(relation.ravel())
        owners.append(np.repeat(np.array(members, dtype=np.int64), len(first)))
    empty = np.empty(0, dtype=np.int64)
    return (
        np.concatenate([empty, *owners]),
        np.concatenate([empty, *keys]),
        np.concatenate([empty, *relations]),
    )


def _compared(
    owner: Integers, key: Integers, relation: Integers, num_rankings: int
) -> tuple[Integers, Integers, Integers]:
    """Every two rankings with a key in common: the two, and the counts of their relations."""
    order = np.lexsort((owner, key))
    owner, key, relation = owner[order], key[order], relation[order]
    _, sizes = np.unique(key, return_counts=True)
    # Each member of a group of equal keys meets those after it.
    after = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(key)) - 1
    one = np.repeat(np.arange(len(key)), after)
    other = ragged(np.arange(1, len(key) + 1), after)
    pairs, row = np.unique(owner[one] * num_rankings + owner[other], return_inverse=True)
    kind = _kinds(relation[one], relation[other])
    counts = np.bincount(row * 5 + kind, minlength=5 * len(pairs)).reshape(-1, 5)
    return pairs // max(num_rankings, 1), pairs % max(num_rankings, 1), counts.astype(np.int64)


def _kinds(one: Integers, other: Integers) -> Integers:
    kinds = [one * other == 1, one * other == -1, (one == 0) & (other == 0), one == 0]
    return np.asarray(
        np.select(kinds, [_ALIKE, _OPPOSITE, _BOTH_TIED, _LEFT_TIED], _RIGHT_TIED), dtype=np.int64
    )


def _places(rankings: Sequence[Ranking], completions: list[list[int]]) -> Places:
    size = np.array([len(ranking.ranks) for ranking in rankings], dtype=np.int64)
    start = np.cumsum(size) - size
    doubled = np.zeros(int(size.sum()), dtype=np.int64)
    for k, members in _by_size(rankings).items():
        ranks = np.array([rankings[index].ranks for index in members], dtype=np.int64)
        codes = np.array([completions[index] for index in members], dtype=np.int64)
        ranks = np.take_along_axis(ranks, np.argsort(codes, axis=1), axis=1)
        better = (ranks[:, :, None] > ranks[:, None, :]).sum(axis=2)
        tied = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
        doubled[start[members][:, None] + np.arange(k)] = 2 * better + tied - 1
    return Places(doubled, start, size)
