"""A database that cannot be written to: the page says so plainly, and keeps and sends the work."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fakes.board_site import boards_of
from fakes.databases import small_disk
from fakes.labelling_site import living_site

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Fault = Callable[[], None]


@contextmanager
def locked(folder: Path) -> Iterator[Fault]:
    """Another program holds SQLite's one write lock; the call lets go."""
    path = folder / "labels.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other.rollback


@contextmanager
def full(folder: Path) -> Iterator[Fault]:
    """The disk has no byte left; the call makes room."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 20
        while size >= 512:  # smaller and smaller pieces, until nothing fits
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    yield filler.unlink


@pytest.mark.parametrize(("fault", "said"), [(locked, "locked"), (full, "full")])
def test_work_waits_in_the_browser_until_the_store_can_take_it(
    fault: Any, said: str, tmp_path: Path, browser: Any
) -> None:
    with (
        small_disk(tmp_path / "disk", num_bytes=24_000_000) as folder,
        living_site(folder) as site,
        boards_of(site, browser) as boards,
    ):
        item = boards.new_item(2)
        page = boards.open(item)
        page.locator("#banner").wait_for(state="hidden")
        with fault(folder) as mend:
            for key in (*"6j4ja1b2", "Control+Enter"):
                page.keyboard.press(key)
            page.locator("#banner", has_text=said).wait_for(timeout=60_000)
            assert "kept in this browser" in page.inner_text("#banner")
            assert boards.sent(item) is None
            mend()
            page.wait_for_url(lambda url: item not in url, timeout=60_000)
        found = boards.sent(item)
        assert found is not None
        assert found["ranks"] == {"A": 1, "B": 2}
        assert found["quality"] == {"A": 6, "B": 4}
