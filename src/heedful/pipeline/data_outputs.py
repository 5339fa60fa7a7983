"""What is made of a finished data room: a release, and a comparison of two data sets."""

from pathlib import Path

from heedful.core.data_settings import DistributionSettings, LanguageSettings
from heedful.core.errors import DataError
from heedful.core.jsonl import write_json_atomic
from heedful.data.data_card import ReleaseFacts
from heedful.data.distribution import DataSet
from heedful.data.lineage import RESULT, Manifest, read_manifests, write_stage
from heedful.data.pii import Masker
from heedful.data.pseudonyms import SALT_VARIABLE, read_key, require_key
from heedful.data.release import write_release
from heedful.data.sources import load_prompts
from heedful.data.withdrawals import Register
from heedful.pipeline.data_reading import data_key, detectors
from heedful.pipeline.data_stages import DISTRIBUTION, data_set, describe_sets
from heedful.pipeline.record_set import RecordSet
from heedful.reports.data_page import build_data_report


def release(run: Path, folder: Path, *, title: str, register: Path) -> ReleaseFacts:
    """Write what may leave of a run into `folder`; what it says about itself.

    Raises:
        ConfigError: There is no salt in the environment.
        DataError: The run is not finished, or nothing may leave.
    """
    manifests = read_manifests(run)
    if RESULT not in manifests:
        raise DataError(f"{run}: has no {RESULT} yet", "Run `heedful data prepare` first.")
    salt = require_key(read_key(SALT_VARIABLE), "a release", SALT_VARIABLE)
    masker = Masker(detectors(manifests["read"].settings["pii"]["detectors"]))
    records = RecordSet.read(run / RESULT)
    facts, _ = write_release(
        folder,
        records.prompts,
        records.demonstrations,
        records.completions,
        records.rankings,
        salt=salt,
        masker=lambda texts: masker.mask(texts).texts,
        register=Register.read(register, data_key()),
        title=title,
        how_made=[_told(manifest) for manifest in manifests.values() if manifest.counts.dropped],
    )
    return facts


def compare(
    one: Path,
    other: Path,
    folder: Path,
    *,
    settings: DistributionSettings,
    languages: LanguageSettings | None,
) -> Path:
    """Describe two data sets side by side in `folder`; the path of the page.

    Each is the folder of a run, a folder of our own records, or a data file of any format.
    """
    names = (one.name, other.name) if one.name != other.name else (str(one), str(other))
    sets = [_data_set(name, path) for name, path in zip(names, (one, other), strict=True)]
    report = describe_sets(sets, settings, languages)
    stage = folder / "distribution"
    write_json_atomic(stage / DISTRIBUTION, report.model_dump(mode="json"))
    write_stage(
        stage,
        inputs=[],
        settings={"one": str(one), "other": str(other), **settings.model_dump(mode="json")},
        num_out=sum(found.num_prompts for found in report.sets),
    )
    return build_data_report(folder, folder / "report.html")


def _data_set(name: str, path: Path) -> DataSet:
    folder = path / RESULT if (path / RESULT).is_dir() else path
    if folder.is_dir():
        return data_set(name, folder)
    return DataSet(name=name, prompts=load_prompts(path))


def _told(manifest: Manifest) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in manifest.counts.dropped.items())
    return f"The stage {manifest.stage} dropped {reasons}."
