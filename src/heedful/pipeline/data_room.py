"""The data room: from raw files to training sets that one can defend.

This module says what the stages are and how they hang together; their work is in
`data_reading` and `data_stages`, and what they decide in `heedful.data`. A stage whose
inputs did not change is skipped, one that was interrupted is done again from its start.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from heedful.core.data_settings import (
    ContaminationSettings,
    DataRoom,
    DedupSettings,
    EmbeddingSettings,
)
from heedful.core.errors import DataError
from heedful.core.records import Prompt
from heedful.data.caps import cap
from heedful.data.contamination_records import REPORT_FILE
from heedful.data.corpus import Corpus
from heedful.data.dedup import deduplicate
from heedful.data.lineage import DROPPED, MANIFEST, RESULT
from heedful.data.pseudonyms import fingerprint
from heedful.data.split_proof import prove_split
from heedful.pipeline import data_reading, data_stages
from heedful.pipeline.data_embedding import encoder_folder
from heedful.pipeline.data_overlap import look_for_overlap
from heedful.pipeline.data_reading import PERSONAL_DATA, REJECTS, data_key, files_of, source_files
from heedful.pipeline.data_stages import (
    DISTRIBUTION,
    EXAMPLES,
    LINKS,
    PROMPTS,
    PROOF,
    QUARANTINE,
    earlier_prompts,
)
from heedful.pipeline.record_set import RECORD_FILES
from heedful.pipeline.stages import Pipeline, Stage
from heedful.reports.data_page import build_data_report
from heedful.training.display import Display, duration

REPORT = "report.html"
_TRACE = (MANIFEST, DROPPED)


def prepare(config: DataRoom, display: Display) -> Path:
    """Run what is not up to date; returns the folder that the trainers read.

    Raises:
        HeedfulError: Something a person can put right.
        Interrupted: Ctrl-C; the same call goes on with the stage that was stopped.
    """
    pipeline = Pipeline(config.run.dir, display)
    stages = data_room_stages(config, display)
    for number, stage in enumerate(stages, start=1):
        pipeline.run(stage, number=number, total=len(stages))
    build_data_report(config.run.dir, config.run.dir / REPORT)
    seconds = sum(stage.seconds for stage in pipeline.reports)
    display.say(f"All stages together: {duration(seconds)}.")
    return config.run.dir / RESULT


def data_room_stages(config: DataRoom, display: Display) -> list[Stage]:
    """All stages in order; an input of a stage is an output of an earlier one."""
    stages = _Stages(config, display)
    found = [stages.read(), stages.dedup(), stages.cap(), stages.split(), stages.result()]
    if config.contamination is not None:
        found.append(stages.contamination(config.contamination))
    return [*found, stages.distribution()]


class _Stages:
    """One method a stage, in the order they run."""

    def __init__(self, config: DataRoom, display: Display) -> None:
        self.config, self.display = config, display
        self.base = config.run.dir

    def read(self) -> Stage:
        config = self.config
        return Stage(
            name="read",
            why="Read the sources and mask personal data; unreadable rows are set aside.",
            settings={
                "sources": [source.model_dump(mode="json") for source in config.sources],
                "detectors": config.pii.detectors,
                "key": fingerprint(data_key()),
            },
            inputs=source_files(config),
            outputs=[*RECORD_FILES, REJECTS, PERSONAL_DATA, *_TRACE],
            work=lambda folder: data_reading.enter(folder, config, display=self.display),
        )

    def dedup(self) -> Stage:
        source, config = self.base / "read" / PROMPTS, self.config
        embeddings = config.embeddings if "paraphrase" in config.dedup.named else None
        return Stage(
            name="dedup",
            why="Find prompts that say nothing new beside another.",
            settings=config.dedup,
            inputs=[source, *_encoder_files(embeddings)],
            outputs=[PROMPTS, LINKS, EXAMPLES, *_TRACE],
            work=lambda folder: data_stages.remove_duplicates(
                folder, source, config.dedup, embeddings, display=self.display
            ),
        )

    def cap(self) -> Stage:
        source, seed = self.base / "dedup" / PROMPTS, self.config.run.seed
        return Stage(
            name="cap",
            why="Let no user and no organisation be heard too often.",
            settings={**self.config.cap.model_dump(mode="json"), "seed": seed},
            inputs=[source],
            outputs=[PROMPTS, *_TRACE],
            work=lambda folder: data_stages.cap_prompts(
                folder, source, self.config.cap, seed=seed, display=self.display
            ),
        )

    def split(self) -> Stage:
        config, seed = self.config, self.config.run.seed
        source, links = self.base / "cap" / PROMPTS, self.base / "dedup" / LINKS
        return Stage(
            name="split",
            why="Split by user, organisation and duplicates; nobody is on two sides.",
            settings={
                **config.split.model_dump(mode="json"),
                "near": config.dedup.of_policy("near"),
                "seed": seed,
            },
            inputs=[source, links, *earlier_prompts(config.split)],
            outputs=[PROMPTS, QUARANTINE, PROOF, *_TRACE],
            work=lambda folder: data_stages.split_prompts(
                folder, source, links, config.split, config.dedup, seed=seed, display=self.display
            ),
        )

    def result(self) -> Stage:
        prompts, records = self.base / "split" / PROMPTS, self.base / "read"
        return Stage(
            name=RESULT,
            why="Bring together what the trainers read.",
            settings={},
            inputs=[prompts, *(records / name for name in RECORD_FILES[1:])],
            outputs=[*RECORD_FILES, *_TRACE],
            work=lambda folder: data_stages.assemble(
                folder, prompts, records, display=self.display
            ),
        )

    def contamination(self, settings: ContaminationSettings) -> Stage:
        source = self.base / RESULT
        return Stage(
            name="contamination",
            why="Hold the training split against the evaluation sets.",
            settings=settings,
            inputs=[
                *(source / name for name in RECORD_FILES),
                *files_of((*settings.sets, *settings.pretraining)),
                *_encoder_files(self.config.embeddings),
            ],
            outputs=[REPORT_FILE, *_TRACE],
            work=lambda folder: look_for_overlap(
                folder, source, settings, self.config.embeddings, display=self.display
            ),
        )

    def distribution(self) -> Stage:
        source, config = self.base / RESULT, self.config
        return Stage(
            name="distribution",
            why="Count what the result is made of.",
            settings={
                **config.distribution.model_dump(mode="json"),
                "languages": config.languages and config.languages.model_dump(mode="json"),
            },
            inputs=[source / name for name in RECORD_FILES[:2]],
            outputs=[DISTRIBUTION, *_TRACE],
            work=lambda folder: data_stages.tabulate(
                folder, source, config.distribution, config.languages, display=self.display
            ),
        )


def _encoder_files(settings: EmbeddingSettings | None) -> list[Path]:
    return [] if settings is None else files_of([encoder_folder(settings)])


def check_embedded(prompts: Sequence[Prompt]) -> str:
    """What the data room finds in prompts that are split already, in one sentence.

    Nothing is removed and nothing moves: their split is frozen. Near-duplicates, such as two
    few-shot prompts with the same examples, are counted.

    Raises:
        DataError: A user, an organisation or a text is in two splits.
    """
    settings = DedupSettings()
    policies = data_stages.policies(("exact", "containment", "near"), settings)
    counts = deduplicate(prompts, report=policies).report.policies
    links = data_stages.found_links(policies[-1], Corpus.of(prompts))
    sizes = Counter(prompt.split for prompt in prompts if prompt.split)
    shares = {split: count / len(prompts) for split, count in sizes.items()}
    proof = prove_split(prompts, links, shares=shares)
    if proof.shared_users or proof.shared_organisations or proof.shared_texts:
        raise DataError(f"the split leaks: {proof.summary()}", "Split the prompts anew.")
    found = ", ".join(f"{count.name} {count.num_links}" for count in counts)
    return (
        f"The data room finds in {len(prompts):,} prompts {found} duplicates and "
        f"{len(cap(prompts).dropped)} over the caps; in two splits: 0 users, 0 organisations, "
        f"0 exact and {len(proof.shared_near)} near duplicates."
    )
