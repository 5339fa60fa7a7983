"""Reads the folder of a data room's run: everything its page is made from.

A stage that has not run is simply absent. What is there must be whole: a file that cannot
be read is an error naming it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from heedful.core.jsonl import iter_records
from heedful.core.records import Prompt
from heedful.data.contamination_records import ContaminationReport
from heedful.data.dedup import DedupReport, DuplicateExample
from heedful.data.distribution import DistributionReport
from heedful.data.lineage import Manifest, read_manifests
from heedful.data.pii import PersonalDataReport
from heedful.data.split import Quarantined
from heedful.data.split_proof import SplitProof
from heedful.reports.files import read_json, read_rows

ORDER = ("read", "dedup", "cap", "split", "result", "contamination", "distribution")
SHAPING = ORDER[:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRun:
    """All that a run folder holds; empty or None where a stage has not run."""

    path: Path
    manifests: Mapping[str, Manifest]
    personal_data: PersonalDataReport | None
    dedup: DedupReport | None
    proof: SplitProof | None
    quarantined: Sequence[Quarantined]
    contamination: ContaminationReport | None
    distribution: DistributionReport | None

    @property
    def name(self) -> str:
        """The folder's own name, also for `.`."""
        return self.path.resolve().name

    @property
    def shaping(self) -> list[Manifest]:
        """The stages that prompts pass through, in order."""
        return [self.manifests[name] for name in SHAPING if name in self.manifests]


def read_data_run(path: Path) -> DataRun:
    """Read the run folder of `heedful data prepare`.

    Raises:
        DataError: No stage has run there, or a file is damaged.
    """
    found = read_manifests(path)
    ordered = [name for name in ORDER if name in found]
    ordered += [name for name in found if name not in ORDER]
    return DataRun(
        path=path,
        manifests={name: found[name] for name in ordered},
        personal_data=read_json(path / "read" / "personal_data.json", PersonalDataReport),
        dedup=read_json(path / "dedup" / "examples.json", DedupReport),
        proof=read_json(path / "split" / "proof.json", SplitProof),
        quarantined=read_rows(path / "split" / "quarantine.jsonl", Quarantined),
        contamination=read_json(path / "contamination" / "report.json", ContaminationReport),
        distribution=read_json(path / "distribution" / "distribution.json", DistributionReport),
    )


def quoting_only(run: DataRun, sources: Collection[str]) -> DataRun:
    """The run with no text but that of prompts from `sources`; all else is named by its id.

    Evaluation sets are never among them, and neither are the documents that overlap them.
    """
    quotable = {
        prompt.id
        for prompt in iter_records(run.path / "read" / "prompts.jsonl", Prompt)
        if prompt.source in sources
    }
    contamination = run.contamination and run.contamination.ids_only()
    if run.dedup is None:
        return replace(run, contamination=contamination)
    policies = tuple(
        policy.model_copy(
            update={"examples": tuple(_quoted(each, quotable) for each in policy.examples)}
        )
        for policy in run.dedup.policies
    )
    dedup = run.dedup.model_copy(update={"policies": policies})
    return replace(run, contamination=contamination, dedup=dedup)


def _quoted(example: DuplicateExample, quotable: Collection[str]) -> DuplicateExample:
    """The example, each text that may not be quoted empty."""
    kept = example.kept_text if example.kept_id in quotable else ""
    removed = example.removed_text if example.removed_id in quotable else ""
    return example.model_copy(update={"kept_text": kept, "removed_text": removed})
