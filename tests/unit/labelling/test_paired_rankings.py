"""Counting pairs agrees with counting them one by one, whatever the order of the rankings."""

import random
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, rankdata

from heedful.core.records import Ranking
from heedful.labelling.paired_rankings import pair_rankings, ragged


def ranking(
    labeller: str, ranks: Sequence[int], prompt: str = "p", completions: str = "abcdefghi"
) -> Ranking:
    return Ranking(
        id=f"{labeller}-{prompt}",
        prompt_id=prompt,
        completion_ids=tuple(completions[: len(ranks)]),
        ranks=tuple(ranks),
        labeller_id=labeller,
        made_by="person",
    )


@st.composite
def teams(draw: st.DrawFn) -> list[Ranking]:
    """Rankings of a few prompts, of subsets of their completions, some labellers twice."""
    made = []
    for prompt in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(1, 4))):
            ids = draw(st.lists(st.sampled_from("abcde"), min_size=2, unique=True))
            ranks = draw(st.lists(st.integers(1, 4), min_size=len(ids), max_size=len(ids)))
            labeller = draw(st.sampled_from(["x", "y", "z"]))
            made.append(ranking(labeller, ranks, f"p{prompt}", "".join(ids)))
    return made


def slowly(one: Ranking, other: Ranking) -> list[int]:
    """Alike, opposite, both tied, one tied, other tied."""
    ranks = [dict(zip(r.completion_ids, r.ranks, strict=True)) for r in (one, other)]
    counts = [0] * 5
    for a, b in combinations(sorted(ranks[0].keys() & ranks[1].keys()), 2):
        x, y = (np.sign(r[a] - r[b]) for r in ranks)
        counts[(0 if x == y else 1) if x and y else 2 if x == y else 3 if x == 0 else 4] += 1
    return counts


@given(teams())
def test_counts_are_those_of_counting_one_by_one(team: list[Ranking]) -> None:
    pairs = pair_rankings(team)
    found = {
        (left, right): counts
        for left, right, counts in zip(
            pairs.left.tolist(), pairs.right.tolist(), pairs.counts.tolist(), strict=True
        )
    }
    expected = {
        (i, j): slowly(team[i], team[j])
        for i, j in combinations(range(len(team)), 2)
        if team[i].prompt_id == team[j].prompt_id
    }
    assert found == {key: counts for key, counts in expected.items() if sum(counts)}


@given(teams())
def test_tau_b_is_that_of_scipy(team: list[Ranking]) -> None:
    pairs = pair_rankings(team)
    for left, right, tau in zip(pairs.left, pairs.right, pairs.tau_b(), strict=True):
        ranks = [
            dict(zip(team[i].completion_ids, team[i].ranks, strict=True)) for i in (left, right)
        ]
        shared = sorted(ranks[0].keys() & ranks[1].keys())
        theirs = kendalltau(*([r[one] for one in shared] for r in ranks)).statistic
        assert tau == pytest.approx(theirs, nan_ok=True)


@given(teams(), st.randoms(use_true_random=False))
def test_order_of_rankings_and_of_completions_does_not_count(
    team: list[Ranking], rng: random.Random
) -> None:
    shuffled = []
    for one in rng.sample(team, len(team)):
        order = rng.sample(range(len(one.ranks)), len(one.ranks))
        shuffled.append(
            one.model_copy(
                update={
                    "completion_ids": tuple(one.completion_ids[i] for i in order),
                    "ranks": tuple(one.ranks[i] for i in order),
                }
            )
        )
    for policy in ("exact", "strict", "half"):
        one, other = (pair_rankings(rankings).agreed(policy) for rankings in (team, shuffled))
        assert [part.sum() for part in one] == [part.sum() for part in other]


@given(teams(), st.integers(1, 9))
def test_only_the_order_of_ranks_counts(team: list[Ranking], shift: int) -> None:
    shifted = [
        one.model_copy(update={"ranks": tuple(2 * rank + shift for rank in one.ranks)})
        for one in team
    ]
    one, other = pair_rankings(team), pair_rankings(shifted)
    assert np.array_equal(one.counts, other.counts)
    assert np.array_equal(one.places.doubled, other.places.doubled)


def test_tie_policies() -> None:
    pairs = pair_rankings([ranking("x", (1, 2, 2, 3)), ranking("y", (1, 2, 3, 3))])
    # Of six pairs: five ordered or tied alike in part: a<b, a<c, a<d, b<d alike; b=c, c=d not.
    assert pairs.counts.tolist() == [[4, 0, 0, 1, 1]]
    assert [pairs.agreed(p)[0].tolist() for p in ("exact", "strict", "half")] == [[4], [4], [5]]
    assert [pairs.agreed(p)[1].tolist() for p in ("exact", "strict", "half")] == [[6], [4], [6]]


def test_places_are_mean_places() -> None:
    pairs = pair_rankings([ranking("x", (5, 2, 2, 9)), ranking("y", (1, 2, 3, 4))])
    assert pairs.places.of(np.array([0])).tolist() == (2 * rankdata([5, 2, 2, 9]) - 2).tolist()
    assert pairs.same_set.all()


def test_who_is_compared_with_whom() -> None:
    team = [ranking(name, (1, 2)) for name in ("x", "y", "z", "x")]
    pairs = pair_rankings(team)
    assert len(pairs) == 6
    assert (len(pairs.across()), len(pairs.within())) == (5, 1)
    assert len(pairs.among({"x", "y"})) == 2
    assert len(pairs.between({"x"}, {"z"})) == 2
    assert len(pairs.between({"x", "y"}, {"y"})) == 2
    assert len(pairs.between({"nobody"}, {"x"})) == 0


def test_nothing_to_compare() -> None:
    assert len(pair_rankings([])) == 0
    assert len(pair_rankings([ranking("x", (1, 2)), ranking("y", (1, 2), "q")])) == 0
    assert len(pair_rankings([ranking("x", (1, 2)), ranking("y", (1, 2), "p", "cd")])) == 0


def test_as_listed_leaves_out_what_is_listed_the_other_way_round() -> None:
    team = [ranking("x", (1, 2, 3)), ranking("y", (1, 2, 3), completions="bac")]
    assert pair_rankings(team).counts.sum() == 3
    assert pair_rankings(team, as_listed=True).counts.sum() == 2


def test_ragged_ranges() -> None:
    assert ragged(np.array([5, 0, 2]), np.array([2, 0, 3])).tolist() == [5, 6, 2, 3, 4]
