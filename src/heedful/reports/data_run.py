"""Reads the folder of a data room's run: everything its page is made from.

A stage that has not run is simply absent. What is there must be whole: a file that cannot
be read is an error naming it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heedful.data.contamination_records import ContaminationReport
from heedful.data.dedup import DedupReport
from heedful.data.distribution import DistributionReport
from heedful.data.lineage import Manifest, read_manifests
from heedful.data.pii import PersonalDataReport
from heedful.data.split import Quarantined
from heedful.data.split_proof import SplitProof
from heedful.reports.files import read_json, read_rows

ORDER = ("read", "dedup", "cap", "split", "contamination", "distribution")
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
