"""What every test shares: where the real data lies, and markers that skip with a reason."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Tensor shapes in signatures are checked under test. This stands before any import of ours.
CHECKED_ROOMS = ("losses", "models", "generation", "training")
# (is_pep484_tower: an int is welcome where a float is asked for, as to mypy. Self is not
# checked: functions are decorated one by one, and know no class.)
install_import_hook(
    [f"heedful.{room}" for room in CHECKED_ROOMS],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True, hint_overrides="
    "beartype.FrozenDict({beartype.typing.Self: beartype.typing.Any})))",
)
# No deadline, since the machine may be busy; the same examples every time.
settings.register_profile("heedful", deadline=None, derandomize=True)
settings.load_profile("heedful")

# After the hook, though nothing here needs it.
from fakes.databases import KINDS, Server, fresh_url, start_server  # noqa: E402
from heedful.store.database import Database, open_database  # noqa: E402

ROOT = Path(__file__).parent.parent
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, saying what it lacks."""
    for item in items:
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
        if item.get_closest_marker("browser") and not any(map(shutil.which, CHROMIUM_NAMES)):
            item.add_marker(pytest.mark.skip(reason="no Chromium on PATH"))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("HEEDFUL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; HEEDFUL_DATA names the folder")
    return folder


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Callable[[], Server]]:
    """Gives this run's PostgreSQL server, started when first asked for."""
    started: list[Server] = []

    def server() -> Server:
        if not started:
            started.append(start_server())
        return started[0]

    yield server
    for running in started:
        running.close()


@pytest.fixture(params=KINDS)
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: Callable[[], Server]
) -> Iterator[str]:
    """The URL of a fresh database with the tables: SQLite, then PostgreSQL."""
    with fresh_url(request.param, tmp_path, postgresql_server) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database with the tables: SQLite, then PostgreSQL."""
    with open_database(database_url) as opened:
        yield opened
