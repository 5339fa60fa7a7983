"""Streams one training source past the indexed evaluation items and says what it holds.

The rules are `heedful.data.contamination_records.OverlapRules`. Paraphrases are
`heedful.data.contamination_paraphrase`'s.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from heedful.data.contamination_index import NGRAM_RULES, ItemIndex, spaced
from heedful.data.contamination_records import Rule, SourceSummary
from heedful.data.corpus import normalised, words
from heedful.data.ngrams import Finds, Numbers, WordRun
from heedful.data.training_documents import Document, TrainingSource

_BREAK = "\n"  # stands between documents; no word is equal to it
_BATCH_CHARACTERS = 1_000_000
_SHIFT = 32  # two numbers below 2**31 as one


class Finding(NamedTuple):
    """An item that a rule calls dirty.

    `document` is the number of the document that says most of it, `place` the word there
    where the overlap begins. For `overlap`, see `OverlapExample`.
    """

    item: int
    rule: Rule
    overlap: float
    document: int
    place: int


class _Hits(NamedTuple):
    """What was found, in which document, at which of its words."""

    what: Numbers
    documents: Numbers
    places: Numbers

    def select(self, which: npt.NDArray[np.generic]) -> "_Hits":
        return _Hits(*(column[which] for column in self))

    def renamed(self, what: Numbers) -> "_Hits":
        return self._replace(what=what)

    def pairs(self) -> Numbers:
        """What and document as one number."""
        return self.what << _SHIFT | self.documents


class SourceSearch:
    """What one source holds of the items: feed it the documents, then ask for findings."""

    def __init__(self, items: ItemIndex) -> None:
        self._items = items
        self.num_documents = 0
        self.num_words = 0
        self._num_with_gram: dict[Rule, Numbers] = {
            rule: np.zeros(ngrams.table.count, dtype=np.int64)
            for rule, ngrams in items.ngrams.items()
        }
        self._num_with_whole = np.zeros(len(items.index), dtype=np.int64)
        self._gram_hits: dict[Rule, list[_Hits]] = {rule: [] for rule in items.ngrams}
        self._whole_hits: list[_Hits] = []
        self._near_answer: list[Numbers] = []

    def read(self, documents: Iterable[Document]) -> None:
        """Look through documents; those of a group stand together."""
        for batch in _batches(documents):
            self._read_batch(batch)

    def common(self, rule: Rule) -> npt.NDArray[np.bool_]:
        """Which n-grams are left out, for being in too many items or documents."""
        too_many = self._num_with_gram[rule] > self._items.rules.max_documents
        return self._items.ngrams[rule].common | too_many

    def summary(self, source: TrainingSource) -> SourceSummary:
        """How much was looked through, under the source's name."""
        return SourceSummary(
            name=source.name,
            kind=source.kind,
            num_documents=self.num_documents,
            num_words=self.num_words,
        )

    def num_common(self, rule: Rule, items: range) -> int:
        """How many different n-grams of some items are left out."""
        ngrams = self._items.ngrams[rule]
        ours = (ngrams.items >= items.start) & (ngrams.items < items.stop)
        left_out = self.common(rule)[ngrams.grams]
        return len(np.unique(ngrams.grams[ours & left_out]))

    def findings(self) -> list[Finding]:
        """Every dirty item, once for each rule that calls it so."""
        items, rules = self._items, self._items.rules
        wholes = _joined(self._whole_hits)
        asked = wholes.select(wholes.what < items.num_items)
        found = _strongest(
            "question", asked.select(items.lengths[asked.what] >= rules.question_words)
        )
        for rule, n in NGRAM_RULES.items():
            evidence = self._evidence(rule, asked)
            shares = self._shares(rule, evidence)
            least = rules.ngram_8_share if n == 8 else 0.0
            dirty = (shares >= least) & (shares > 0)
            found += _strongest(rule, evidence.select(dirty[evidence.what]), shares)
            if n == 8:
                near = np.isin(evidence.pairs(), np.concatenate([*self._near_answer, _NONE]))
                by_answer = _strongest("answer", evidence.select(near), shares)
        told = wholes.select(wholes.what >= items.num_items)
        answered = np.array(items.answered, dtype=np.int64)
        told = told.renamed(answered[told.what - items.num_items])
        return found + _one_each(_strongest("answer", told) + by_answer)

    def _evidence(self, rule: Rule, asked: _Hits) -> _Hits:
        """The hits of n-grams that say something, and of short questions, by item."""
        grams = _joined(self._gram_hits[rule])
        grams = grams.select(~self.common(rule)[grams.what])
        which, items = self._items.ngrams[rule].items_of(grams.what)
        short = self._items.lengths[asked.what] < NGRAM_RULES[rule]
        rare = self._num_with_whole[asked.what] <= self._items.rules.max_documents
        return _joined([grams.select(which).renamed(items), asked.select(short & rare)])

    def _shares(self, rule: Rule, evidence: _Hits) -> npt.NDArray[np.float64]:
        """By item, the share of its n-grams that the source holds; 1 for a short question."""
        ngrams, common = self._items.ngrams[rule], self.common(rule)
        usable = ~common[ngrams.grams]
        held = usable & (self._num_with_gram[rule][ngrams.grams] > 0)
        size = self._items.num_items
        num_usable = np.bincount(ngrams.items[usable], minlength=size)
        shares = np.bincount(ngrams.items[held], minlength=size) / np.maximum(num_usable, 1)
        shares[evidence.what[self._items.lengths[evidence.what] < NGRAM_RULES[rule]]] = 1.0
        return shares

    def _read_batch(self, batch: Sequence[Document]) -> None:
        texts = [words(normalised(document.text)) for document in batch]
        joined: list[str] = []
        for text in texts:
            joined += text
            joined.append(_BREAK)
        lengths = np.array([len(text) + 1 for text in texts], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        changes = [a.group != b.group for a, b in pairwise(batch)]
        groups = np.cumsum([False, *changes])
        run = self._items.index.run(joined)
        levels = self._items.index.levels(run.numbers)
        rules = self._items.rules
        for rule, ngrams in self._items.ngrams.items():
            hits = _located(ngrams.table.find(levels), run, starts)
            hits = hits.select(ngrams.usable[hits.what])
            _count(self._num_with_gram[rule], hits, groups)
            # What is common already need not be remembered.
            hits = hits.select(self._num_with_gram[rule][hits.what] <= rules.max_documents)
            if rule == "ngram_8":
                which, items = ngrams.items_of(hits.what)
                asked = hits.select(which).renamed(items)
            self._gram_hits[rule].append(self._numbered(hits))
        wholes = _located(self._items.wholes.find(levels), run, starts)
        _count(self._num_with_whole, wholes, groups)
        self._whole_hits.append(self._numbered(wholes))
        short = wholes.select(wholes.what < self._items.num_items)
        short = short.select(self._items.lengths[short.what] < NGRAM_RULES["ngram_8"])
        self._look_for_answers(_joined([asked, short]), texts)
        self.num_documents += len(batch)
        self.num_words += len(joined) - len(batch)

    def _numbered(self, hits: _Hits) -> _Hits:
        """The first hit in each document, documents numbered through all batches."""
        first = np.unique(hits.pairs(), return_index=True)[1]
        hits = hits.select(first)
        return hits._replace(documents=hits.documents + self.num_documents)

    def _look_for_answers(self, asked: _Hits, texts: Sequence[Sequence[str]]) -> None:
        """Note where an answer stands near what was found of its question."""
        if not len(asked.what):
            return
        asked = asked.select(np.lexsort((asked.places, asked.pairs())))
        pairs, first = np.unique(asked.pairs(), return_index=True)
        last = np.append(first[1:], len(asked.what)) - 1
        distance = self._items.rules.answer_distance
        near = []
        for pair, begin, end in zip(pairs, first, last, strict=True):
            answers = self._items.answers[asked.what[begin]]
            if not answers:
                continue
            document = int(asked.documents[begin])
            start = max(int(asked.places[begin]) - distance, 0)
            stop = int(asked.places[end]) + NGRAM_RULES["ngram_8"] + distance
            around = spaced(texts[document][start:stop])
            if any(answer in around for answer in answers):
                near.append(int(pair) + self.num_documents)
        self._near_answer.append(np.array(near, dtype=np.int64))


_NONE: Numbers = np.empty(0, dtype=np.int64)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in batches that numpy is worth calling for; a group is never torn."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        if size >= _BATCH_CHARACTERS and document.group != batch[-1].group:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.text)
    if batch:
        yield batch


def _located(finds: Finds, run: WordRun, starts: Numbers) -> _Hits:
    """Finds in a batch as hits in its documents."""
    places = run.places[finds.places]
    documents = np.searchsorted(starts, places, side="right") - 1
    return _Hits(finds.what, documents, places - starts[documents])


def _count(counts: Numbers, hits: _Hits, groups: Numbers) -> None:
    """Add to `counts` the number of groups of documents that each was found in."""
    pairs = np.unique(hits.what << _SHIFT | groups[hits.documents])
    np.add.at(counts, pairs >> _SHIFT, 1)


def _joined(hits: Sequence[_Hits]) -> _Hits:
    if not hits:
        return _Hits(_NONE, _NONE, _NONE)
    return _Hits(*(np.concatenate([_NONE, *columns]) for columns in zip(*hits, strict=True)))


def _strongest(
    rule: Rule, hits: _Hits, overlaps: npt.NDArray[np.float64] | None = None
) -> list[Finding]:
    """Each item with the document that has most hits of it, the earliest such."""
    hits = hits.select(np.lexsort((hits.places, hits.pairs())))
    pairs, first, counts = np.unique(hits.pairs(), return_index=True, return_counts=True)
    order = np.lexsort((pairs, -counts, pairs >> _SHIFT))
    items = hits.what[first[order]]
    best = first[order[np.unique(items, return_index=True)[1]]]
    return [
        Finding(
            item=int(hits.what[place]),
            rule=rule,
            overlap=1.0 if overlaps is None else float(overlaps[hits.what[place]]),
            document=int(hits.documents[place]),
            place=int(hits.places[place]),
        )
        for place in best
    ]


def _one_each(findings: Iterable[Finding]) -> list[Finding]:
    """The first finding of each item."""
    kept: dict[int, Finding] = {}
    for finding in findings:
        kept.setdefault(finding.item, finding)
    return list(kept.values())
