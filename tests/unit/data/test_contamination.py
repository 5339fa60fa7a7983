"""Planted overlaps are found and reported; clean text gives none. All texts are ours."""

from pathlib import Path

import pytest

from fakes.meanings import embed_meanings
from heedful.core.errors import DataError
from heedful.data.contamination import Contamination, find_contamination
from heedful.data.contamination_records import (
    OverlapRules,
    Rule,
    clean_path,
    read_clean_ids,
    read_report,
)
from heedful.data.evaluation_sets import EvaluationItem, EvaluationSet, read_evaluation_sets
from heedful.data.texts import load_texts
from heedful.data.training_documents import TrainingSource, of_texts

QUESTIONS = {
    "exact": "What colour is the roof of the old school in our village?",
    "numbers": "Ida baked 12 loaves on Monday and 30 on Friday; how many loaves did she bake?",
    "template": "Name the material that the first bridge over our river was made of.",
    "paraphrase": "How much money does a doctor usually need to buy a large car?",
    "clean": "Which of the three painters moved to the island before the war began?",
    "short": "Why is that so?",
}
PLANTED = {
    "exact": "WHAT colour is the roof of the old school,\nin our village? It is red.",
    "numbers": "Ida baked 1,750 loaves on Monday and 8 on Friday; how many loaves did she bake?",
    "template": "Read and answer in one word. Input: name the material that the first bridge over "
    "our river was made of. Output: oak",
    "paraphrase": "What funds does a physician normally need to purchase a huge automobile?",
}
OTHER = [
    "Bread rises because yeast makes gas, and the gas cannot leave the dough.",
    "Write a short letter to a friend who moved to another town last summer.",
]


def evaluation_set(name: str, questions: dict[str, str]) -> EvaluationSet:
    items = [EvaluationItem(id=key, question=text) for key, text in questions.items()]
    return EvaluationSet(name=name, source="test", items=tuple(items))


def planted(**options: object) -> Contamination:
    source = of_texts("planted", [OTHER[0], *PLANTED.values(), OTHER[1]], "demonstrations")
    clean = of_texts("books", OTHER)
    sets = [evaluation_set("ours", QUESTIONS), evaluation_set("other", {"x": QUESTIONS["clean"]})]
    return find_contamination([source, clean], sets, **options)  # type: ignore[arg-type]


def test_every_kind_of_planted_overlap_is_found_and_nothing_else() -> None:
    found = planted(embed=embed_meanings)
    assert found.dirty["ours"].keys() == PLANTED.keys()
    assert found.dirty["other"] == {}
    by_words: set[Rule] = {"question", "ngram_13", "ngram_8"}
    for kind in ("exact", "template"):
        assert found.dirty["ours"][kind] >= by_words
    assert found.dirty["ours"]["numbers"] >= by_words
    assert found.dirty["ours"]["paraphrase"] == {"paraphrase"}
    assert found.clean == {"ours": ["clean", "short"], "other": ["x"]}


def test_without_an_embedding_paraphrases_are_not_looked_for() -> None:
    found = planted()
    assert not found.report.with_paraphrases
    assert found.dirty["ours"].keys() == {"exact", "numbers", "template"}


def test_the_report_counts_and_shows_the_worst_side_by_side() -> None:
    report = planted(embed=embed_meanings, num_examples=2).report
    assert [(row.source, row.evaluation_set) for row in report.rows] == [
        ("planted", "ours"),
        ("planted", "other"),
        ("books", "ours"),
        ("books", "other"),
    ]
    row = report.rows[0]
    assert (row.num_items, row.num_dirty) == (6, 4)
    assert row.share == pytest.approx(4 / 6)
    assert row.low < row.share < row.high
    assert row.dirty == {"question": 3, "ngram_13": 3, "ngram_8": 3, "paraphrase": 3}
    assert [example.item_id for example in row.examples] == ["numbers", "template"]
    worst = row.examples[1]
    assert worst.document_id == "planted:3"
    assert worst.rules[0] == "question"
    assert worst.item_text == QUESTIONS["template"]
    assert worst.document_text is not None
    assert worst.document_text.startswith("answer in one word. input: name the material")
    assert [
        (found.name, found.num_items, found.num_short, found.num_dirty) for found in report.sets
    ] == [
        ("ours", 6, 1, 4),
        ("other", 1, 0, 0),
    ]
    assert [(source.name, source.num_documents) for source in report.sources] == [
        ("planted", 6),
        ("books", 2),
    ]
    assert report.rows[2].num_dirty == report.rows[3].num_dirty == 0


def test_what_is_dirty_does_not_depend_on_any_order() -> None:
    documents = [*PLANTED.values(), *OTHER]
    sets = [evaluation_set("ours", QUESTIONS), evaluation_set("other", {"x": PLANTED["exact"]})]
    first = find_contamination([of_texts("s", documents)], sets)
    second = find_contamination([of_texts("s", documents[::-1])], sets[::-1])
    assert first.dirty == second.dirty
    assert first.clean == second.clean


def test_what_was_found_is_written_and_read(tmp_path: Path) -> None:
    found = planted()
    found.write(tmp_path)
    assert read_report(tmp_path) == found.report
    clean = read_clean_ids(clean_path(tmp_path, "ours"), known=QUESTIONS)
    assert clean == set(QUESTIONS) - found.dirty["ours"].keys()


def test_long_texts_are_shown_in_part() -> None:
    question = QUESTIONS["exact"] + " Tell me more about it." * 40
    text = " ".join(OTHER * 30) + f" {question} " + " ".join(OTHER * 30)
    sets = [evaluation_set("ours", {"long": question})]
    (row,) = find_contamination([of_texts("s", [text])], sets).report.rows
    (example,) = row.examples
    assert len(example.item_text or "") == 400
    assert (example.document_text or "").startswith("to another town last summer. what colour")
    assert len((example.document_text or "").split()) < 80


@pytest.mark.parametrize(
    ("sources", "sets", "message"),
    [
        (0, 1, "there is no training source"),
        (1, 0, "there is no evaluation set"),
        (2, 1, "two of them are called training source s"),
        (1, 2, "two of them are called evaluation set e"),
    ],
)
def test_names_must_tell_sources_and_sets_apart(sources: int, sets: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_contamination(
            [of_texts("s", OTHER)] * sources, [evaluation_set("e", QUESTIONS)] * sets
        )


def test_the_rules_are_the_caller_s() -> None:
    strict = OverlapRules(min_words=40, question_words=40, ngram_8_share=1.0)
    found = planted(rules=strict)
    assert found.report.rules == strict
    assert all("question" not in rules for rules in found.dirty["ours"].values())


@pytest.mark.data
def test_old_books_hold_nothing_of_the_evaluation_sets(real_data: Path) -> None:
    texts = load_texts(real_data / "pretrain" / "classic_books_45mb.jsonl.gz")[:3]
    sets = read_evaluation_sets(real_data / "eval" / "TruthfulQA.csv")
    planted = of_texts("planted", [f"Somebody asked. {sets[0].items[0].question}"])
    assert isinstance(planted, TrainingSource)
    found = find_contamination([of_texts("books", texts), planted], sets)
    assert [row.num_dirty for row in found.report.rows] == [0, 1]
