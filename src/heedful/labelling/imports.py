"""Files into a project: prompts and completions, and on wish the labels in them.

Reading comes first and touches no database, so that a large file keeps nobody waiting; then
everything is stored, or nothing. Formats and rejects are `heedful.data.reading`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import MadeBy, Record
from heedful.data import own_records
from heedful.data.pseudonyms import Key
from heedful.data.record_stream import Parcel
from heedful.data.sources import Rejects, load_everything
from heedful.data.withdrawals import honour
from heedful.store import audit
from heedful.store.columns import Purpose
from heedful.store.contents import Added, add_completions, add_prompts
from heedful.store.label_imports import ImportedLabels, add_labels
from heedful.store.withdrawals import Withdrawn, withdrawn_people


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a file is read, and what of it is taken.

    Attributes:
        format: A name of `heedful.data.sources.FORMATS`; told by the columns where left out.
        licence: Kept with each prompt that has none of its own.
        max_rejects: Unreadable rows that are set aside before the file is refused.
        labels: Take demonstrations, rankings and ratings too; they come as a closed batch.
        purpose: Of that batch.
        made_by: Who labelled, where the file does not say.
        name: What the source is called here; the file's name where left out.
        key: For pseudonyms in private formats; see `heedful.data.pseudonyms`.
    """

    format: str | None = None
    licence: str | None = None
    max_rejects: int = 0
    labels: bool = False
    purpose: Purpose = "training"
    made_by: MadeBy = "person"
    name: str | None = None
    key: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImport:
    """A file that has been read and not yet stored."""

    name: str
    parcel: Parcel
    rejects: Rejects
    options: ImportOptions
    one_labeller: str | None


@dataclass(frozen=True, slots=True)
class Imported:
    """How many records were added or known, by kind, and which rows were set aside.

    Attributes:
        labels_left: Labels that the file holds and that were not asked for.
        withdrawn: Records of people who withdrew, or about theirs; they were left out.
    """

    counts: dict[str, Added]
    rejects: Rejects
    labels_left: dict[str, int] = field(default_factory=dict)
    withdrawn: int = 0

    def lines(self) -> list[str]:
        """What happened, a sentence a line."""
        lines = [
            f"{name}: {added.new:,} new, {added.known:,} known."
            for name, added in self.counts.items()
        ]
        if self.rejects:
            lines.append(self.rejects.summary())
        if self.labels_left:
            left = ", ".join(f"{count:,} {name}" for name, count in self.labels_left.items())
            lines.append(f"Not imported, since labels were not asked for: {left}.")
        if self.withdrawn:
            lines.append(f"Not imported, since people withdrew: {self.withdrawn:,} records.")
        return lines


def read_import(path: Path, options: ImportOptions) -> ReadImport:
    """Read a file, a folder of our records or a stream.

    Raises:
        RowError: A row is unreadable, more than `max_rejects` times; names line and field.
        DataError: The file or its format is not known, or it holds nothing.
    """
    rejects = Rejects()
    parcel = load_everything(
        path,
        made_by=options.made_by,
        format=options.format,
        licence=options.licence,
        max_rejects=options.max_rejects,
        rejects=rejects,
        key=options.key,
    )
    if not any(getattr(parcel, kind) for kind in Parcel.__slots__):
        raise DataError(f"{path}: holds nothing to import", rejects.summary())
    name = options.name or path.name or str(path)
    # Formats of others name no labellers, so one account stands for them all.
    own = own_records.is_own(path, options.format)
    return ReadImport(
        name=name,
        parcel=parcel,
        rejects=rejects,
        options=options,
        one_labeller=None if own else name,
    )


def store_import(
    session: Session, project_id: str, read: ReadImport, *, by: str | None
) -> Imported:
    """Store what was read; the caller's transaction makes it all or nothing.

    What belongs to people who withdrew is left out.

    Raises:
        DataError: A record refers to one that is not there, or is there with other contents.
    """
    parcel, withdrawn = _consented(read.parcel, withdrawn_people(session))
    labels: dict[str, Sequence[Record]] = {
        "demonstrations": parcel.demonstrations,
        "rankings": parcel.rankings,
        "ratings": parcel.ratings,
    }
    counts = {
        "prompts": add_prompts(session, project_id, parcel.prompts),
        "completions": add_completions(session, project_id, parcel.completions),
    }
    if read.options.labels:
        wanted = ImportedLabels(
            name=read.name,
            purpose=read.options.purpose,
            demonstrations=parcel.demonstrations,
            rankings=parcel.rankings,
            ratings=parcel.ratings,
            one_labeller=read.one_labeller,
        )
        counts |= add_labels(session, project_id, wanted, by=by)
    audit.record_project(
        session,
        project_id,
        "project.import",
        by=by,
        detail={"file": read.name} | {kind: added.new for kind, added in counts.items()},
    )
    left = {} if read.options.labels else {name: len(found) for name, found in labels.items()}
    return Imported(
        {kind: added for kind, added in counts.items() if added.new or added.known},
        read.rejects,
        {name: count for name, count in left.items() if count},
        withdrawn,
    )


def _consented(parcel: Parcel, people: Withdrawn) -> tuple[Parcel, int]:
    """The records that nobody withdrew, and how many were withdrawn."""
    kept = honour(
        people, parcel.prompts, parcel.demonstrations, parcel.completions, parcel.rankings
    )
    gone = {name for _, name in kept.withdrawn}
    ratings = [
        one
        for one in parcel.ratings
        if not people.holds(one.labeller_id) and not {one.prompt_id, one.completion_id} & gone
    ]
    left = len(gone) + len(parcel.ratings) - len(ratings)
    return replace(
        parcel,
        prompts=kept.prompts,
        demonstrations=kept.demonstrations,
        completions=kept.completions,
        rankings=kept.rankings,
        ratings=ratings,
    ), left
