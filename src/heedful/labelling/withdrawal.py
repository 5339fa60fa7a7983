"""A person who withdraws their consent leaves the labelling database.

What is theirs is found and removed by `heedful.store.withdrawals`, in files by
`heedful.data.withdraw`; here notes, reasons and instructions lose what quotes it, in the way
that files do. Backups, and what labellers' browsers keep, are reached by neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from heedful.data.pseudonyms import NO_KEY, Key
from heedful.data.traces import WITHDRAWN, Traces
from heedful.data.withdraw import names_of, released_names
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.withdrawals import (
    clean_free_texts,
    find_theirs,
    is_imported,
    register_withdrawal,
    remove_theirs,
    scrub,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseWithdrawal:
    """What a withdrawal did to a database.

    Attributes:
        removed: Prompts, completions and labels, of all projects together.
        cleaned: Notes, reasons and the like that quoted them.
        accounts: Logins of accounts of theirs, which stay.
        scrubbed: The files were rewritten; otherwise deleted rows may still be in them.
    """

    database: str
    removed: dict[str, int] = field(default_factory=dict)
    cleaned: int = 0
    accounts: tuple[str, ...] = ()
    scrubbed: bool = True

    def lines(self) -> list[str]:
        """The report, a line a finding; it never names the person."""
        counts = [f"{kind} {count:,}" for kind, count in self.removed.items() if count]
        if self.cleaned:
            counts.append(f"quotes in notes {self.cleaned:,}")
        told = f"removed: {', '.join(counts)}" if counts else "nothing of theirs was found"
        lines = [f"{self.database}: {told}; their withdrawal is registered there."]
        lines += [
            f"{self.database}: the account `{login}` is theirs and stays; suspend it."
            for login in self.accounts
        ]
        if not self.scrubbed:
            lines.append(
                f"{self.database}: STILL HOLDS deleted text in its files, since others use it; "
                "stop the server and call this again."
            )
        lines.append(f"{self.database}: backups made before now are not reached; delete them.")
        return lines


def records_in(
    database: Database, user: str, *, key: Key = NO_KEY, salts: Sequence[Key] = ()
) -> list[dict[str, Any]]:
    """What the database holds of a person, so that files that quote it are found, too."""
    with database.read() as session:
        return find_theirs(session, _names(user, key, salts)).records()


def withdraw_from(
    database: Database, user: str, *, key: Key = NO_KEY, salts: Sequence[Key] = ()
) -> DatabaseWithdrawal:
    """Remove a person from a labelling database, and register that they withdrew.

    Args:
        database: May be at work meanwhile.
        user: As the source names them, or the pseudonym that records have; the id of an
            account for what a labeller made here.
        key: The key that the data was read with.
        salts: Of releases that were imported.
    """
    names, now = _names(user, key, salts), utc_now()
    with database.write() as session:
        theirs = find_theirs(session, names, lock=True)
        traces = Traces(set(names))
        for record in theirs.records():
            traces.learn(record)
        accounts = tuple(sorted(one.login for one in theirs.accounts if not is_imported(one)))
        by_project = remove_theirs(session, theirs, now=now)
        cleaned = clean_free_texts(session, lambda value: _without(value, traces))
        register_withdrawal(session, names, now=now)
    removed: dict[str, int] = {}
    for counts in by_project.values():
        removed = {kind: removed.get(kind, 0) + count for kind, count in counts.items()}
    return DatabaseWithdrawal(
        database=database.name,
        removed=removed,
        cleaned=cleaned,
        accounts=accounts,
        scrubbed=scrub(database),
    )


def _names(user: str, key: Key, salts: Sequence[Key]) -> set[str]:
    names = names_of(user, key)
    return names | released_names(names, salts)


def _without(value: Any, traces: Traces) -> Any:
    """A note, or the details of a line of the audit log, without quotes of the person."""
    if isinstance(value, dict):
        return {name: _without(item, traces) for name, item in value.items()}
    if isinstance(value, list):
        return [_without(item, traces) for item in value]
    if not isinstance(value, str) or not value.strip():
        return value
    if not any(map(str.isspace, value)):
        # An id or a word; most of the audit log is.
        return WITHDRAWN if value in traces.ids | traces.names else value
    lines = traces.without(value).splitlines(keepends=True)
    return "".join(WITHDRAWN if traces.shown_in(line) else line for line in lines) or WITHDRAWN
