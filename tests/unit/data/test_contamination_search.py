"""Findings of one source, held against a search by hand."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heedful.data import contamination_search
from heedful.data.contamination_index import ItemIndex
from heedful.data.contamination_records import OverlapRules
from heedful.data.contamination_search import Finding, SourceSearch
from heedful.data.evaluation_sets import EvaluationItem
from heedful.data.training_documents import Document

Grams = list[tuple[str, ...]]
WORDS = st.sampled_from(["to", "be", "or"])
TEXTS = st.lists(st.lists(WORDS, max_size=24).map(" ".join), min_size=1, max_size=6)
QUESTION = "which river flows past the old mill near our town"
ANSWER = "the Winding"


def search(
    questions: Sequence[str | EvaluationItem],
    texts: Sequence[str | Document],
    rules: OverlapRules | None = None,
) -> SourceSearch:
    items = [
        item if isinstance(item, EvaluationItem) else EvaluationItem(id=str(number), question=item)
        for number, item in enumerate(questions)
    ]
    documents = [
        text if isinstance(text, Document) else Document(str(number), text, str(number))
        for number, text in enumerate(texts)
    ]
    found = SourceSearch(ItemIndex(items, rules or OverlapRules()))
    found.read(documents)
    return found


def fired(*args: object, **options: object) -> set[tuple[int, str]]:
    findings = search(*args, **options).findings()  # type: ignore[arg-type]
    return {(finding.item, finding.rule) for finding in findings}


def grams(words: Sequence[str], n: int) -> Grams:
    return [tuple(words[place : place + n]) for place in range(len(words) - n + 1)]


def by_hand(questions: list[list[str]], texts: list[list[str]], rules: OverlapRules) -> set[object]:
    """The rules on questions, as they are stated, without any index."""
    found: set[object] = set()

    def holders(gram: tuple[str, ...]) -> int:
        return sum(gram in grams(text, len(gram)) for text in texts)

    for number, question in enumerate(questions):
        whole = tuple(question)
        if len(whole) >= rules.question_words and holders(whole):
            found.add((number, "question", 1.0))
        for rule, n, least in (("ngram_8", 8, rules.ngram_8_share), ("ngram_13", 13, 0.0)):
            if len(whole) < n:
                if len(whole) >= rules.min_words and 0 < holders(whole) <= rules.max_documents:
                    found.add((number, rule, 1.0))
                continue
            owners = Counter(gram for other in questions for gram in set(grams(other, n)))
            telling = {
                gram
                for gram in grams(question, n)
                if owners[gram] <= rules.max_items and holders(gram) <= rules.max_documents
            }
            share = sum(holders(gram) > 0 for gram in telling) / max(len(telling), 1)
            if share > 0 and share >= least:
                found.add((number, rule, share))
    return found


@given(
    questions=TEXTS,
    texts=TEXTS,
    max_documents=st.integers(1, 3),
    max_items=st.integers(1, 3),
    batch=st.sampled_from([1, 60, 10_000]),
)
def test_questions_are_found_as_a_search_by_hand_finds_them(
    questions: list[str], texts: list[str], max_documents: int, max_items: int, batch: int
) -> None:
    rules = OverlapRules(
        max_documents=max_documents, max_items=max_items, ngram_8_share=0.5, min_words=3
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contamination_search, "_BATCH_CHARACTERS", batch)
        found = search(questions, texts, rules).findings()
    split = [[text.split() for text in side] for side in (questions, texts)]
    assert {(f.item, f.rule, f.overlap) for f in found} == by_hand(split[0], split[1], rules)
    assert len({(finding.item, finding.rule) for finding in found}) == len(found)


def test_the_document_that_says_most_is_named_with_its_place() -> None:
    texts = [f"see {QUESTION[:40]}", f"I asked: {QUESTION}?", QUESTION]
    found = search([QUESTION], texts).findings()
    assert Finding(0, "question", 1.0, 1, 2) in found
    assert Finding(0, "ngram_8", 1.0, 1, 2) in found


def test_an_ngram_in_many_documents_says_nothing_but_a_whole_question_does() -> None:
    assert fired([QUESTION], [QUESTION] * 10) == {
        (0, "question"),
        (0, "ngram_8"),
        (0, "ngram_13"),
    }
    many = search([QUESTION], [QUESTION] * 11)
    assert {finding.rule for finding in many.findings()} == {"question"}
    assert many.num_common("ngram_8", range(1)) == 3
    assert many.common("ngram_8").all()


def test_documents_of_one_group_count_once() -> None:
    group = [Document(str(number), QUESTION, "prompt") for number in range(20)]
    assert (0, "ngram_8") in fired([QUESTION], group)


@pytest.mark.parametrize("batch", [1, 10_000])
def test_a_group_is_never_torn(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(contamination_search, "_BATCH_CHARACTERS", batch)
    group = [Document(str(number), QUESTION, "prompt") for number in range(3)]
    found = search([QUESTION], [*group, "else"], OverlapRules(max_documents=1))
    assert (found.num_documents, found.num_words) == (4, 31)
    assert "ngram_8" in {finding.rule for finding in found.findings()}


def test_an_answer_counts_near_a_part_of_its_question() -> None:
    asked = EvaluationItem(id="1", question=QUESTION, answers=(ANSWER,))
    rules = OverlapRules(answer_distance=5)
    part = "Which river flows past the old mill near here?"
    assert fired([asked], [f"{part} The Winding."], rules) == {(0, "answer")}
    assert fired([asked], [f"The Winding! {part}"], rules) == {(0, "answer")}
    far = "It is long and cold and green: the Winding."
    assert fired([asked], [f"{part} {far}"], rules) == set()
    assert fired([asked], [part, "The Winding."], rules) == set()
    assert fired([asked], [f"{part} The Windings."], rules) == set()


def test_an_answer_near_a_common_phrase_says_nothing() -> None:
    asked = EvaluationItem(id="1", question=QUESTION, answers=(ANSWER,))
    part = "Which river flows past the old mill near here?"
    assert fired([asked], [f"{part} The Winding."] * 11) == set()


def test_a_short_question_must_be_whole_for_its_answer_to_count() -> None:
    asked = EvaluationItem(id="1", question="Which river is the longest?", answers=(ANSWER,))
    assert (0, "answer") in fired([asked], ["Which river is the longest? The Winding."])
    assert fired([asked], ["Which river is long? The Winding."]) == set()


def test_a_long_answer_counts_by_itself() -> None:
    answer = "because the miller of that time wanted water for two wheels and a pond"
    asked = EvaluationItem(id="1", question="Why so?", answers=(answer,))
    found = search([asked], ["nothing", f"They dug it {answer}, it seems."]).findings()
    assert found == [Finding(0, "answer", 1.0, 1, 3)]


def test_nothing_is_found_in_nothing() -> None:
    assert search([QUESTION], []).findings() == []
    assert search([QUESTION], ["", "!"]).findings() == []
