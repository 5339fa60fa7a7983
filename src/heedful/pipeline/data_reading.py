"""Reads all sources of a data room into one set of records, and masks personal data.

Rows that cannot be read are set aside and named; a source with too many of them is refused
after all are known. Records of several sources are told apart by their ids. What is written
is masked already; how is `heedful.data.pii_records`'.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from heedful.core.data_settings import DataRoom, PiiSettings, SourceSettings
from heedful.core.errors import ConfigError, DataError
from heedful.core.jsonl import RowError, write_json_atomic
from heedful.core.records import Completion, Demonstration, Prompt, Ranking
from heedful.data.evaluation_tasks import TASK_PREFIX
from heedful.data.hub import HUB_PREFIX
from heedful.data.lineage import Dropped, write_stage
from heedful.data.pii import Detector, Masker, PersonalDataReport
from heedful.data.pii_records import default_detectors, mask_records
from heedful.data.plugins import DETECTORS, factories
from heedful.data.pseudonyms import KEY_VARIABLE, NO_KEY, Key, read_key
from heedful.data.sources import (
    ReadOptions,
    Reject,
    Rejects,
    load_demonstrations,
    load_prompts,
    load_rankings,
    write_rejects,
)
from heedful.data.withdrawals import Register, honour
from heedful.pipeline.record_set import RecordSet
from heedful.training.display import Display

REJECTS, PERSONAL_DATA = "rejects.jsonl", "personal_data.json"
_ELSEWHERE = (HUB_PREFIX, TASK_PREFIX)

R = TypeVar("R", Prompt, Demonstration, Completion, Ranking)


@dataclass(slots=True, kw_only=True)
class Intake:
    """The records of all sources by id, and what was left out.

    Attributes:
        rejects: Rows that never became records.
    """

    prompts: dict[str, Prompt] = field(default_factory=dict)
    demonstrations: dict[str, Demonstration] = field(default_factory=dict)
    completions: dict[str, Completion] = field(default_factory=dict)
    rankings: dict[str, Ranking] = field(default_factory=dict)
    rejects: Rejects = field(default_factory=Rejects)


class TooManyRejectsError(DataError):
    """A source has more unreadable rows than the person said to go on without.

    Attributes:
        rejects: All that were found, in every source that was read.
    """

    def __init__(self, rejects: Rejects, what: str, hint: str) -> None:
        self.rejects = rejects
        super().__init__(what, hint)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files behind paths of files and folders; a name such as `hub:owner/dataset` has none.

    Raises:
        DataError: A path leads nowhere.
    """
    files: list[Path] = []
    for path in paths:
        if str(path).startswith(_ELSEWHERE):
            continue
        if not path.exists():
            raise DataError(f"{path}: no such file or folder", "Check the path in the settings.")
        files += sorted(path.rglob("*")) if path.is_dir() else [path]
    return list(dict.fromkeys(file for file in files if file.is_file()))


def source_files(config: DataRoom) -> list[Path]:
    """All files that decide what is read."""
    register = config.run.withdrawals
    files = files_of(source.path for source in config.sources)
    return [*files, register] if register.is_file() else files


def data_key() -> Key:
    """The secret key of this data: the environment's, or none."""
    return read_key(KEY_VARIABLE) or NO_KEY


def read_sources(sources: Iterable[SourceSettings]) -> Intake:
    """The records of all sources.

    Raises:
        TooManyRejectsError: See there.
        DataError: A source cannot be read, or two different records have one id.
    """
    intake = Intake()
    refused: list[tuple[SourceSettings, Reject, int]] = []
    for source in sources:
        rejects = Rejects()
        _read(source, rejects, intake)
        unreadable = [reject for reject in rejects if reject.kind == "unreadable"]
        if len(unreadable) > source.max_rejects:
            refused.append((source, unreadable[0], len(unreadable)))
        known = set(intake.rejects)  # a folder is read once for each of its kinds
        intake.rejects += [reject for reject in rejects if reject not in known]
    if refused:
        source, first, count = refused[0]
        error = RowError(Path(first.path), first.line, first.field, first.reason)
        raise TooManyRejectsError(
            intake.rejects,
            f"{error.what}; {count} unreadable rows in {source.path}, and max_rejects is "
            f"{source.max_rejects}",
            "Correct the rows, or go on without them: --max-rejects "
            f"{max(count for _, _, count in refused)}.",
        )
    return intake


def admitted(intake: Intake, register: Register) -> tuple[RecordSet, list[Dropped], list[Dropped]]:
    """The records that may be trained on: of people who agreed, and did not withdraw.

    Also the rows and prompts that were left out, and what belonged to these prompts.
    """
    dropped = [_as_dropped(reject) for reject in intake.rejects]
    dropped += [
        Dropped(id=prompt.id, stage="read", reason="no consent")
        for prompt in intake.prompts.values()
        if not prompt.consent
    ]
    kept = honour(
        register,
        [prompt for prompt in intake.prompts.values() if prompt.consent],
        list(intake.demonstrations.values()),
        list(intake.completions.values()),
        list(intake.rankings.values()),
    )
    gone = [
        Dropped(id=record_id, stage="read", reason="withdrawn") for _, record_id in kept.withdrawn
    ]
    dropped += [item for item in gone if item.id in intake.prompts]
    records, orphans = RecordSet(
        prompts=kept.prompts,
        demonstrations=kept.demonstrations,
        completions=kept.completions,
        rankings=kept.rankings,
    ).without_orphans("read")
    orphans += [item for item in gone if item.id not in intake.prompts]
    return records, dropped, orphans


def enter(folder: Path, config: DataRoom, *, display: Display) -> None:
    """Read the sources into `folder`: masked records, and the rows that are none.

    Raises:
        DataError: A source has too many unreadable rows; they are listed in `folder`.
    """
    rejects, key = folder / REJECTS, data_key()
    try:
        intake = read_sources(config.sources)
    except TooManyRejectsError as error:
        write_rejects(rejects, error.rejects)
        raise DataError(error.what, f"{error.hint} All are listed in {rejects}.") from None
    records, dropped, orphans = admitted(intake, Register.read(config.run.withdrawals, key))
    numbers = records.numbers()
    sizes = ", ".join(f"{count:,} {kind}" for kind, count in numbers.items() if count)
    display.say(f"  {sizes}. {intake.rejects.summary()}")
    records, report = _mask(records, config.pii, key, display)
    records.write(folder)
    write_rejects(rejects, intake.rejects)
    write_json_atomic(folder / PERSONAL_DATA, report.model_dump(mode="json"))
    write_stage(
        folder,
        inputs=source_files(config),
        settings=config.model_dump(mode="json", include={"sources", "pii"}),
        num_out=len(records.prompts),
        dropped=dropped,
        orphans=orphans,
        numbers=numbers,
    )
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in report.counts.items()) or "nothing"
    display.say(
        f"  Personal data masked in {report.num_with:,} of {report.num_records:,} texts: {kinds}."
    )


def detectors(names: Sequence[str]) -> list[Detector]:
    """The detectors of these names, ours and plugins'.

    Raises:
        ConfigError: There is no such detector.
    """
    own = {detector.name: detector for detector in default_detectors()}
    strange = set(names) - own.keys()
    made = factories(DETECTORS, own) if strange else {}
    known = {**own, **{name: made[name]() for name in strange & made.keys()}}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"there is no detector {name!r} of personal data",
                f"Choose from: {', '.join(sorted({*own, *made}))}.",
            )
    return [known[name] for name in names]


def _mask(
    records: RecordSet, pii: PiiSettings, key: Key, display: Display
) -> tuple[RecordSet, PersonalDataReport]:
    with display.bar("mask", len(records.prompts), unit="prompts") as bar:
        masked = mask_records(
            records.prompts,
            Masker(detectors(pii.detectors)),
            demonstrations=records.demonstrations,
            completions=records.completions,
            key=key,
            processes=pii.processes,
            on_progress=bar.advance,
        )
    found = RecordSet(
        prompts=masked.prompts,
        demonstrations=masked.demonstrations,
        completions=masked.completions,
        rankings=records.rankings,
    )
    return found, masked.report


def _as_dropped(reject: Reject) -> Dropped:
    where = f"field `{reject.field}`: " if reject.field else ""
    return Dropped(
        id=f"{Path(reject.path).name}:{reject.line}",
        stage="read",
        reason=reject.kind,
        detail=f"{where}{reject.reason}",
    )


def _read(source: SourceSettings, rejects: Rejects, intake: Intake) -> None:
    options = ReadOptions(
        format=source.format,
        licence=source.licence,
        max_rejects=sys.maxsize,
        rejects=rejects,
        languages=source.languages,
    )
    if source.kind == "prompts":
        _add(intake.prompts, load_prompts(source.path, **options), source)
    elif source.kind == "demonstrations":
        found = load_demonstrations(source.path, **options)
        _add(intake.prompts, found.prompts, source)
        _add(intake.demonstrations, found.demonstrations, source)
    else:
        ranked = load_rankings(source.path, **options)
        _add(intake.prompts, ranked.prompts, source)
        _add(intake.completions, ranked.completions, source)
        _add(intake.rankings, ranked.rankings, source)


def _add(known: dict[str, R], records: Iterable[R], source: SourceSettings) -> None:
    for record in records:
        if known.setdefault(record.id, record) != record:
            raise DataError(
                f"{source.path}: the id {record.id} is that of another record, in another source",
                "Ids are unique over all sources; read each file once.",
            )
