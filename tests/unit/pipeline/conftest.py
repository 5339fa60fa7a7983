"""One rehearsal for all tests that look at one: it takes some seconds."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fakes.played_rehearsal import Played
from heedful.pipeline.rehearsal import rehearse
from heedful.store.database import open_database


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A small rehearsal in SQLite; read only."""
    folder = tmp_path_factory.mktemp("rehearsal")
    now = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
    told: list[str] = []
    with open_database(f"sqlite:///{folder / 'heedful.db'}", migrate=True) as database:
        rehearsal = rehearse(database, size=6, now=now, on_progress=told.append)
        yield Played(database, rehearsal, now, told)
