"""One withdrawal from files and from the labelling database together.

Each finds what is its own; what the database holds of the person is told to the search of
the files, since an export in a folder may quote it without naming anybody.
"""

from collections.abc import Sequence
from pathlib import Path

from heedful.data.pseudonyms import NO_KEY, Key
from heedful.data.withdraw import withdraw
from heedful.labelling.withdrawal import records_in, withdraw_from
from heedful.store.database import Database


def withdraw_everywhere(
    user: str,
    folders: Sequence[Path],
    database: Database,
    *,
    register: Path,
    key: Key = NO_KEY,
    salts: Sequence[Key] = (),
) -> list[str]:
    """Remove a person from folders and a database; return what was done, a line a finding.

    The files come first: once the database has forgotten a text, nobody finds it in a file.
    A call that was interrupted is made again.

    Raises:
        DataError: As `heedful.data.withdraw.withdraw`; the database is then as it was.
        StoreUnavailableError: The database is away or locked; it is as it was, the files
            are done.
    """
    records = records_in(database, user, key=key, salts=salts)
    report = withdraw(user, folders, register=register, key=key, salts=salts, elsewhere=records)
    removed = withdraw_from(database, user, key=key, salts=salts)
    if database.path is not None:
        # Looked through as a file, too, while it still held them.
        own = {database.path.with_name(database.path.name + end) for end in ("", "-wal", "-shm")}
        report.unchanged = [file for file in report.unchanged if file.absolute() not in own]
    lines = report.lines() if folders else [f"{register}: their withdrawal is registered."]
    return [*lines, *removed.lines()]
