"""What of the evaluation items is looked for."""

from heedful.data.contamination_index import ItemIndex, question_words, spaced
from heedful.data.contamination_records import OverlapRules
from heedful.data.evaluation_sets import EvaluationItem

LETTERS = "a b c d e f g h"


def item(question: str, *answers: str) -> EvaluationItem:
    return EvaluationItem(id="1", question=question, answers=answers)


def test_a_gap_to_fill_is_no_word() -> None:
    assert question_words("The cup fell on [MASK] .") == ["the", "cup", "fell", "on", None]
    assert question_words("He ate _ at ___, snake_case") == [
        *["he", "ate", None, "at", None, "snake", "case"]
    ]


def test_words_are_joined_so_that_runs_are_substrings() -> None:
    assert spaced(["b", "c"]) in spaced(["a", "b", "c"])
    assert spaced(["b"]) not in spaced(["ab", "bc"])


def test_answers_that_prove_nothing_are_left_out() -> None:
    rules = OverlapRules(answer_characters=3, answer_words=4)
    index = ItemIndex(
        [item("Is Paris or Rome larger?", "Rome", "no", "Paris, by far, I think"), item("Why?")],
        rules,
    )
    assert index.answers == [(" paris by far i think ",), ()]
    assert index.answered == [0]
    assert len(index.index) == 3


def test_questions_that_no_words_can_judge_are_marked() -> None:
    questions = ["Why so?", "Do all fish sleep too?", f"{LETTERS} _ x", f"x {LETTERS[:9]} _ x y z"]
    index = ItemIndex([item(question) for question in questions], OverlapRules())
    assert index.short.tolist() == [True, False, False, True]


def test_ngrams_know_their_items_and_which_are_common() -> None:
    items = [item(f"{LETTERS} {end}") for end in ("x", "y", "z")]
    ngrams = ItemIndex(items, OverlapRules(max_items=2)).ngrams["ngram_8"]
    assert ngrams.table.count == 4
    shared = ngrams.common.nonzero()[0]
    assert len(shared) == 1
    which, owners = ngrams.items_of(shared)
    assert (which.tolist(), owners.tolist()) == ([0, 0, 0], [0, 1, 2])
    assert ngrams.usable.sum() == 3


def test_ngrams_of_answers_are_not_the_questions() -> None:
    items = [item("Why is it so?", f"{LETTERS} i j k l m")]
    ngrams = ItemIndex(items, OverlapRules()).ngrams["ngram_8"]
    assert ngrams.table.count == 6
    assert not ngrams.usable.any()
    assert not ngrams.common.any()
