"""Habits are found where there are some, and not where there are none."""

import random
from datetime import UTC, datetime

import pytest

from heedful.core.records import Ranking
from heedful.labelling.biases import preferences, speeds
from heedful.store.quality_queries import Judgement, TimeSpent

LENGTHS = {f"c{number}": 100 * number for number in range(4)}


def judgement(
    labeller: str, prompt: int, ranks: tuple[int, ...], shown: tuple[str, ...] = ()
) -> Judgement:
    return Judgement(
        submission_id=f"{labeller}-{prompt}",
        item_id=f"item-{prompt}",
        batch_id="b",
        kind="ranking",
        purpose="training",
        labeller_id=labeller,
        made_by="person",
        ranking=Ranking(
            id=f"{labeller}-{prompt}",
            prompt_id=f"p{prompt}",
            completion_ids=tuple(LENGTHS),
            ranks=ranks,
            labeller_id=labeller,
            made_by="person",
        ),
        shown=shown,
        gold=None,
        seconds_spent=60,
        submitted_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


def team(prompts: int = 60) -> list[Judgement]:
    """`long` likes length, `first` what is shown first, `fair` and `even` neither."""
    drawn = random.Random(0)
    made = []
    for prompt in range(prompts):
        shown = tuple(drawn.sample(sorted(LENGTHS), 4))
        by_place = tuple(1 + shown.index(one) for one in LENGTHS)
        made.append(judgement("long", prompt, (4, 3, 2, 1), shown))
        made.append(judgement("first", prompt, by_place, shown))
        for name in ("fair", "even"):
            ranks = tuple(drawn.sample(range(1, 5), 4))
            made.append(judgement(name, prompt, ranks, tuple(drawn.sample(sorted(LENGTHS), 4))))
    return made


def test_who_likes_length_stands_out() -> None:
    found = preferences(team(), LENGTHS)
    assert found["long"].longer is not None
    assert found["long"].longer.value == 1.0
    assert found["long"].prefers_length_unlike_others
    assert not found["fair"].prefers_a_position
    assert found["fair"].longer is not None
    assert found["fair"].longer.value == pytest.approx(0.5, abs=0.08)
    assert found["long"].num_pairs == 60 * 6


def test_who_likes_what_comes_first_stands_out() -> None:
    found = preferences(team(), LENGTHS)
    assert found["first"].earlier is not None
    assert found["first"].earlier.value == 1.0
    assert found["first"].prefers_a_position
    assert not found["long"].prefers_a_position


def test_everybody_liking_length_is_nobodys_bias() -> None:
    both = [judgement(who, p, (4, 3, 2, 1)) for who in ("x", "y") for p in range(30)]
    found = preferences(both, LENGTHS)
    assert found["x"].longer_apart is not None
    assert found["x"].longer_apart.value == 0.0
    assert not found["x"].prefers_length_unlike_others


def test_few_prompts_mark_nobody() -> None:
    found = preferences(team(5), LENGTHS)
    assert not any(one.prefers_length_unlike_others for one in found.values())
    assert not any(one.prefers_a_position for one in found.values())


def test_ties_equal_lengths_and_unknown_places_do_not_count() -> None:
    same = dict.fromkeys(LENGTHS, 10)
    found = preferences([judgement("x", 1, (1, 2, 3, 4))], same)["x"]
    assert (found.num_pairs, found.longer, found.earlier) == (0, None, None)
    tied = preferences([judgement("x", 1, (1, 1, 1, 1), tuple(LENGTHS))], LENGTHS)["x"]
    assert (tied.longer, tied.earlier) == (None, None)
    assert preferences([], LENGTHS) == {}


def spent(labeller: str, number: int, seconds: float, kind: str = "ranking") -> TimeSpent:
    return TimeSpent(
        submission_id=f"{labeller}{number}", labeller_id=labeller, kind=kind, seconds=seconds
    )


def test_speed_is_compared_within_a_kind_of_task() -> None:
    times = [spent("a", number, 50 + number) for number in range(20)]
    times += [spent("b", 0, 2), spent("b", 1, 3000), spent("b", 2, 60)]
    times += [spent("b", number, 600 + number, "demonstration") for number in range(3, 9)]
    found = speeds(times)
    assert (found["b"].too_fast, found["b"].too_slow) == (("b0",), ("b1",))
    assert (found["a"].too_fast, found["a"].too_slow) == ((), ())
    assert found["b"].median_seconds == {"ranking": 60, "demonstration": 605.5}
    assert found["b"].num_labels == 9


def test_no_time_at_all_is_no_outlier_among_its_like() -> None:
    assert speeds([spent("a", number, 0) for number in range(5)])["a"].too_fast == ()
