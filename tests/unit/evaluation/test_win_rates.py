"""Verdicts, win rates and ratings, judged by labellers simple enough to check by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from heedful.core.errors import DataError
from heedful.core.records import Completion, Prompt, Ranking, Rating, RatingFlags
from heedful.evaluation.win_rates import (
    Verdict,
    compare,
    likert,
    pooled_win_rate,
    summarise_ratings,
    win_rate,
)


@dataclass
class LongerIsBetter:
    """Prefers the longer completion; remembers what it was shown first."""

    labeller_id: str = "labeller-1"
    shown_first: list[str] = field(default_factory=list)

    def rank(self, prompt: Prompt, completions: Sequence[Completion]) -> Ranking:
        self.shown_first.append(completions[0].checkpoint_id)
        lengths = sorted({len(c.text) for c in completions}, reverse=True)
        return Ranking(
            id="ranking",
            prompt_id=prompt.id,
            completion_ids=tuple(c.id for c in completions),
            ranks=tuple(1 + lengths.index(len(c.text)) for c in completions),
            labeller_id=self.labeller_id,
            made_by="simulated",
        )

    def rate(self, prompt: Prompt, completion: Completion) -> Rating:
        return Rating(
            id=f"rating-{completion.id}",
            prompt_id=prompt.id,
            completion_id=completion.id,
            quality=min(len(completion.text), 7),
            flags=RatingFlags(fails_instruction=len(completion.text) < 3),
            labeller_id=self.labeller_id,
            made_by="simulated",
        )


def prompts(count: int, users: int = 4) -> list[Prompt]:
    return [
        Prompt(
            id=f"p{n}",
            text_hash=f"{n}",
            instruction="Say something.",
            source="test",
            user_id=f"u{n % users}",
            consent=True,
        )
        for n in range(count)
    ]


def completions(model: str, texts: Sequence[str]) -> dict[str, Completion]:
    return {
        f"p{n}": Completion(id=f"{model}-{n}", prompt_id=f"p{n}", text=text, checkpoint_id=model)
        for n, text in enumerate(texts)
    }


def verdict(prompt: int, outcome: float, user: str = "u", labeller: str = "l") -> Verdict:
    return Verdict(
        prompt_id=f"p{prompt}",
        user_id=user,
        labeller_id=labeller,
        candidate="ppo",
        baseline="sft",
        outcome=outcome,
        made_by="simulated",
    )


def test_compare_gives_wins_losses_and_ties() -> None:
    verdicts = compare(
        [LongerIsBetter()],
        prompts(3),
        completions("ppo", ["long", "x", "same"]),
        completions("sft", ["so", "longer", "four"]),
    )
    assert [v.outcome for v in verdicts] == [1.0, 0.0, 0.5]
    assert {(v.candidate, v.baseline, v.made_by) for v in verdicts} == {("ppo", "sft", "simulated")}


def test_presentation_order_varies_and_depends_on_the_seed_alone() -> None:
    ours, theirs = completions("ppo", ["a"] * 60), completions("sft", ["b"] * 60)
    shown = []
    for seed in (0, 0, 1):
        annotator = LongerIsBetter()
        compare([annotator], prompts(60), ours, theirs, seed=seed)
        shown.append(annotator.shown_first)
    assert shown[0] == shown[1] != shown[2]
    assert 15 < shown[0].count("ppo") < 45


def test_swapping_the_two_models_swaps_the_outcomes() -> None:
    ours, theirs = completions("ppo", ["aaa", "b", "c"]), completions("sft", ["a", "bbb", "c"])
    forth = compare([LongerIsBetter()], prompts(3), ours, theirs)
    back = compare([LongerIsBetter()], prompts(3), theirs, ours)
    assert [v.outcome for v in forth] == [1 - v.outcome for v in back]


def test_compare_names_the_prompt_without_a_completion() -> None:
    with pytest.raises(DataError, match="prompt p1 has no completion among the baseline"):
        compare(
            [LongerIsBetter()],
            prompts(2),
            completions("ppo", ["a", "b"]),
            completions("sft", ["a"]),
        )


def test_compare_refuses_a_completion_against_itself() -> None:
    same = completions("sft", ["a"])
    with pytest.raises(DataError, match="compared with itself"):
        compare([LongerIsBetter()], prompts(1), same, same)


def test_win_rate_is_the_mean_over_prompts_of_the_labellers_mean() -> None:
    verdicts = [
        verdict(0, 1.0, "a", "l1"),
        verdict(0, 0.0, "a", "l2"),
        verdict(0, 1.0, "a", "l3"),
        verdict(1, 0.0, "b", "l1"),
    ]
    result = win_rate(verdicts, checkpoint_id="ppo", seed=7)
    assert result.value == pytest.approx((2 / 3 + 0) / 2)
    assert (result.task, result.metric, result.seed) == ("win_rate_vs_sft", "win_rate", 7)
    assert (result.num_examples, result.made_by) == (2, "simulated")
    assert result.ci_low is not None
    assert result.ci_high is not None
    assert result.ci_low <= result.value <= result.ci_high


def test_win_rate_interval_draws_whole_users() -> None:
    outcomes = [float(user % 2) for user in range(10) for _ in range(10)]
    alone = [verdict(n, o, f"u{n}") for n, o in enumerate(outcomes)]
    users = [verdict(n, o, f"u{n // 10}") for n, o in enumerate(outcomes)]
    narrow, wide = (win_rate(v, checkpoint_id="ppo") for v in (alone, users))
    assert narrow.ci_low is not None
    assert wide.ci_low is not None
    assert wide.ci_low < narrow.ci_low - 0.1


def test_a_perfect_win_rate_still_has_an_interval() -> None:
    result = win_rate([verdict(n, 1.0, f"u{n}") for n in range(5)], checkpoint_id="ppo")
    assert result.value == result.ci_high == 1.0
    assert result.ci_low is not None
    assert result.ci_low < 0.6


def test_one_simulated_label_makes_the_result_simulated() -> None:
    by_person = verdict(0, 1.0).model_copy(update={"made_by": "person"})
    assert win_rate([by_person], checkpoint_id="ppo").made_by == "person"
    assert win_rate([by_person, verdict(1, 0.0)], checkpoint_id="ppo").made_by == "simulated"


def test_no_verdicts_are_an_error() -> None:
    with pytest.raises(DataError, match="no labels"):
        win_rate([], checkpoint_id="ppo")


def test_pooling_counts_a_prompt_in_each_seed_and_a_user_once() -> None:
    first = [verdict(n, 1.0, f"u{n % 3}") for n in range(9)]
    second = [verdict(n, float(n % 3 == 0), f"u{n % 3}") for n in range(9)]
    pooled = pooled_win_rate({1: first, 2: second}, checkpoint_id="ppo")
    assert pooled.value == pytest.approx((1 + 1 / 3) / 2)
    assert (pooled.num_examples, pooled.seed) == (18, None)
    # The same verdicts twice are not twice the evidence.
    again = pooled_win_rate({1: second, 2: second}, checkpoint_id="ppo")
    once = win_rate(second, checkpoint_id="ppo")
    assert (again.value, again.ci_low, again.ci_high) == (once.value, once.ci_low, once.ci_high)


def test_ratings_are_summarised_by_prompt_with_flags() -> None:
    texts = ["a", "four", "sixsix", "sevenly"]
    team = [LongerIsBetter("l1"), LongerIsBetter("l2")]
    ratings = likert(team, prompts(4), completions("ppo", texts))
    assert len(ratings) == 8
    results = summarise_ratings(ratings, prompts(4), checkpoint_id="ppo")
    by_metric = {result.metric: result for result in results}
    assert set(by_metric) == {"quality", "fails_instruction"}
    assert by_metric["quality"].value == pytest.approx((1 + 4 + 6 + 7) / 4)
    assert by_metric["fails_instruction"].value == 0.25
    assert all(r.made_by == "simulated" and r.num_examples == 4 for r in results)


def test_a_rating_of_an_unknown_prompt_is_named() -> None:
    ratings = likert([LongerIsBetter()], prompts(2), completions("ppo", ["a", "b"]))
    with pytest.raises(DataError, match="prompt p1, which is not given"):
        summarise_ratings(ratings, prompts(1), checkpoint_id="ppo")
