import json
import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from heedful.core.records import (
    EvalResult,
    Example,
    Prompt,
    Ranking,
    Rating,
    SamplingParameters,
    Turn,
    derived_id,
    new_id,
    text_hash,
)


def ranking(ranks, ids=None):
    return Ranking(
        id="ranking-1",
        prompt_id="prompt-1",
        completion_ids=ids or [f"completion-{n}" for n in range(len(ranks))],
        ranks=ranks,
        labeller_id="labeller-1",
        made_by="simulated",
    )


def result(**changes):
    fields = {
        "task": "win_rate",
        "metric": "share",
        "value": 0.5,
        "num_examples": 10,
        "checkpoint_id": "checkpoint-1",
    }
    return EvalResult(**(fields | changes))


class TestRanking:
    def test_comparisons_put_the_lower_rank_first(self):
        pairs = ranking([2, 1, 3]).comparisons()
        assert {(pair.chosen_id, pair.rejected_id) for pair in pairs} == {
            ("completion-1", "completion-0"),
            ("completion-0", "completion-2"),
            ("completion-1", "completion-2"),
        }

    def test_ties_yield_no_comparison(self):
        assert ranking([1, 1, 1]).comparisons() == []

    @given(st.lists(st.integers(1, 5), min_size=2, max_size=9))
    def test_one_comparison_for_every_strictly_ordered_pair(self, ranks):
        assert len(ranking(ranks).comparisons()) == sum(a != b for a, b in combinations(ranks, 2))

    @given(st.lists(st.integers(1, 5), min_size=2, max_size=9))
    def test_only_the_order_of_ranks_counts(self, ranks):
        assert ranking(ranks).comparisons() == ranking([3 * rank for rank in ranks]).comparisons()

    @pytest.mark.parametrize(
        ("ranks", "ids", "message"),
        [
            ([1], ["a"], "at least 2"),
            ([1, 2], ["a", "b", "c"], "2 ranks for 3 completions"),
            ([1, 2], ["a", "a"], "ranked twice"),
            ([0, 1], ["a", "b"], "ranks start at 1"),
        ],
    )
    def test_what_cannot_be_a_ranking_is_refused(self, ranks, ids, message):
        with pytest.raises(ValidationError, match=message):
            ranking(ranks, ids)


class TestRecord:
    def test_is_frozen(self):
        with pytest.raises(ValidationError, match="frozen"):
            ranking([1, 2]).ranks = (2, 1)

    def test_refuses_unknown_fields(self):
        with pytest.raises(ValidationError, match="extra"):
            Turn(role="user", text="Hello.", mood="good")

    def test_writes_its_schema_version(self):
        assert json.loads(ranking([1, 2]).model_dump_json())["schema_version"] == 1

    def test_refuses_another_schema_version(self):
        row = ranking([1, 2]).model_dump() | {"schema_version": 2}
        with pytest.raises(ValidationError, match="schema_version"):
            Ranking.model_validate(row)

    def test_survives_json(self):
        prompt = Prompt(
            id="prompt-1",
            text_hash="00",
            instruction="Say hello to \u2028 both.",
            examples=(Example(prompt="a", completion="b"),),
            turns=(Turn(role="user", text="c"),),
            source="test",
            user_id="user-1",
            consent=True,
        )
        assert Prompt.model_validate_json(prompt.model_dump_json()) == prompt


class TestEvalResult:
    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_value_is_a_number_that_json_can_hold(self, value):
        with pytest.raises(ValidationError, match="finite"):
            result(value=value)

    def test_an_interval_has_two_ends(self):
        with pytest.raises(ValidationError, match="two ends"):
            result(ci_low=0.1)

    def test_an_interval_is_not_upside_down(self):
        with pytest.raises(ValidationError, match="upside down"):
            result(ci_low=0.6, ci_high=0.4)

    def test_an_interval_may_be_left_out(self):
        assert result().ci_low is None


@pytest.mark.parametrize("quality", [0, 8])
def test_likert_runs_from_1_to_7(quality):
    with pytest.raises(ValidationError, match="quality"):
        Rating(
            id="rating-1",
            prompt_id="prompt-1",
            completion_id="completion-1",
            quality=quality,
            labeller_id="labeller-1",
            made_by="person",
        )


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}])
def test_sampling_parameters_have_bounds(bad):
    with pytest.raises(ValidationError):
        SamplingParameters(max_tokens=1, **bad)


class TestIds:
    def test_new_ids_differ(self):
        assert new_id("prompt") != new_id("prompt")

    def test_derived_ids_depend_on_their_parts_alone(self):
        assert derived_id("x", "a", 1) == derived_id("x", "a", 1) != derived_id("x", "a", 2)

    def test_derived_ids_keep_parts_apart(self):
        assert derived_id("x", "ab", "c") != derived_id("x", "a", "bc")


class TestTextHash:
    def test_depends_on_the_key(self):
        assert text_hash("hello", key=b"1") != text_hash("hello", key=b"2")

    def test_equal_texts_collide(self):
        assert text_hash("hello") == text_hash("hello", context=None)

    def test_every_part_counts(self):
        hashes = {
            text_hash("a"),
            text_hash("a", context="b"),
            text_hash("a", examples=[Example(prompt="user", completion="b")]),
            text_hash("a", turns=[Turn(role="user", text="b")]),
            text_hash("a", turns=[Turn(role="assistant", text="b")]),
        }
        assert len(hashes) == 5
