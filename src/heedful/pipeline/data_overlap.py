"""The stage `contamination`: what models will be trained on, against the evaluation sets.

Only the training split is looked at, since only that is trained on. What counts as overlap
is `heedful.data.contamination`'s; nothing is removed.
"""

from collections.abc import Sequence
from pathlib import Path

from heedful.core.data_settings import ContaminationSettings, EmbeddingSettings
from heedful.data.contamination import find_contamination
from heedful.data.contamination_records import OverlapRules
from heedful.data.evaluation_sets import EvaluationSet, read_evaluation_sets
from heedful.data.lineage import write_stage
from heedful.data.texts import load_texts
from heedful.data.training_documents import (
    TrainingSource,
    of_answers,
    of_prompts,
    of_texts,
)
from heedful.pipeline.data_embedding import load_embed
from heedful.pipeline.data_reading import files_of
from heedful.pipeline.record_set import RECORD_FILES, RecordSet
from heedful.training.display import Display


def look_for_overlap(
    folder: Path,
    source: Path,
    settings: ContaminationSettings,
    embeddings: EmbeddingSettings | None = None,
    *,
    display: Display,
) -> None:
    """Write the report and the ids of clean items, set by set."""
    records = RecordSet.read(source).of_split("train")
    skipped: list[str] = []
    sets: list[EvaluationSet] = []
    for path in settings.sets:
        sets += read_evaluation_sets(path, skipped=skipped)
    for reason in skipped:
        display.say(f"  Left out: {reason}")
    rules = OverlapRules(
        min_words=settings.min_words,
        question_words=settings.question_words,
        ngram_8_share=settings.ngram_8_share,
        answer_distance=settings.answer_distance,
        paraphrase_cosine=settings.paraphrase_cosine,
    )
    found = find_contamination(
        _sources(records, settings.pretraining),
        sets,
        rules=rules,
        embed=load_embed(embeddings),
        num_examples=settings.num_examples,
    )
    found.write(folder)
    write_stage(
        folder,
        inputs=[
            *(source / name for name in RECORD_FILES),
            *files_of((*settings.sets, *settings.pretraining)),
        ],
        settings=settings.model_dump(mode="json"),
        num_out=len(records.prompts),
        numbers={"evaluation sets": len(sets)},
    )
    for summary in found.report.sets:
        if summary.num_dirty:
            display.say(
                f"  {summary.name}: {summary.num_dirty:,} of {summary.num_items:,} items "
                f"({100 * summary.share:.1f} %) overlap with training data."
            )
    clean = sum(not summary.num_dirty for summary in found.report.sets)
    display.say(f"  {clean} of {len(sets)} evaluation sets are clean.")


def _sources(records: RecordSet, pretraining: Sequence[Path]) -> list[TrainingSource]:
    """Every training source that is there; prompts that are ranked are PPO's too."""
    ranked = {ranking.prompt_id for ranking in records.rankings}
    sources = [of_prompts("ppo_prompts", "ppo_prompts", records.prompts)]
    if records.demonstrations:
        sources.append(
            of_answers("demonstrations", "demonstrations", records.prompts, records.demonstrations)
        )
    if ranked:
        prompts = [prompt for prompt in records.prompts if prompt.id in ranked]
        sources.append(of_prompts("ranking_prompts", "ranking_prompts", prompts))
    if records.completions:
        sources.append(
            of_answers("completions", "completions", records.prompts, records.completions)
        )
    return sources + [of_texts(str(path), load_texts(path)) for path in pretraining]
