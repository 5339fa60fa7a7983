"""Paraphrases through a small embedding that counts meanings."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from fakes.meanings import embed_meanings
from heedful.core.errors import DataError
from heedful.data import contamination_paraphrase
from heedful.data.contamination_paraphrase import Paraphrases
from heedful.data.contamination_records import OverlapRules
from heedful.data.corpus import normalised, words
from heedful.data.evaluation_sets import EvaluationItem
from heedful.data.training_documents import Document

QUESTION = "How long does a large dog usually live?"
REWORDED = "What is the usual lifetime of a big hound?"
ITEMS = [
    EvaluationItem(id="1", question=QUESTION),
    EvaluationItem(id="2", question="Why?"),
    EvaluationItem(id="3", question="Which of the two rivers is the wider one?"),
]


def documents(*texts: str) -> list[Document]:
    return [Document(str(number), text, str(number)) for number, text in enumerate(texts)]


@pytest.mark.parametrize("block", [1, 512])
def test_the_closest_passage_is_named(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(contamination_paraphrase, "_BLOCK", block)
    rules = OverlapRules()
    texts = documents(
        "Cats sleep all day long.", f"Answer me.\n{REWORDED}", "What is big here now?"
    )
    (found,) = Paraphrases(ITEMS, embed_meanings, rules).find(texts)
    assert (found.item, found.rule, found.document, found.place) == (0, "paraphrase", 1, 2)
    assert rules.paraphrase_cosine <= found.overlap <= 1.0


def test_a_question_over_several_lines_is_found_in_the_whole() -> None:
    texts = documents("What is the usual\nlifetime of a big hound?")
    (found,) = Paraphrases(ITEMS, embed_meanings, OverlapRules()).find(texts)
    assert (found.item, found.document, found.place) == (0, 0, 0)


def test_nothing_close_is_no_finding() -> None:
    paraphrases = Paraphrases(ITEMS, embed_meanings, OverlapRules())
    assert paraphrases.find(documents("A completely different text about bread.", "Why?")) == []
    assert paraphrases.find([]) == []


def test_an_embedding_of_the_wrong_shape_is_refused() -> None:
    def flat(texts: Sequence[str]) -> npt.NDArray[np.floating]:
        return np.ones(len(texts))

    with pytest.raises(DataError, match=r"array of shape \(2,\) for 2 texts"):
        Paraphrases(ITEMS, flat, OverlapRules())


def test_words_of_one_meaning_have_one_direction() -> None:
    close, far = embed_meanings([QUESTION, REWORDED]), embed_meanings(["bread", QUESTION])
    assert close[0] @ close[1] > far[0] @ far[1]
    assert len(words(normalised(REWORDED))) == 9
