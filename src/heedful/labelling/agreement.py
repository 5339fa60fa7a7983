"""How far labellers agree: pairwise agreement, Krippendorff's alpha, Kendall's tau-b.

Pure functions of rankings. What each number means, how ties count and what the numbers of
public data are is written down in `docs/agreement.md`. Intervals are percentile bootstraps
(Efron 1979) that draw whole prompts, since the judgements of one prompt depend on each
other. Choosing which labels count is `heedful.store.quality_queries`'.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from heedful.core.records import Ranking
from heedful.core.statistics import Interval
from heedful.labelling.paired_rankings import PairedRankings, TiePolicy, pair_rankings
from heedful.labelling.resampling import (
    NUM_RESAMPLES,
    Floats,
    Integers,
    Mask,
    cluster_table,
    every,
    interval_of,
    ratio,
    resampled_sums,
    share_interval_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the rankings that were compared agree.

    Attributes:
        num_prompts: That two rankings or more were compared on.
        num_ranking_pairs: Pairs of rankings compared.
        agreed, compared: Pairs of completions, ties counted by the policy asked for.
        pairwise: `agreed / compared`; None where nothing was compared.
        tau: Mean tau-b over the pairs of rankings that have one.
        alpha: Krippendorff's, ordinal, of rankings of the same completions.
    """

    num_prompts: int
    num_ranking_pairs: int
    agreed: float
    compared: int
    pairwise: Interval | None
    tau: Interval | None
    alpha: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementReport:
    """The agreement of a team, overall and by who is compared with whom.

    Researchers' own rankings count only where `researchers` stands.

    Attributes:
        overall: Among labellers, by tie policy; the rest is by the policy asked for.
        within: Of each labeller with themselves, where they ranked something twice.
        labellers: Of each labeller with all others.
        pairs: Of each two labellers, names in order.
        researchers: Of labellers with researchers.
        by_researchers: Of each labeller with researchers.
        training, held_out, between: Among training labellers, among held-out ones, and of
            one with the other.
    """

    ties: TiePolicy
    num_rankings: int
    overall: dict[TiePolicy, Agreement]
    within: Agreement
    labellers: dict[str, Agreement]
    pairs: dict[tuple[str, str], Agreement]
    researchers: Agreement
    by_researchers: dict[str, Agreement]
    training: Agreement
    held_out: Agreement
    between: Agreement


def agreement_of(
    rankings: Sequence[Ranking],
    *,
    ties: TiePolicy = "exact",
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """Agreement of different labellers over `rankings`."""
    return agreement(
        pair_rankings(rankings).across(), ties=ties, num_resamples=num_resamples, seed=seed
    )


def agreement(
    pairs: PairedRankings,
    *,
    ties: TiePolicy = "exact",
    with_alpha: bool = True,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """The three measures over the pairs of rankings given, with 95 % intervals.

    Args:
        pairs: Which rankings to compare with which.
        ties: See `PairedRankings.agreed`.
        with_alpha: Left out, `alpha` is None; it is the slowest of the three.
        num_resamples: How often prompts are drawn, as many as there are.
        seed: The intervals depend on it and the rankings alone.
    """
    prompts, prompt = np.unique(pairs.prompt, return_inverse=True)
    agreed, compared = pairs.agreed(ties)
    tau = pairs.tau_b()
    has_tau = ~np.isnan(tau)
    columns = (agreed, compared, np.where(has_tau, tau, 0.0), has_tau.astype(float))
    tables = [(every(len(prompts)), cluster_table(columns, prompt))]
    tables += _coincidences(pairs, prompt) if with_alpha else []
    whole, *values = [table.sum(axis=0, keepdims=True) for _, table in tables]
    drawn, *drawn_values = resampled_sums(
        tables, len(prompts), num_resamples=num_resamples, seed=seed
    )
    pairwise, mean_tau = float(ratio(whole[:, :2])[0]), float(ratio(whole[:, 2:])[0])
    return Agreement(
        num_prompts=len(prompts),
        num_ranking_pairs=len(pairs),
        agreed=float(agreed.sum()),
        compared=int(compared.sum()),
        pairwise=share_interval_of(pairwise, ratio(drawn[:, :2]), len(prompts)),
        tau=interval_of(mean_tau, ratio(drawn[:, 2:])),
        alpha=interval_of(float(_alpha(values)[0]), _alpha(drawn_values)) if values else None,
    )


def agreement_report(
    rankings: Sequence[Ranking],
    *,
    researchers: Collection[str] = (),
    held_out: Collection[str] = (),
    ties: TiePolicy = "exact",
    num_resamples: int = NUM_RESAMPLES,
) -> AgreementReport:
    """Everything the agreement page shows.

    Args:
        rankings: Of labellers and researchers.
        researchers: Whose rankings are what labellers are measured against.
        held_out: Labellers who never see training batches.
        ties: How ties count where one number is shown.
        num_resamples: See `agreement`.
    """
    pairs = pair_rankings(rankings)
    names = [name for name in pairs.labellers if name not in set(researchers)]
    training = [name for name in names if name not in set(held_out)]
    among = pairs.among(set(names))

    def measured(chosen: PairedRankings, with_alpha: bool = True) -> Agreement:
        return agreement(chosen, ties=ties, with_alpha=with_alpha, num_resamples=num_resamples)

    return AgreementReport(
        ties=ties,
        num_rankings=sum(ranking.labeller_id in set(names) for ranking in rankings),
        overall={
            policy: agreement(among, ties=policy, num_resamples=num_resamples)
            for policy in get_args(TiePolicy)
        },
        within=measured(pairs.where(_mine(pairs, names)).within()),
        labellers={name: measured(among.between({name}, set(names))) for name in sorted(names)},
        pairs={
            couple: measured(chosen, with_alpha=False) for couple, chosen in _couples(among).items()
        },
        researchers=measured(pairs.between(set(names), researchers)),
        by_researchers={
            name: measured(pairs.between({name}, researchers)) for name in sorted(names)
        },
        training=measured(among.among(set(training))),
        held_out=measured(among.among(set(held_out))),
        between=measured(among.between(set(training), held_out)),
    )


def _mine(pairs: PairedRankings, names: Collection[str]) -> Mask:
    inside = np.array([name in set(names) for name in pairs.labellers], dtype=np.bool_)
    return np.asarray(inside[pairs.left_labeller])


def _couples(pairs: PairedRankings) -> dict[tuple[str, str], PairedRankings]:
    """The pairs of each two labellers, in order of their names."""
    place = {name: index for index, name in enumerate(sorted(pairs.labellers))}
    rank = np.array([place[name] for name in pairs.labellers], dtype=np.int64)
    one, other = rank[pairs.left_labeller], rank[pairs.right_labeller]
    key = np.minimum(one, other) * len(place) + np.maximum(one, other)
    names = sorted(pairs.labellers)
    return {
        (names[code // len(place)], names[code % len(place)]): pairs.where(key == code)
        for code in np.unique(key).tolist()
    }


def _coincidences(pairs: PairedRankings, prompt: Integers) -> list[tuple[Integers, Floats]]:
    """Krippendorff's coincidences of places: for each K the prompts, [prompts, values squared].

    A unit is a completion among the completions it was ranked with, its value its place.
    Where all m judgements of a unit are compared, a pair of them weighs 1 / (m - 1), as in
    Krippendorff (2011, Computing Krippendorff's alpha-reliability). Where only some pairs
    are, those of a unit share the same weight, the number of judgements they are of.
    """
    chosen = pairs.where(pairs.same_set)
    prompt = prompt[pairs.same_set]
    if len(chosen) == 0:
        return []
    _, group = np.unique(chosen.set_code, return_inverse=True)
    judgements = np.stack([np.tile(group, 2), np.concatenate([chosen.left, chosen.right])])
    num_judgements = np.bincount(np.unique(judgements, axis=1)[0])
    weight = num_judgements[group] / (2 * np.bincount(group)[group])
    sizes = pairs.places.size[chosen.left]
    tables = []
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        prompts, row = np.unique(prompt[rows], return_inverse=True)
        one = pairs.places.of(chosen.left[rows])
        other = pairs.places.of(chosen.right[rows])
        values = 2 * size - 1
        cells = np.concatenate([one * values + other, other * values + one])
        cells += np.tile(np.repeat(row, size), 2) * values * values
        weights = np.tile(np.repeat(weight[rows], size), 2)
        counted = np.bincount(cells, weights=weights, minlength=len(prompts) * values * values)
        tables.append((prompts, counted.reshape(len(prompts), -1).astype(float)))
    return tables


def _alpha(tables: list[Floats]) -> Floats:
    """Alpha of each row of coincidences: of each K apart, then the mean over judgements.

    Apart, because a ninth place among nine and a fourth among four must not look like
    something that labellers could have confused. NaN where no K has places that vary.
    """
    weighted, weight = np.zeros(len(tables[0])), np.zeros(len(tables[0]))
    for table in tables:
        values = round(table.shape[1] ** 0.5)
        coincidences = table.reshape(-1, values, values)
        count = coincidences.sum(axis=2)
        total = count.sum(axis=1)
        # The ordinal difference of two values is the distance of their mid-ranks in the pool.
        place = np.cumsum(count, axis=1) - count / 2
        apart = (place[:, :, None] - place[:, None, :]) ** 2
        observed = (coincidences * apart).sum(axis=(1, 2))
        expected = (count[:, None, :] @ apart @ count[:, :, None]).ravel()
        varies = expected > 0
        alpha = 1 - (total - 1) * observed / np.where(varies, expected, 1.0)
        weighted += np.where(varies, total * alpha, 0.0)
        weight += np.where(varies, total, 0.0)
    return np.asarray(weighted / np.where(weight == 0, np.nan, weight))
