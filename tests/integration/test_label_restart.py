"""The labelling server as a process: killed, and started again."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fakes.labelling_life import live
from fakes.labelling_site import SiteProcess
from heedful.store.database import open_database

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SiteProcess]:
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    with closing(open_database(url, migrate=True)) as database, database.write() as session:
        live(session)
    with SiteProcess(url, tmp_path) as running:
        yield running


def test_what_was_acknowledged_survives_a_kill_and_nobody_is_signed_out(site: SiteProcess) -> None:
    with closing(site.client("bo")) as bo:
        task = bo.get("/work").text.partition('href="/work/items/')[2].partition('"')[0]
        text = "The neighbour has your parcel."
        sent = site.post(bo, f"/work/items/{task}/submit", text=text)
        assert sent.status_code == 303, sent.text
        site.kill()
        site.start()
        assert text in bo.get(f"/work/history/{task}").text
        again = site.post(bo, f"/work/items/{task}/submit", text=text)
        assert again.status_code < 500
        assert bo.get("/work/history").text.count(f"/work/history/{task}") == 1
    site.stop()
