"""Sections about overlaps: among prompts, between splits, with the evaluation sets."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from heedful.data.contamination_records import (
    RULES,
    ContaminationReport,
    OverlapExample,
    OverlapRow,
    Rule,
    SetSummary,
)
from heedful.data.dedup import DuplicateExample, PolicyCount
from heedful.data.split import Quarantined
from heedful.data.split_proof import Pair, SplitProof
from heedful.reports.bars import bar_chart
from heedful.reports.charts import Caption, Estimate, interval_chart
from heedful.reports.data_run import DataRun
from heedful.reports.pairs import one_line, pair_view
from heedful.reports.palette import DROPPED, KEPT, SERIES
from heedful.reports.view import (
    FigureView,
    PromptView,
    Section,
    Table,
    number,
    percent,
    with_interval,
)

MOST_EXAMPLES = 30
_MOST_ROWS = 12
_MOST_NAMED = 20
_RULE_NAMES: dict[Rule, str] = {
    "question": "whole question",
    "ngram_13": "a 13-gram",
    "ngram_8": "8-grams",
    "answer": "answer",
    "paraphrase": "paraphrase",
}
_ACTIONS = {
    "remove": "are removed",
    "join": "stay in one split",
    "report": "are counted only",
}
_SHARED: tuple[tuple[str, Callable[[SplitProof], Sequence[str | Pair]]], ...] = (
    ("users", lambda proof: proof.shared_users),
    ("organisations", lambda proof: proof.shared_organisations),
    ("exact duplicates", lambda proof: proof.shared_texts),
    ("near duplicates", lambda proof: proof.shared_near),
)


def duplicates(run: DataRun) -> Section | None:
    """What each policy found and did, with one example of each."""
    report = run.dedup
    if report is None:
        return None
    rows = tuple(
        (
            policy.name,
            _ACTIONS[policy.action],
            f"{policy.num_links:,}",
            f"{policy.num_clusters:,}",
            f"{policy.num_removed:,}",
            percent(policy.num_removed / report.num_in if report.num_in else None),
        )
        for policy in report.policies
    )
    examples = tuple(
        _duplicate(policy, policy.examples[0]) for policy in report.policies if policy.examples
    )
    lead = ["In the order they ran. A policy sees only what those that remove have left before it."]
    if examples:
        lead.append("Below, one example of each; words that both sides share are marked.")
    columns = ("Policy", "its finds", "links", "clusters", "removed", "of those in")
    return Section(
        key="duplicates",
        title="Duplicates",
        lead=tuple(lead),
        tables=(Table(columns=columns, rows=rows, num_words=2),) if rows else (),
        prompts=examples,
    )


def _duplicate(policy: PolicyCount, example: DuplicateExample) -> PromptView:
    label = "Removed" if policy.action == "remove" else "The later one"
    return pair_view(
        kind=policy.name,
        title=one_line(example.removed_text or example.removed_id),
        sides=(
            ("Stays", KEPT.key, example.kept_text or None, (example.kept_id,)),
            (label, DROPPED.key, example.removed_text or None, (example.removed_id,)),
        ),
    )


def split(run: DataRun) -> Section | None:
    """The sizes of the splits, the proof that they share nothing, the quarantine."""
    proof = run.proof
    if proof is None:
        return None
    total = sum(proof.num_prompts.values())
    rows = tuple(
        (
            name,
            f"{size:,}",
            percent(size / total if total else None),
            percent(proof.shares.get(name)),
            f"{proof.num_users.get(name, 0):,}",
            f"{proof.num_organisations.get(name, 0):,}",
        )
        for name, size in proof.num_prompts.items()
    )
    columns = ("Split", "prompts", "share", "wanted", "users", "organisations")
    lead = [
        "Counted on the split prompts themselves, by other code than that which split them. "
        f"{proof.num_links:,} links between near-duplicates were looked at.",
        "Old assignments never move, and groups are never torn, so shares may miss what was "
        "wanted.",
    ]
    tables = [
        _proof_table(proof),
        Table(columns=columns, rows=rows, caption="Sizes"),
    ]
    if run.quarantined:
        tables.append(_quarantine(run.quarantined))
    figures = (_shares_figure(proof, total),) if total else ()
    return Section(
        key="split",
        title="Split",
        lead=tuple(lead),
        figures=figures,
        tables=tuple(tables),
        missing=tuple(_leaks(proof)),
    )


def _proof_table(proof: SplitProof) -> Table:
    rows = tuple((what, f"{len(found(proof)):,}") for what, found in _SHARED)
    columns = ("In more than one split", "number")
    return Table(columns=columns, rows=rows, caption="The proof")


def _leaks(proof: SplitProof) -> list[str]:
    """What must not be there, named."""
    said = []
    for what, found in _SHARED:
        if values := found(proof):
            names = ["/".join(v) if isinstance(v, tuple) else v for v in values[:_MOST_NAMED]]
            more = f" and {len(values) - _MOST_NAMED} more" if len(values) > _MOST_NAMED else ""
            said.append(f"In more than one split, {what}: {', '.join(names)}{more}.")
    return said


def _shares_figure(proof: SplitProof, total: int) -> FigureView:
    caption = Caption(
        key="split-shares",
        title="Shares of the splits",
        text="What each split got, and what was wanted.",
        simulated=False,
    )
    return bar_chart(
        caption,
        list(proof.num_prompts),
        [
            (replace(KEPT, label="got"), [size / total for size in proof.num_prompts.values()]),
            (
                replace(SERIES["start"], label="wanted"),
                [proof.shares.get(name, 0.0) for name in proof.num_prompts],
            ),
        ],
    )


def _quarantine(quarantined: Sequence[Quarantined]) -> Table:
    rows = tuple((found.prompt.id, ", ".join(found.because_of)) for found in quarantined)
    shown = rows[:_MOST_NAMED]
    caption = f"Quarantine: {len(rows):,} prompts that would have bound old splits together"
    if len(rows) > len(shown):
        caption += f", the first {len(shown)}"
    return Table(
        columns=("Prompt", "hangs together with"), rows=shown, caption=caption, numeric=False
    )


def contamination(run: DataRun) -> Section | None:
    """Share dirty of every evaluation set, where from, and the worst examples."""
    report = run.contamination
    if report is None:
        return None
    found = sorted(report.sets, key=lambda each: (-each.share, each.name))
    dirty = [row for row in report.rows if row.num_dirty]
    examples = _examples(dirty)
    tables = [_sets_table(found)]
    if dirty:
        tables.append(_rows_table(dirty))
    if report.sources:
        tables.append(_sources_table(report))
    dirty_sets = [each for each in found if each.num_dirty]
    figures = (_dirty_figure(dirty_sets, len(found)),) if dirty_sets else ()
    lead = [_rules_in_words(report)]
    if examples:
        lead.append(
            "Below, the worst examples; words that both sides share are marked. They are folded, "
            "since who reads them can no longer be tested on them."
        )
    return Section(
        key="contamination",
        title="Contamination of the evaluation sets",
        lead=tuple(lead),
        figures=figures,
        tables=tuple(tables),
        prompts=examples,
        collapsed=True,
    )


def _rules_in_words(report: ContaminationReport) -> str:
    rules = report.rules
    text = (
        f"An item is dirty when its whole question ({rules.question_words} words or more) stands "
        f"in a training document, when one of its 13-grams or {percent(rules.ngram_8_share)} of "
        f"its 8-grams does (n-grams in more than {rules.max_documents} documents set aside), when "
        f"its answer stands within {rules.answer_distance} words of an 8-gram of the question, or "
        f"has {rules.answer_words} words or more and stands there whole. Questions of fewer than "
        f"{rules.min_words} words are not judged."
    )
    if report.with_paraphrases:
        return text + f" Paraphrases are embeddings closer than {number(rules.paraphrase_cosine)}."
    return text + " Paraphrases were not looked for."


def _dirty_figure(dirty: Sequence[SetSummary], num_sets: int) -> FigureView:
    text = f"{len(dirty)} of {num_sets} evaluation sets have any, all training sources together."
    if len(dirty) > _MOST_ROWS:
        text += f" The {_MOST_ROWS} highest."
    caption = Caption(key="share-dirty", title="Share of dirty items", text=text, simulated=False)
    estimates = [
        Estimate(
            series=SERIES["reward"], value=each.share, low=each.low, high=each.high, label=each.name
        )
        for each in dirty[:_MOST_ROWS]
    ]
    return interval_chart(caption, estimates, axis="share dirty", share=True)


def _sets_table(found: Sequence[SetSummary]) -> Table:
    rows = tuple(
        (
            each.name,
            f"{each.num_items:,}",
            f"{each.num_short:,}",
            f"{each.num_dirty:,}",
            with_interval(each.share, each.low, each.high, share=True),
        )
        for each in found
    )
    columns = ("Evaluation set", "items", "too short", "dirty", "share (95 % interval)")
    return Table(columns=columns, rows=rows, caption="Every evaluation set")


def _rows_table(dirty: Sequence[OverlapRow]) -> Table:
    rows = tuple(
        (
            row.evaluation_set,
            row.source,
            f"{row.num_dirty:,}",
            *(f"{row.dirty.get(rule, 0):,}" for rule in RULES),
        )
        for row in sorted(dirty, key=lambda row: (-row.num_dirty, row.evaluation_set, row.source))
    )
    return Table(
        columns=("Evaluation set", "training source", "dirty", *_RULE_NAMES.values()),
        rows=rows,
        caption="Where from, and by which rule (an item may break several)",
        num_words=2,
    )


def _sources_table(report: ContaminationReport) -> Table:
    rows = tuple(
        (source.name, source.kind.replace("_", " "), f"{source.num_documents:,}", words)
        for source in report.sources
        for words in (f"{source.num_words:,}",)
    )
    columns = ("Training source", "kind", "documents", "words")
    return Table(columns=columns, rows=rows, caption="What was looked through", num_words=2)


def _examples(dirty: Sequence[OverlapRow]) -> tuple[PromptView, ...]:
    """The worst of every row in turn, so that no set hides the others; each item once."""
    ordered = [
        (turn, -example.overlap, row, example)
        for row in dirty
        for turn, example in enumerate(row.examples)
    ]
    ordered.sort(key=lambda item: (item[0], item[1], item[2].evaluation_set, item[3].item_id))
    worst: dict[tuple[str, str], PromptView] = {}
    for _, _, row, example in ordered:
        key = (row.evaluation_set, example.item_id)
        if key not in worst and len(worst) < MOST_EXAMPLES:
            worst[key] = _example(row, example)
    return tuple(worst.values())


def _example(row: OverlapRow, example: OverlapExample) -> PromptView:
    rules = ", ".join(_RULE_NAMES[rule] for rule in example.rules)
    return pair_view(
        kind=row.evaluation_set,
        title=one_line(example.item_text or example.item_id),
        sides=(
            (
                f"{row.evaluation_set}, {example.item_id}",
                "reward",
                example.item_text,
                (rules, f"overlap {number(example.overlap)}"),
            ),
            (
                f"{row.source}, {example.document_id}",
                DROPPED.key,
                example.document_text,
                (row.kind.replace("_", " "),),
            ),
        ),
    )
