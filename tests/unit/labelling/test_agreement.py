"""The measures agree with the packages, with theory at the ends, and with published counts."""

import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from heedful.core.records import Ranking
from heedful.labelling.agreement import agreement, agreement_of, agreement_report
from heedful.labelling.paired_rankings import pair_rankings
from heedful.labelling.wmt import read_wmt_rankings

FEW = 50  # resamples where the interval is not what is tried


def rankings_of(table: Sequence[Sequence[Sequence[int] | None]]) -> list[Ranking]:
    """`table[labeller][prompt]` is a ranking's ranks, None where they did not rank it."""
    return [
        Ranking(
            id=f"{labeller}-{prompt}",
            prompt_id=f"p{prompt}",
            completion_ids=tuple(f"p{prompt}c{index}" for index in range(len(ranks))),
            ranks=tuple(ranks),
            labeller_id=f"labeller-{labeller}",
            made_by="person",
        )
        for labeller, row in enumerate(table)
        for prompt, ranks in enumerate(row)
        if ranks is not None
    ]


def noisy_team(
    rng: random.Random, labellers: int, prompts: int, noise: float, sizes: Sequence[int] = (4,)
) -> list[Ranking]:
    quality = [[rng.random() for _ in range(rng.choice(sizes))] for _ in range(prompts)]
    table = [
        [[1 + round(4 * (1 - q) + rng.gauss(0, noise)) % 9 for q in qs] for qs in quality]
        for _ in range(labellers)
    ]
    return rankings_of(table)


def their_alpha(rankings: list[Ranking]) -> float:
    """The `krippendorff` package on mean places; all rankings have the same K."""
    labellers = sorted({one.labeller_id for one in rankings})
    units = sorted({(one.prompt_id, c) for one in rankings for c in one.completion_ids})
    data = np.full((len(labellers), len(units)), np.nan)
    for one in rankings:
        for completion, rank in zip(one.completion_ids, one.ranks, strict=True):
            better = sum(other < rank for other in one.ranks)
            place = better + (1 + sum(other == rank for other in one.ranks)) / 2
            column = units.index((one.prompt_id, completion))
            data[labellers.index(one.labeller_id), column] = place
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement="ordinal"))


tables = st.integers(2, 5).flatmap(
    lambda k: st.lists(
        st.lists(
            st.none() | st.lists(st.integers(1, 4), min_size=k, max_size=k), min_size=3, max_size=3
        ),
        min_size=2,
        max_size=5,
    )
)


@given(tables)
def test_alpha_is_that_of_the_krippendorff_package(
    table: list[list[list[int] | None]],
) -> None:
    rankings = rankings_of(table)
    found = agreement_of(rankings, num_resamples=FEW).alpha
    compared = {
        one.prompt_id for one in rankings if sum(o.prompt_id == one.prompt_id for o in rankings) > 1
    }
    assume(compared)
    places = {len({one.ranks[0], *one.ranks}) for one in rankings if one.prompt_id in compared}
    if places == {1}:
        assert found is None  # every place is the same: the package raises
        return
    assert found is not None
    assert found.value == pytest.approx(their_alpha(rankings))


def test_random_rankings_have_no_alpha_even_where_k_differs() -> None:
    rng = random.Random(0)
    table = [[[rng.randint(1, 9) for _ in range(3 + p % 7)] for p in range(400)] for _ in range(4)]
    alpha = agreement_of(rankings_of(table)).alpha
    assert alpha is not None
    assert alpha.low is not None
    assert alpha.high is not None
    assert alpha.low < 0 < alpha.high
    assert abs(alpha.value) < 0.02


@given(st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=3), min_size=2, max_size=6))
def test_identical_raters_agree_wholly(row: list[list[int]]) -> None:
    assume(any(len(set(ranks)) > 1 for ranks in row))
    found = agreement_of(rankings_of([row, row, row]), num_resamples=FEW)
    assert found.pairwise is not None
    assert found.alpha is not None
    assert found.tau is not None
    assert (found.pairwise.value, found.alpha.value) == (1.0, 1.0)
    assert found.tau.value == pytest.approx(1.0)
    # All agree, but there are few prompts: the interval says so.
    assert found.pairwise.low is not None
    assert found.pairwise.low < 1.0
    assert found.pairwise.high == 1.0


def test_opposite_raters_disagree_wholly() -> None:
    found = agreement_of(rankings_of([[(1, 2, 3)] * 5, [(3, 2, 1)] * 5]))
    assert found.pairwise is not None
    assert found.tau is not None
    assert (found.pairwise.value, found.tau.value) == (0.0, -1.0)


@given(tables, st.permutations(range(5)))
def test_names_of_labellers_do_not_count(
    table: list[list[list[int] | None]], order: list[int]
) -> None:
    rankings = rankings_of(table)
    renamed = [
        one.model_copy(update={"labeller_id": f"x{order[int(one.labeller_id[-1])]}"})
        for one in rankings
    ]
    assert agreement_of(rankings, num_resamples=FEW) == agreement_of(renamed, num_resamples=FEW)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = 0
    for trial in range(60):
        rng = random.Random(trial)
        # Two labellers agree on all three pairs of a prompt, or on none, by a fair coin.
        table = [[(1, 2, 3)] * 80, [rng.choice([(1, 2, 3), (3, 2, 1)]) for _ in range(80)]]
        interval = agreement_of(rankings_of(table), num_resamples=400, seed=trial).pairwise
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.5 <= interval.high
    assert 52 <= covered <= 60


def test_the_seed_alone_decides_the_interval() -> None:
    team = noisy_team(random.Random(1), 3, 30, 0.8)
    assert agreement_of(team) == agreement_of(team)
    assert agreement_of(team) != agreement_of(team, seed=1)


def test_one_prompt_gives_numbers_and_hardly_an_interval() -> None:
    found = agreement_of(rankings_of([[(1, 2, 3)], [(1, 3, 2)]]))
    assert found.pairwise is not None
    assert found.pairwise.value == pytest.approx(2 / 3)
    assert (found.num_prompts, found.num_ranking_pairs, found.compared) == (1, 1, 3)
    assert found.pairwise.low is not None
    assert found.pairwise.high is not None
    assert found.pairwise.high - found.pairwise.low > 0.8
    assert found.tau is not None
    assert found.tau.low is None


def test_nothing_compared_is_no_number() -> None:
    for team in ([], rankings_of([[(1, 2)]])):
        found = agreement_of(team)
        assert (found.pairwise, found.tau, found.alpha, found.compared) == (None, None, None, 0)


def test_alpha_of_two_camps_uses_only_pairs_across() -> None:
    # Camps agree within themselves and disagree with each other.
    team = rankings_of([[(1, 2, 3)] * 4] * 2 + [[(3, 2, 1)] * 4] * 2)
    pairs = pair_rankings(team)
    camp, other = {"labeller-0", "labeller-1"}, {"labeller-2", "labeller-3"}
    inside, across = agreement(pairs.among(camp)).alpha, agreement(pairs.between(camp, other)).alpha
    assert inside is not None
    assert across is not None
    two = agreement_of([one for one in team if one.labeller_id[-1] in "02"]).alpha
    assert two is not None
    assert inside.value == 1.0
    # Two against two is as one against one, but for the correction for small numbers.
    assert across.value == pytest.approx(two.value, abs=0.07)
    assert across.value < -0.2


def test_report_compares_whom_it_says() -> None:
    team = noisy_team(random.Random(2), 6, 12, 0.7)
    report = agreement_report(
        team, researchers={"labeller-5"}, held_out={"labeller-3", "labeller-4"}, num_resamples=FEW
    )
    assert report.num_rankings == 5 * 12
    assert len(report.pairs) == math.comb(5, 2)
    assert set(report.labellers) == {f"labeller-{i}" for i in range(5)}
    pairs_of_rankings = {
        "overall": report.overall["exact"].num_ranking_pairs,
        "training": report.training.num_ranking_pairs,
        "held out": report.held_out.num_ranking_pairs,
        "between": report.between.num_ranking_pairs,
        "researchers": report.researchers.num_ranking_pairs,
        "within": report.within.num_ranking_pairs,
    }
    assert pairs_of_rankings == {
        "overall": 120,
        "training": 36,
        "held out": 12,
        "between": 72,
        "researchers": 60,
        "within": 0,
    }
    one = report.labellers["labeller-0"]
    assert one.compared == sum(
        couple.compared for names, couple in report.pairs.items() if "labeller-0" in names
    )


def test_five_thousand_rankings_take_seconds_at_most() -> None:
    team = noisy_team(random.Random(3), 10, 500, 1.0, sizes=(4, 6, 9))
    started = time.process_time()
    report = agreement_report(team, held_out={"labeller-9"})
    assert time.process_time() - started < 5
    assert report.num_rankings == 5000


@pytest.mark.data
def test_wmt15_on_unordered_pairs(real_data: Path) -> None:
    rankings = read_wmt_rankings(real_data / "rank" / "wmt15_fre_eng_rankings.csv")
    pairs = pair_rankings(rankings)
    between, within = agreement(pairs.across()), agreement(pairs.within())
    assert (between.agreed, between.compared) == (14919, 22237)
    assert (within.agreed, within.compared) == (1870, 2374)
    assert between.pairwise is not None
    assert round(between.pairwise.value, 3) == 0.671
    strict = agreement(pairs.across(), ties="strict")
    assert (strict.agreed, strict.compared) == (9784, 12196)
