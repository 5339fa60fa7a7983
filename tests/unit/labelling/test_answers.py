"""What pages send becomes records, or a complaint that names the field."""

from datetime import UTC, datetime
from typing import Any

import pytest

from heedful.core.records import RatingFlags
from heedful.labelling.answers import AnswerError, Task, read_answer
from heedful.store.columns import TaskKind
from heedful.store.label_checks import Answer, check_answer
from heedful.store.tables import BatchRow, ItemRow, PresentationRow

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CARDS = [["c3"], ["c1", "c4"], ["c2"]]
DONE = {"ranks": {"A": 1, "B": 2, "C": 2}, "quality": {"A": 7, "B": 3, "C": 4}}


def task(kind: TaskKind = "ranking", brief: dict[str, Any] | None = None) -> Task:
    ids = ["c1", "c2", "c3", "c4"] if kind in ("ranking", "adjudication") else []
    item = ItemRow(
        id="item-1",
        batch_id="batch-1",
        prompt_id=None if kind == "prompt" else "prompt-1",
        completion_ids=ids,
        brief=brief,
    )
    return Task(
        item=item,
        batch=BatchRow(id="batch-1", project_id="project-1", kind=kind),
        presentation=PresentationRow(item_id="item-1", account_id="ana", cards=CARDS),
        labeller_id="ana",
    )


def check(answer: Answer, of: Task) -> None:
    """What the store checks before it takes an answer."""
    check_answer(of.item, of.batch, of.presentation, answer, labeller_id="ana", made_by="person")


def test_a_board_becomes_a_ranking_and_ratings_over_all_completions() -> None:
    flags = {"B": {"hallucination": True, "violent_content": True}}
    answer = read_answer(task(), {**DONE, "flags": flags, "all_bad": True, "seconds": {"B": 12.5}})
    check(answer, task())
    assert answer.ranking is not None
    assert answer.ranking.completion_ids == ("c1", "c2", "c3", "c4")
    assert answer.ranking.ranks == (2, 2, 1, 2)
    assert answer.ranking.all_bad
    ratings = {rating.completion_id: rating for rating in answer.ratings}
    assert {one: rating.quality for one, rating in ratings.items()} == {
        "c1": 3,
        "c4": 3,
        "c2": 4,
        "c3": 7,
    }
    # Identical texts share a card, and all that was said of it.
    assert ratings["c1"].flags == ratings["c4"].flags
    assert ratings["c1"].flags.hallucination is True
    assert ratings["c1"].seconds_spent == 12.5
    assert ratings["c3"].flags == RatingFlags(
        **dict.fromkeys(
            set(RatingFlags.model_fields) - {"hallucination", "satisfies_constraint"}, False
        )
    )


def test_the_same_answer_twice_is_kept_as_the_same() -> None:
    assert read_answer(task(), DONE).raw == read_answer(task(), DONE).raw


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ranks": {"A": 1, "B": 2}}, "Still in the tray: C"),
        ({"quality": {"A": 1}}, "Without a rating: B, C"),
        ({"quality": {}}, "Without a rating: A, B, C"),
        ({"ranks": {**DONE["ranks"], "D": 1}}, "There is no output D"),
        ({"ranks": {"A": 1, "B": 2, "C": 4}}, "The last rank is 3"),
        ({"ranks": {"A": 0, "B": 2, "C": 2}}, "ranks.A"),
        ({"ranks": {"A": True, "B": 2, "C": 2}}, "ranks.A"),
        ({"ranks": {"A": "1", "B": 2, "C": 2}}, "ranks.A"),
        ({"ranks": {"A": 1.5, "B": 2, "C": 2}}, "ranks.A"),
        ({"quality": {"A": 8, "B": 3, "C": 4}}, "quality.A"),
        ({"flags": {"A": {"is_gold": True}}}, "There is no question is_gold"),
        ({"flags": {"A": {"hallucination": "yes"}}}, "flags.A.hallucination"),
        ({"seconds": {"A": -1}}, "seconds.A"),
        ({"seconds": {"A": float("nan")}}, "seconds.A"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_board_that_is_not_done_or_not_real_is_refused(
    change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(AnswerError, match=complaint):
        read_answer(task(), {**DONE, **change})


def test_adjudicators_rate_all_or_none() -> None:
    answer = read_answer(task("adjudication"), {"ranks": DONE["ranks"]})
    check(answer, task("adjudication"))
    assert answer.ratings == ()
    with pytest.raises(AnswerError, match="Without a rating"):
        read_answer(task("adjudication"), {"ranks": DONE["ranks"], "quality": {"A": 4}})


def test_a_demonstration_keeps_its_lines() -> None:
    answer = read_answer(task("demonstration"), {"text": "  First.\r\n\r\n  Second.  \n"})
    check(answer, task("demonstration"))
    assert answer.demonstrations[0].text == "First.\n\n  Second."
    assert answer.demonstrations[0].prompt_id == "prompt-1"


@pytest.mark.parametrize(
    "text", ["", " \n ", None, 7, ["a"], "a\x00b", "half \ud83d of a pair", "x" * 40_001]
)
def test_a_demonstration_that_cannot_be_stored_is_refused(text: object) -> None:
    with pytest.raises(AnswerError) as caught:
        read_answer(task("demonstration"), {"text": text})
    assert set(caught.value.fields) == {"text"}


def test_a_plain_prompt_with_its_answer() -> None:
    of = task("prompt", {"kind": "plain", "use_case": None, "application": None})
    sent = {
        "instruction": " Sum up. ",
        "context": "A text.",
        "completion": "Short.",
        "use_case": "summarisation",
    }
    answer = read_answer(of, sent, now=NOW)
    check(answer, of)
    (prompt,) = answer.prompts
    assert (prompt.instruction, prompt.context) == ("Sum up.", "A text.")
    assert prompt.use_case == "summarisation"
    assert prompt.user_id == "ana"
    assert prompt.source == "labeller:plain"
    assert prompt.created_at == NOW
    assert answer.demonstrations[0].prompt_id == prompt.id
    assert answer.demonstrations[0].text == "Short."


def test_a_sensitive_prompt_is_tagged() -> None:
    of = task("prompt", {"kind": "plain"})
    answer = read_answer(of, {"instruction": "Insult me.", "sensitive": "yes"})
    assert answer.prompts[0].tags == ("sensitive",)


def test_a_few_shot_prompt_gives_one_prompt_for_each_pair() -> None:
    of = task("prompt", {"kind": "few_shot", "use_case": "classification"})
    sent = {
        "instruction": "Name the mood.",
        "pair_prompt": ["Hooray!", "Alas.", ""],
        "pair_completion": ["glad", "sad", ""],
    }
    answer = read_answer(of, sent)
    check(answer, of)
    assert [prompt.instruction for prompt in answer.prompts] == ["Hooray!", "Alas."]
    assert answer.prompts[0].examples[0].completion == "sad"
    assert answer.prompts[0].turns[0].text == "Name the mood."
    assert [one.text for one in answer.demonstrations] == ["glad", "sad"]
    assert answer.prompts[0].use_case == "classification"


@pytest.mark.parametrize(
    ("asked", "answered", "field"),
    [
        (["One?"], ["1"], "pair-0-prompt"),
        (["One?", "Two?"], ["1", ""], "pair-1-completion"),
        (["One?", ""], ["1", "2"], "pair-1-prompt"),
        (["One?", "Two?"], ["1"], "pairs"),
        ([f"{n}?" for n in range(13)], ["1"] * 13, "pairs"),
    ],
)
def test_pairs_that_do_not_make_a_prompt_are_named(
    asked: list[str], answered: list[str], field: str
) -> None:
    sent = {"instruction": "Count.", "pair_prompt": asked, "pair_completion": answered}
    with pytest.raises(AnswerError) as caught:
        read_answer(task("prompt", {"kind": "few_shot"}), sent)
    assert field in caught.value.fields


def test_a_use_case_of_a_user_stays_out_of_the_records() -> None:
    of = task("prompt", {"kind": "user_based", "application": "A recipe site for Sam"})
    answer = read_answer(of, {"instruction": "What can I cook with leeks?"})
    (tag,) = answer.prompts[0].tags
    assert tag.startswith("application-")
    assert "Sam" not in answer.prompts[0].model_dump_json()
    assert "Sam" not in str(answer.raw)


@pytest.mark.parametrize("sent", [{}, {"instruction": " "}, {"instruction": "x", "use_case": "no"}])
def test_a_prompt_that_breaks_the_rules_of_entry_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(AnswerError):
        read_answer(task("prompt", {"kind": "plain"}), sent)
