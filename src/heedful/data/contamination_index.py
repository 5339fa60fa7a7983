"""Evaluation items, indexed by the words of their questions and of their long answers."""

import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from heedful.data.contamination_records import OverlapRules, Rule
from heedful.data.corpus import normalised, words
from heedful.data.evaluation_sets import EvaluationItem
from heedful.data.ngrams import Index, Ngrams, Numbers, Wholes, spread

NGRAM_RULES: dict[Rule, int] = {"ngram_8": 8, "ngram_13": 13}
# What a question leaves open, as Winograd schemas do; no word of a document fits there.
_GAP = re.compile(r"\[mask\]|(?<!\w)_+(?!\w)")


class ItemNgrams:
    """The n-grams of questions: which items have which.

    Attributes:
        grams: The n-gram of each different (n-gram, item) pair, in order.
        items: The item of each.
        common: Which n-grams are in more than `max_items` items.
        usable: Which are in fewer, but in some (the index has answers too).
    """

    def __init__(self, index: Index, n: int, num_items: int, max_items: int) -> None:
        self.table = Ngrams(index, n)
        ours = self.table.owners < num_items
        pairs = np.unique(self.table.numbers[ours] << 32 | self.table.owners[ours])
        self.grams, self.items = pairs >> 32, pairs & 0xFFFFFFFF
        self._num_items = np.bincount(self.grams, minlength=self.table.count)
        self._first = np.cumsum(self._num_items) - self._num_items
        self.common: npt.NDArray[np.bool_] = self._num_items > max_items
        self.usable: npt.NDArray[np.bool_] = (self._num_items > 0) & ~self.common

    def items_of(self, grams: Numbers) -> tuple[Numbers, Numbers]:
        """Every item that has one of the n-grams, as (places in `grams`, items)."""
        which, within = spread(self._num_items[grams])
        return which, self.items[self._first[grams[which]] + within]


class ItemIndex:
    """What is looked for in training documents.

    Attributes:
        lengths: Words of each question.
        short: Which questions no rule on words can judge: they have fewer than `min_words`,
            or gaps that leave no 8-gram.
        answers: The answers of each item that prove something near its question, in plain
            words with a blank at both ends.
        answered: The item of each indexed long answer; these follow the questions.
    """

    def __init__(self, items: Sequence[EvaluationItem], rules: OverlapRules) -> None:
        self.rules = rules
        questions = [question_words(item.question) for item in items]
        self.answers: list[tuple[str, ...]] = []
        self.answered: list[int] = []
        long_answers = []
        for number, (item, question) in enumerate(zip(items, questions, strict=True)):
            asked = spaced([word or "" for word in question])
            telling = []
            for answer in item.answers:
                answer_words = words(normalised(answer))
                text = spaced(answer_words)
                if text in asked:
                    continue
                if len(text) - 2 >= rules.answer_characters:
                    telling.append(text)
                if len(answer_words) >= rules.answer_words:
                    long_answers.append(answer_words)
                    self.answered.append(number)
            self.answers.append(tuple(telling))
        self.num_items = len(items)
        self.index = Index(chain(questions, long_answers))
        self.lengths = self.index.lengths[: self.num_items]
        self.ngrams = {
            rule: ItemNgrams(self.index, n, self.num_items, rules.max_items)
            for rule, n in NGRAM_RULES.items()
        }
        has_gap = np.array([None in question for question in questions], dtype=bool)
        with_ngram = np.isin(np.arange(self.num_items), self.ngrams["ngram_8"].items)
        self.short: npt.NDArray[np.bool_] = (self.lengths < rules.min_words) | (
            has_gap & ~with_ngram
        )
        long_enough = np.flatnonzero(self.index.lengths >= rules.min_words)
        self.wholes = Wholes(self.index, map(int, long_enough))


def question_words(text: str) -> list[str | None]:
    """The words of a question, None where it leaves a gap to fill."""
    parts = _GAP.split(normalised(text))
    found: list[str | None] = list(words(parts[0]))
    for part in parts[1:]:
        found += [None, *words(part)]
    return found


def spaced(text: Sequence[str]) -> str:
    """Words so joined that a run of them is a substring."""
    return f" {' '.join(text)} "
