"""What is reported about overlaps of training data with evaluation sets, and clean id lists.

Looking for overlaps is `heedful.data.contamination`'s; scores on the clean subset are
`heedful.evaluation.clean_subset`'s.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from heedful.core.errors import DataError
from heedful.core.jsonl import write_json_atomic, write_text_atomic
from heedful.core.records import Record

SourceKind = Literal[
    "demonstrations", "ranking_prompts", "completions", "ppo_prompts", "pretraining"
]
Rule = Literal["question", "ngram_13", "ngram_8", "answer", "paraphrase"]
RULES: tuple[Rule, ...] = ("question", "ngram_13", "ngram_8", "answer", "paraphrase")
REPORT_FILE = "report.json"
CLEAN_FOLDER = "clean"


class OverlapRules(Record):
    """When an evaluation item counts as dirty. Words are those of `heedful.data.corpus`.

    Attributes:
        min_words: Questions of fewer words are not judged by their words at all.
        question_words: `question`: a question of at least so many words stands whole in a
            training document.
        ngram_8_share: `ngram_8`: at least this share of the question's 8-grams is in the
            training source (PaLM, Chowdhery et al. 2022, section 8). `ngram_13` needs one
            13-gram (GPT-3, Brown et al. 2020, appendix C). A question shorter than n words
            must stand whole in a document.
        max_documents: An n-gram in more training documents says nothing and is left out of
            both n-gram rules (GPT-3: 10).
        max_items: So is one in more evaluation items.
        answer_distance: `answer`: words between an 8-gram of the question (the whole of a
            shorter one) and the answer, at most.
        answer_words: Or: an answer of at least so many words stands whole in a document.
        answer_characters: A shorter answer near the question proves nothing.
        paraphrase_cosine: `paraphrase`: the question's embedding is at least so close to
            that of a passage.
    """

    min_words: int = Field(default=5, ge=1)
    question_words: int = Field(default=8, ge=1)
    ngram_8_share: float = Field(default=0.7, gt=0, le=1)
    max_documents: int = Field(default=10, ge=1)
    max_items: int = Field(default=10, ge=1)
    answer_distance: int = Field(default=50, ge=0)
    answer_words: int = Field(default=13, ge=1)
    answer_characters: int = Field(default=4, ge=1)
    paraphrase_cosine: float = Field(default=0.8, gt=0, le=1)


class OverlapExample(Record):
    """A dirty item beside the training document that makes it so.

    Attributes:
        rules: Those that fired, the strongest first.
        overlap: By the strongest rule: share of the question's n-grams in the source, 1
            for a whole question or answer, the cosine for a paraphrase.
        item_text: The question; None where the report shows ids only.
        document_text: The document around the overlap, as it is compared; likewise.
    """

    item_id: str
    document_id: str
    rules: tuple[Rule, ...]
    overlap: float
    item_text: str | None = None
    document_text: str | None = None


class OverlapRow(Record):
    """One training source against one evaluation set.

    Attributes:
        dirty: Items by rule; one item may be in several.
        num_dirty: Items that any rule calls dirty.
        share: Of the items, with its 95 % Wilson interval.
        common_ngrams: Different n-grams of the set that were left out, by rule.
        examples: The worst.
    """

    source: str
    kind: SourceKind
    evaluation_set: str
    num_items: int
    num_dirty: int
    share: float
    low: float
    high: float
    dirty: dict[Rule, int]
    common_ngrams: dict[Rule, int]
    examples: tuple[OverlapExample, ...] = ()


class SourceSummary(Record):
    """A training source that was looked through."""

    name: str
    kind: SourceKind
    num_documents: int
    num_words: int


class SetSummary(Record):
    """An evaluation set against all sources together.

    Attributes:
        num_short: Questions too short to judge by their words, or with gaps that leave too
            little; they count as clean unless another rule finds them.
    """

    name: str
    source: str
    num_items: int
    num_short: int
    num_dirty: int
    share: float
    low: float
    high: float


class ContaminationReport(Record):
    """Every training source against every evaluation set."""

    schema_version: Literal[1] = 1
    rules: OverlapRules
    sources: tuple[SourceSummary, ...]
    sets: tuple[SetSummary, ...]
    rows: tuple[OverlapRow, ...]
    with_paraphrases: bool

    def ids_only(self) -> Self:
        """The report without texts, to show where the data must not be quoted."""
        rows = []
        for row in self.rows:
            examples = tuple(
                example.model_copy(update={"item_text": None, "document_text": None})
                for example in row.examples
            )
            rows.append(row.model_copy(update={"examples": examples}))
        return self.model_copy(update={"rows": tuple(rows)})


def write_report(folder: Path, report: ContaminationReport) -> None:
    """Write `report.json`; the clean lists are `write_clean_ids`'."""
    write_json_atomic(folder / REPORT_FILE, report.model_dump(mode="json"))


def read_report(folder: Path) -> ContaminationReport:
    """The report of a folder.

    Raises:
        DataError: There is none, or it is damaged.
    """
    path = folder / REPORT_FILE
    try:
        return ContaminationReport.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}", "Look for contamination again.") from error


def clean_path(folder: Path, evaluation_set: str) -> Path:
    """Where the clean ids of a set are, `clean/<set>.txt`."""
    return folder / CLEAN_FOLDER / f"{evaluation_set}.txt"


def write_clean_ids(path: Path, ids: Iterable[str]) -> None:
    """Write ids, one a line.

    Raises:
        DataError: An id has a line break.
    """
    lines = []
    for item in ids:
        if len(item.splitlines()) != 1 or item != item.strip():
            raise DataError(f"{path}: {item!r} is no id", "Ids are one line without blank ends.")
        lines.append(f"{item}\n")
    write_text_atomic(path, "".join(lines))


def read_clean_ids(path: Path, *, known: Collection[str] | None = None) -> frozenset[str]:
    """The ids of the items that no rule calls dirty.

    Args:
        path: See `clean_path`.
        known: All ids of the set as it is now; a list made for another version is refused.

    Raises:
        DataError: There is no list, or it names an item that the set does not have.
    """
    try:
        ids = frozenset(path.read_text(encoding="utf-8").split("\n")) - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "Look for contamination first.") from error
    if known is not None and (strange := ids - set(known)):
        raise DataError(
            f"{path}: {len(strange)} ids are not in the evaluation set, {min(strange)!r} first",
            "The set has changed; look for contamination again.",
        )
    return ids
