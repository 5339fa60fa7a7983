"""A rehearsal that was played in a database, for tests to look at."""

from dataclasses import dataclass
from datetime import datetime

from heedful.pipeline.rehearsal import Rehearsal
from heedful.store.database import Database


@dataclass(frozen=True)
class Played:
    """A database in which a rehearsal was played; `told` is what was said meanwhile."""

    database: Database
    rehearsal: Rehearsal
    now: datetime
    told: list[str]
