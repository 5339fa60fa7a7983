"""Finds what training data and evaluation sets have in common.

Every training source is held against every evaluation set by the rules of
`heedful.data.contamination_records.OverlapRules`. Nothing is removed: the report says
what is dirty, and the clean id lists let the evaluation room score without it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from heedful.core.errors import DataError
from heedful.core.statistics import wilson_interval
from heedful.data.contamination_index import NGRAM_RULES, ItemIndex
from heedful.data.contamination_paraphrase import Paraphrases
from heedful.data.contamination_records import (
    RULES,
    ContaminationReport,
    OverlapExample,
    OverlapRow,
    OverlapRules,
    Rule,
    SetSummary,
    clean_path,
    write_clean_ids,
    write_report,
)
from heedful.data.contamination_search import Finding, SourceSearch
from heedful.data.corpus import normalised, words
from heedful.data.embedding import Embed
from heedful.data.evaluation_sets import EvaluationSet
from heedful.data.training_documents import TrainingSource

_WORDS_BEFORE, _WORDS_SHOWN = 5, 60
_CHARACTERS_SHOWN = 400

ByItem = Mapping[int, Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Contamination:
    """What was found.

    Attributes:
        report: Counts, shares and the worst examples.
        dirty: By set, the rules that call an item dirty, by its id.
        clean: By set, the ids of all other items, in the set's order.
    """

    report: ContaminationReport
    dirty: Mapping[str, Mapping[str, frozenset[Rule]]]
    clean: Mapping[str, Sequence[str]]

    def write(self, folder: Path) -> None:
        """Write `report.json` and `clean/<set>.txt`."""
        write_report(folder, self.report)
        for name, ids in self.clean.items():
            write_clean_ids(clean_path(folder, name), ids)


def find_contamination(
    sources: Sequence[TrainingSource],
    sets: Sequence[EvaluationSet],
    *,
    rules: OverlapRules | None = None,
    embed: Embed | None = None,
    num_examples: int = 5,
) -> Contamination:
    """Hold every training source against every evaluation set.

    Args:
        sources: Read one document at a time, and again for the examples' texts.
        sets: Indexed in memory.
        rules: Thresholds.
        embed: Sentences to rows of numbers, for the rule `paraphrase`; without it the rule
            is left out. The pretraining mix is never embedded: its passages are too many.
        num_examples: Of each row of the report, at most.

    Raises:
        DataError: There is no source or set, or two have the same name.
    """
    rules = rules or OverlapRules()
    _check_names("training source", [source.name for source in sources])
    _check_names("evaluation set", [found.name for found in sets])
    items = [item for found in sets for item in found.items]
    index = ItemIndex(items, rules)
    placed = _place(sets)
    paraphrases = None if embed is None else Paraphrases(items, embed, rules)
    fired: dict[int, set[Rule]] = defaultdict(set)
    rows: list[OverlapRow] = []
    summaries = []
    for source in sources:
        search = SourceSearch(index)
        search.read(source.read())
        findings = search.findings()
        if paraphrases is not None and source.kind != "pretraining":
            findings += paraphrases.find(source.read())
        for finding in findings:
            fired[finding.item].add(finding.rule)
        rows += _rows(source, placed, _by_item(findings), search, num_examples)
        summaries.append(search.summary(source))
    report = ContaminationReport(
        rules=rules,
        sources=tuple(summaries),
        sets=tuple(_summary(placing, index, fired.keys()) for placing in placed),
        rows=tuple(rows),
        with_paraphrases=embed is not None,
    )
    return Contamination(
        report=report,
        dirty={placing.found.name: dict(placing.dirty(fired)) for placing in placed},
        clean={placing.found.name: list(placing.clean(fired)) for placing in placed},
    )


class _Placed(NamedTuple):
    """A set and the places of its items among those of all sets."""

    found: EvaluationSet
    places: range

    def dirty(self, fired: Mapping[int, set[Rule]]) -> Iterator[tuple[str, frozenset[Rule]]]:
        """The ids that a rule calls dirty, with the rules."""
        for place, item in zip(self.places, self.found.items, strict=True):
            if place in fired:
                yield item.id, frozenset(fired[place])

    def clean(self, fired: Mapping[int, set[Rule]]) -> Iterator[str]:
        """The other ids."""
        for place, item in zip(self.places, self.found.items, strict=True):
            if place not in fired:
                yield item.id


def _place(sets: Sequence[EvaluationSet]) -> list[_Placed]:
    placed, end = [], 0
    for found in sets:
        begin, end = end, end + len(found.items)
        placed.append(_Placed(found, range(begin, end)))
    return placed


def _check_names(what: str, names: Sequence[str]) -> None:
    if not names:
        raise DataError(f"there is no {what}", "Name at least one.")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(f"two of them are called {what} {name}", "Give each its own name.")


def _by_item(findings: Iterable[Finding]) -> dict[int, list[Finding]]:
    """The findings of each item, the strongest rule first."""
    by_item: dict[int, list[Finding]] = defaultdict(list)
    for finding in sorted(findings, key=lambda found: RULES.index(found.rule)):
        by_item[finding.item].append(finding)
    return dict(by_item)


def _rows(
    source: TrainingSource,
    placed: Sequence[_Placed],
    by_item: ByItem,
    search: SourceSearch,
    num_examples: int,
) -> list[OverlapRow]:
    """The report's rows of one source, one for each set."""
    worst = [_worst(placing, by_item, num_examples) for placing in placed]
    excerpts = _excerpts(source, [by_item[item][0] for chosen in worst for item in chosen])
    rows = []
    for placing, chosen in zip(placed, worst, strict=True):
        dirty = [by_item[item] for item in placing.places if item in by_item]
        share = wilson_interval(len(dirty), len(placing.places))
        rows.append(
            OverlapRow(
                source=source.name,
                kind=source.kind,
                evaluation_set=placing.found.name,
                num_items=len(placing.places),
                num_dirty=len(dirty),
                share=share.value,
                low=share.low or 0.0,
                high=1.0 if share.high is None else share.high,
                dirty=dict(Counter(finding.rule for found in dirty for finding in found)),
                common_ngrams={
                    rule: search.num_common(rule, placing.places) for rule in NGRAM_RULES
                },
                examples=tuple(_example(placing, item, by_item[item], excerpts) for item in chosen),
            )
        )
    return rows


def _worst(placing: _Placed, by_item: ByItem, num_examples: int) -> list[int]:
    """The items of a set that overlap most: by rule, then by share, then by length."""

    def order(item: int) -> tuple[int, float, int]:
        strongest = by_item[item][0]
        question = placing.found.items[item - placing.places.start].question
        return RULES.index(strongest.rule), -strongest.overlap, -len(question)

    return sorted((item for item in placing.places if item in by_item), key=order)[:num_examples]


def _example(
    placing: _Placed,
    place: int,
    found: Sequence[Finding],
    excerpts: Mapping[tuple[int, int], tuple[str, str]],
) -> OverlapExample:
    item = placing.found.items[place - placing.places.start]
    document_id, text = excerpts[found[0].document, found[0].place]
    return OverlapExample(
        item_id=item.id,
        document_id=document_id,
        rules=tuple(finding.rule for finding in found),
        overlap=found[0].overlap,
        item_text=item.question[:_CHARACTERS_SHOWN],
        document_text=text,
    )


def _excerpts(
    source: TrainingSource, findings: Sequence[Finding]
) -> dict[tuple[int, int], tuple[str, str]]:
    """(document id, text around the place) by (document, place); reads the source again."""
    wanted: dict[int, set[int]] = defaultdict(set)
    for finding in findings:
        wanted[finding.document].add(finding.place)
    found: dict[tuple[int, int], tuple[str, str]] = {}
    if not wanted:
        return found
    for number, document in enumerate(source.read()):
        for place in wanted.pop(number, ()):
            found[number, place] = (document.id, _around(document.text, place))
        if not wanted:
            break
    return found


def _around(text: str, place: int) -> str:
    """Some 60 words of a text as it is compared, from a little before a word."""
    text = normalised(text)
    first, last = max(place - _WORDS_BEFORE, 0), place + _WORDS_SHOWN
    begin = offset = 0
    for number, word in enumerate(words(text)[: last + 1]):
        offset = text.index(word, offset)
        if number == first:
            begin = offset
        offset += len(word)
    return text[begin:offset]


def _summary(placing: _Placed, index: ItemIndex, dirty: Iterable[int]) -> SetSummary:
    first, end = placing.places.start, placing.places.stop
    num_dirty = sum(first <= item < end for item in dirty)
    share = wilson_interval(num_dirty, end - first)
    return SetSummary(
        name=placing.found.name,
        source=placing.found.source,
        num_items=end - first,
        num_short=int(index.short[first:end].sum()),
        num_dirty=num_dirty,
        share=share.value,
        low=share.low or 0.0,
        high=1.0 if share.high is None else share.high,
    )
