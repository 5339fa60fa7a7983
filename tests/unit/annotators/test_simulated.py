"""The team is repeatable, individual, marked as simulated, and agrees about as people do."""

import random
import statistics
from collections.abc import Callable

import pytest

from heedful.annotators.expectations import words_of
from heedful.annotators.simulated import simulated_team
from heedful.core.errors import DataError
from heedful.core.protocols import Annotator
from heedful.core.records import Completion, Prompt
from heedful.labelling.agreement import agreement_of

MakePrompt = Callable[..., Prompt]
Sampled = list[tuple[Prompt, list[Completion]]]


def test_the_team_is_a_team() -> None:
    team: list[Annotator] = list(simulated_team())
    assert [member.labeller_id for member in team][:2] == ["simulated-01", "simulated-02"]
    members = simulated_team()
    assert sum(member.held_out for member in members) == 4
    assert len({tuple(member.weights.values()) for member in members}) == len(members) == 12


def test_one_seed_one_team_and_no_global_random_state(sampled: Sampled) -> None:
    prompt, group = sampled[0]
    random.seed(1)
    state = random.getstate()
    first = [member.rank(prompt, group) for member in simulated_team(3)]
    assert random.getstate() == state
    assert first == [member.rank(prompt, group) for member in simulated_team(3)]
    assert simulated_team(3) != simulated_team(4)


def test_a_judgement_does_not_depend_on_order_or_company(sampled: Sampled) -> None:
    prompt, group = sampled[1]
    member = simulated_team()[0]
    alone = [member.utility(prompt, completion) for completion in group]
    assert alone[::-1] == [member.utility(prompt, completion) for completion in group[::-1]]
    ranks = dict(zip([c.id for c in group], member.rank(prompt, group).ranks, strict=True))
    reverse = member.rank(prompt, group[::-1])
    assert dict(zip(reverse.completion_ids, reverse.ranks, strict=True)) == ranks


def test_rankings_follow_utilities_and_tie_what_is_close(sampled: Sampled) -> None:
    tied = 0
    for prompt, group in sampled:
        for member in simulated_team():
            ranked = member.rank(prompt, group)
            assert ranked.made_by == "simulated"
            assert min(ranked.ranks) == 1
            value = {c.id: member.utility(prompt, c) for c in group}
            assert all(value[c.chosen_id] > value[c.rejected_id] for c in ranked.comparisons())
            tied += len(set(ranked.ranks)) < len(group)
    assert tied > 0


@pytest.mark.parametrize("count", [1, 10])
def test_only_two_to_nine_completions_are_ranked(sampled: Sampled, count: int) -> None:
    prompt, group = sampled[0]
    with pytest.raises(DataError, match=f"{count} completions"):
        simulated_team()[0].rank(prompt, [group[0]] * count)


def test_completions_of_another_prompt_are_refused(sampled: Sampled) -> None:
    prompt, other = sampled[0][0], sampled[1][1]
    with pytest.raises(DataError, match=other[0].id):
        simulated_team()[0].rank(prompt, other)
    with pytest.raises(DataError, match=other[0].id):
        simulated_team()[0].rate(prompt, other[0])


def test_ratings_are_whole_points_with_flags(sampled: Sampled) -> None:
    ratings = [
        member.rate(prompt, completion)
        for prompt, group in sampled
        for completion in group
        for member in simulated_team()
    ]
    assert {rating.quality for rating in ratings} == set(range(1, 8))
    assert {rating.made_by for rating in ratings} == {"simulated"}
    assert any(rating.flags.fails_instruction for rating in ratings)


def test_demonstrations_are_rated_above_the_start_model(sampled: Sampled) -> None:
    pairs = [
        (member.rate(prompt, group[4]).quality, member.rate(prompt, group[0]).quality)
        for prompt, group in sampled
        if len(group) == 5
        for member in simulated_team()
    ]
    better, worse = (statistics.mean(scores) for scores in zip(*pairs, strict=True))
    assert better > worse + 1.5


def test_too_small_a_team_is_refused() -> None:
    with pytest.raises(DataError, match="team of 2"):
        simulated_team(size=2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_team_agrees_about_as_often_as_the_papers_labellers(
    sampled: Sampled, seed: int
) -> None:
    """The paper has 72.6 % among training labellers; only the model's samples are ranked."""
    rankings = [
        member.rank(prompt, group[:4])
        for prompt, group in sampled
        for member in simulated_team(seed)
    ]
    agreement = agreement_of(rankings, ties="strict").pairwise
    assert agreement is not None
    assert 0.70 < agreement.value < 0.76


def test_length_alone_does_not_explain_the_rankings(sampled: Sampled) -> None:
    length = {c.id: len(words_of(c.text)) for _, group in sampled for c in group}
    pairs = [
        length[comparison.chosen_id] - length[comparison.rejected_id]
        for prompt, group in sampled
        for member in simulated_team()
        for comparison in member.rank(prompt, group[:4]).comparisons()
    ]
    assert statistics.mean(difference > 0 for difference in pairs) < 0.65
    assert statistics.mean(difference < 0 for difference in pairs) < 0.65
