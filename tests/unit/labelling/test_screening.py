"""The four criteria by hand, and when they are undecided or missing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from heedful.core.records import Ranking
from heedful.labelling.project_settings import ProjectSettings
from heedful.labelling.screening import Criterion, screenings
from heedful.store.quality_queries import GOLD, FlagCheck, GradedDemonstration, Judgement

SETTINGS = ProjectSettings(screening_min_pairs=4)


def ranked(item: int, ranks: tuple[int, ...], gold: tuple[int, ...]) -> Judgement:
    def ranking(labeller: str, given: tuple[int, ...]) -> Ranking:
        return Ranking(
            id=f"{labeller}-{item}",
            prompt_id=f"p{item}",
            completion_ids=tuple("abc"),
            ranks=given,
            labeller_id=labeller,
            made_by="person",
        )

    return Judgement(
        submission_id=f"s{item}",
        item_id=f"item-{item}",
        batch_id="b",
        kind="ranking",
        purpose="screening",
        labeller_id="x",
        made_by="person",
        ranking=ranking("x", ranks),
        shown=(),
        gold=ranking(GOLD, gold),
        seconds_spent=60,
        submitted_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


def flagged(prompt: str, gold: dict[str, Any], given: dict[str, Any]) -> FlagCheck:
    return FlagCheck(
        labeller_id="x", prompt_id=prompt, completion_id=f"{prompt}c", gold=gold, given=given
    )


def graded(*grades: int) -> GradedDemonstration:
    return GradedDemonstration(
        demonstration_id="d", submission_id="s", labeller_id="x", prompt_id="p", grades=grades
    )


def criteria(**given: Any) -> dict[str, Criterion]:
    work = {"judgements": [], "flags": [], "demonstrations": [], "assessed": set(), **given}
    found = screenings(["x"], settings=SETTINGS, **work)["x"]
    return {one.key: one for one in found.criteria}


def value(one: Criterion) -> float:
    assert one.value is not None
    return one.value.value


def test_nothing_done_is_missing() -> None:
    assert {one.standing for one in criteria().values()} == {"missing"}


def test_rankings_agree_with_gold() -> None:
    found = criteria(judgements=[ranked(1, (1, 2, 3), (1, 2, 3)), ranked(2, (1, 3, 2), (1, 2, 3))])
    assert value(found["rankings"]) == pytest.approx(5 / 6)
    assert (found["rankings"].count, found["rankings"].standing) == (6, "met")
    assert found["rankings"].cutoff == 0.75
    below = criteria(judgements=[ranked(1, (1, 2, 3), (3, 2, 1)), ranked(2, (1, 2, 3), (1, 2, 3))])
    assert below["rankings"].standing == "below"
    few = criteria(judgements=[ranked(1, (1, 2, 3), (1, 2, 3))])
    assert few["rankings"].standing == "undecided"


def test_flags_count_where_gold_decides_and_unmarked_is_no() -> None:
    found = criteria(
        flags=[
            flagged("p", {"violent_content": True, "sexual_content": False}, {}),
            flagged("q", {"violent_content": True}, {"violent_content": True}),
            flagged("r", {"violent_content": False, "hallucination": None}, {"hallucination": 1}),
        ]
    )
    assert value(found["flags"]) == 3 / 4
    assert (found["flags"].count, found["flags"].standing) == (4, "met")


def test_each_demonstration_counts_once() -> None:
    found = criteria(demonstrations=[graded(7, 7, 7, 7), graded(4), graded()])
    assert value(found["demonstrations"]) == 5.5
    assert (found["demonstrations"].count, found["demonstrations"].standing) == (2, "below")
    assert criteria(demonstrations=[graded(6)])["demonstrations"].standing == "met"
    assert criteria(demonstrations=[graded()])["demonstrations"].standing == "missing"


def test_the_self_assessment_is_read() -> None:
    assert criteria(assessed={"x"})["self_assessment"].standing == "to read"


def test_what_was_seen_is_stored_and_changes_its_fingerprint() -> None:
    work: dict[str, Any] = {"flags": [], "demonstrations": [], "assessed": {"x"}}
    before = screenings(["x"], judgements=[], settings=SETTINGS, **work)["x"]
    more = [ranked(1, (1, 2, 3), (1, 2, 3))]
    after = screenings(["x"], judgements=more, settings=SETTINGS, **work)["x"]
    assert not before.is_complete
    assert before.as_seen()["rankings"]["value"] is None
    seen = after.as_seen()["rankings"]
    assert (seen["value"], seen["count"], seen["cutoff"]) == (1.0, 3, 0.75)
    assert before.fingerprint != after.fingerprint
    assert (
        before.fingerprint
        == screenings(["x"], judgements=[], settings=SETTINGS, **work)["x"].fingerprint
    )
