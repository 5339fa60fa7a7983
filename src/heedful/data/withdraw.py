"""Withdrawal of consent: a person leaves every derived set, and stays out.

Everything under some folders is looked through: their prompts go, and their labels, what
derives from them, and what quotes them in reports; pages made of such files are deleted, to
be made again. The checkpoints that were trained on them are named; whether to train others
is for people to decide. The person's ids are registered as hashes
(`heedful.data.withdrawals`).

All changes are prepared beside the files, noted in a journal and then put in place; what was
interrupted is finished by the next call.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from heedful.core.errors import DataError
from heedful.core.file_hashes import sha256_file
from heedful.core.jsonl import open_atomic, write_json_atomic, write_records
from heedful.core.records import derived_id
from heedful.data.data_card import FACTS, ReleaseFacts, recount, render_card
from heedful.data.pseudonyms import NO_KEY, Key, fingerprint, keyed_id
from heedful.data.reading import FORMATS, PRIVATE
from heedful.data.release import release_files
from heedful.data.removal import (
    ROW_SUFFIXES,
    UnknownKindError,
    clean_file,
    kind_of,
    rows_of,
)
from heedful.data.traces import Traces
from heedful.data.trained_on import TrainedOn, trained_on
from heedful.data.withdrawals import Register, Rewritten, Withdrawal

_JOURNAL = ".withdrawal.json"
_NEW = ".withdrawn-"
_REPORT = "report.html"


@dataclass(slots=True)
class WithdrawalReport:
    """What a withdrawal did.

    Attributes:
        changed: Rows removed from each file that was changed; 1 for other changes.
        deleted: Pages, and files of a release that would be empty.
        trained: Runs and checkpoints that were trained on the person's data.
        unchanged: Files that hold the person and that a person must see to.
        unreadable: Cards of runs or checkpoints about which nothing can be said.
    """

    changed: dict[Path, int] = field(default_factory=dict)
    deleted: list[Path] = field(default_factory=list)
    trained: list[TrainedOn] = field(default_factory=list)
    unchanged: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report, a line a finding; it names files and checkpoints, never the person."""
        lines = [f"{path}: {count} removed" for path, count in self.changed.items()]
        lines += [f"{path}: deleted; make it again" for path in self.deleted]
        lines += [
            f"{item.folder}: {item.checkpoint_id or 'no checkpoint yet'} was trained on their "
            f"data ({item.why})"
            for item in self.trained
        ]
        lines += [f"{path}: HOLDS THEM and cannot be changed here" for path in self.unchanged]
        lines += [f"{path}: cannot be read, so what it read is unknown" for path in self.unreadable]
        return lines or ["Nothing of theirs was found; their withdrawal is registered."]


def withdraw(
    user: str,
    folders: Sequence[Path],
    *,
    register: Path,
    key: Key = NO_KEY,
    salts: Sequence[Key] = (),
    elsewhere: Iterable[Mapping[str, Any]] = (),
) -> WithdrawalReport:
    """Remove a person from everything under `folders`, and register that they withdrew.

    Ids of fewer than eight characters are found only in fields that name people; texts
    within others only from twenty characters on.

    Args:
        user: As the source names them, or the pseudonym that records have.
        folders: Derived sets, releases, runs; nothing outside is seen.
        register: The file of the register.
        key: The key that the data was read with.
        salts: Of the releases under `folders`.
        elsewhere: Records of theirs that are in no file here, such as in a database, and that
            files may quote.

    Raises:
        DataError: A folder is not there, a release has none of these salts, or the
            register has another key.
    """
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder", "Name folders that exist.")
    _finish(register)
    known = Register.read(register, key)
    names = names_of(user, key)
    files = [file for file in _files(folders) if file != register]
    releases = _releases(files, salts)
    traces = _traces(names, files, salts, elsewhere)
    change = _Change()
    for file in files:
        change.clean(file, traces)
    change.delete_reports(files, folders)
    for folder, facts in releases.items():
        change.recount(folder, facts)
    hashes = {sha256_file(file) for file in change.report.changed if kind_of(file) in ROW_SUFFIXES}
    theirs = {earlier for sha256 in hashes for earlier in known.earlier(sha256)}
    change.report.trained, change.report.unreadable = trained_on(folders, theirs.__contains__)
    withdrawal = Withdrawal(
        key=fingerprint(key),
        people=tuple(sorted(known.hash_of(name) for name in names)),
        withdrawn_at=datetime.now(UTC),
        rewritten=change.rewritten(),
        checkpoints=tuple(item.checkpoint_id or str(item.folder) for item in change.report.trained),
    )
    change.prepare(register, withdrawal)
    _finish(register)
    return change.report


@dataclass(slots=True)
class _Change:
    """New contents by file, None for a file that goes, and what is said of them."""

    contents: dict[Path, bytes | None] = field(default_factory=dict)
    report: WithdrawalReport = field(default_factory=WithdrawalReport)

    def clean(self, file: Path, traces: Traces) -> None:
        """Note what of a file stays."""
        try:
            cleaned = clean_file(file, traces)
        except UnknownKindError:
            self.report.unchanged.append(file)
            return
        if cleaned is None:
            return
        if cleaned.content is None:
            self._delete(file)
        else:
            self.contents[file] = cleaned.content
            self.report.changed[file] = cleaned.removed

    def delete_reports(self, files: Iterable[Path], folders: Sequence[Path]) -> None:
        """The reports go that lie above a changed file, whatever they show of it."""
        above = {
            folder
            for file in self.contents
            for folder in file.parents
            if any(folder.is_relative_to(root) for root in folders)
        }
        for file in files:
            if file.name == _REPORT and file.parent in above and file not in self.contents:
                self._delete(file)

    def recount(self, folder: Path, facts: ReleaseFacts) -> None:
        """Make a release's card and facts anew where its rows changed."""
        files = release_files(folder)
        removed = sum(self.report.changed.get(file, 0) for file in files.values())
        if not removed:
            return
        for name, file in list(files.items()):
            if self.contents.get(file) == b"":
                del files[name], self.report.changed[file]
                self._delete(file)
            elif file in self.contents:
                files[name] = self._write(file)
        before = facts.left_out.get("row: withdrawn later", 0)
        left_out = facts.left_out | {"row: withdrawn later": before + removed}
        counted = recount(facts.model_copy(update={"left_out": left_out}), files)
        self.contents[folder / FACTS] = counted.model_dump_json(indent=2).encode() + b"\n"
        self.contents[folder / "README.md"] = render_card(counted).encode()

    def rewritten(self) -> tuple[Rewritten, ...]:
        """The data files before and after."""
        return tuple(
            Rewritten(before=sha256_file(file), after=hashlib.sha256(content).hexdigest())
            for file, content in self.contents.items()
            if content is not None and kind_of(file) in ROW_SUFFIXES
        )

    def prepare(self, register: Path, withdrawal: Withdrawal) -> None:
        """Write the new files beside the old ones, and then the journal."""
        deleted = [file for file, content in self.contents.items() if content is None]
        replaced = [file for file in self.contents if file not in deleted]
        write_json_atomic(
            register.parent / _JOURNAL,
            {
                "withdrawal": withdrawal.model_dump(mode="json"),
                "replace": [
                    [str(self._write(file).absolute()), str(file.absolute())] for file in replaced
                ],
                "delete": [
                    str(file.absolute())
                    for file, content in self.contents.items()
                    if content is None
                ],
            },
        )

    def _delete(self, file: Path) -> None:
        self.contents[file] = None
        self.report.deleted.append(file)

    def _write(self, file: Path) -> Path:
        content = self.contents[file]
        assert content is not None
        new = file.with_name(_NEW + file.name)
        with open_atomic(new) as target:
            target.write(content)
        return new


def _finish(register: Path) -> None:
    """Do what the journal says, if there is one; any part of it may be done already."""
    journal = register.parent / _JOURNAL
    if not journal.exists():
        return
    noted = json.loads(journal.read_text(encoding="utf-8"))
    withdrawal = Withdrawal.model_validate(noted["withdrawal"])
    lines = register.read_text(encoding="utf-8").splitlines() if register.exists() else []
    before = [Withdrawal.model_validate_json(line) for line in lines]
    if withdrawal not in before:
        write_records(register, [*before, withdrawal])
    for new, old in noted["replace"]:
        if Path(new).exists():
            Path(new).replace(old)
    for file in noted["delete"]:
        Path(file).unlink(missing_ok=True)
    journal.unlink()


def names_of(user: str, key: Key) -> set[str]:
    """Every id that the person may have in records, in the way the formats make pseudonyms."""
    public = {derived_id("user", name, user) for name in FORMATS.keys() - PRIVATE}
    return {user, keyed_id("user", key, user), *public}


def released_names(names: Iterable[str], salts: Sequence[Key]) -> set[str]:
    """What these ids became in releases with these salts."""
    return {
        keyed_id(kind, salt, name)
        for name in names
        for salt in salts
        for kind in ("user", "labeller")
    }


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    """Every file once, without what an interrupted withdrawal prepared, which is deleted."""
    seen: set[Path] = set()
    for root in folders:
        for folder, inner, names in os.walk(root):
            inner.sort()
            for name in sorted(names):
                file = Path(folder) / name
                if name.startswith(_NEW):
                    file.unlink()
                elif file not in seen:
                    seen.add(file)
                    yield file


def _releases(files: Iterable[Path], salts: Sequence[Key]) -> dict[Path, ReleaseFacts]:
    """The releases among the files.

    Raises:
        DataError: One was made with another salt, so that nobody would be found in it.
    """
    found = {}
    for file in files:
        if file.name == FACTS:
            facts = ReleaseFacts.model_validate_json(file.read_bytes())
            if facts.salt not in map(fingerprint, salts):
                raise DataError(
                    f"{file.parent}: the salt of this release is needed to find people in it",
                    "Give its salt, or leave its folder out.",
                )
            found[file.parent] = facts
    return found


def _traces(
    names: set[str],
    files: Sequence[Path],
    salts: Sequence[Key],
    elsewhere: Iterable[Mapping[str, Any]],
) -> Traces:
    """What the person left: first what is theirs, then what refers to it."""
    traces = Traces(names | released_names(names, salts))
    for row in elsewhere:
        traces.learn(row)
    data = [file for file in files if kind_of(file) in ROW_SUFFIXES]
    for is_theirs in (traces.names_person, traces.is_theirs):
        for file in data:
            for row in rows_of(file):
                if is_theirs(row):
                    traces.learn(row)
    traces.ids |= {
        keyed_id(kind, salt, name)
        for salt in salts
        for name in traces.ids
        for kind in ("prompt", "demonstration", "ranking")
    }
    return traces
