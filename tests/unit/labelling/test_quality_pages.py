"""The agreement page shows what was computed, and makes adjudication batches."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.judged_site import JudgedSite, judged_site
from fakes.sent_work import items_of
from heedful.labelling.kept_results import KeptResults
from heedful.labelling.quality_view import agreement_view
from heedful.store.access import set_name
from heedful.store.labels import exclude, include_again
from heedful.store.tables import AuditRow, BatchRow, ItemRow, SubmissionRow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgedSite]:
    with judged_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def test_the_numbers_stand_on_the_page(site: JudgedSite) -> None:
    with site.database.read() as session:
        view = agreement_view(session, site.judged.id, ties="exact")
    text = site.get("researcher", f"{site.base}/agreement").text
    overall = view.report.overall["exact"]
    assert overall.pairwise is not None
    assert f"{100 * overall.pairwise.value:.1f} %" in text
    assert f"{overall.compared:,}" in text
    assert text.count("fill-opacity") == len(view.map.cells if view.map else ())
    assert "Within Woman" in text


@pytest.mark.parametrize("ties", ["exact", "strict", "half", "nonsense"])
def test_ties_can_be_counted_in_each_way(site: JudgedSite, ties: str) -> None:
    answer = site.get("researcher", f"{site.base}/agreement?ties={ties}&question=age")
    assert answer.status_code == 200


def test_what_is_kept_is_never_old(site: JudgedSite) -> None:
    """The page after each change is the page of a server that has kept nothing."""

    def fresh() -> str:
        site.client.app.state.kept_results = KeptResults()  # type: ignore[attr-defined]
        return page()

    def page() -> str:
        return site.get("researcher", f"{site.base}/agreement?ties=half").text

    before = page()
    with site.database.read() as session:
        batch = site.judged.batches["training"].id
        label = session.scalars(
            select(SubmissionRow.id).where(SubmissionRow.batch_id == batch).limit(1)
        ).one()
    changes: list[Callable[[Session], object]] = [
        lambda session: exclude(session, [label], reason="no", by=None),
        lambda session: include_again(session, [label], reason="yes", by=None),
        lambda session: set_name(
            session, account_id=site.judged.labeller(1), name="Renamed", by=None
        ),
    ]
    seen = [before]
    for change in changes:
        with site.database.write() as session:
            change(session)
        seen.append(page())
        assert seen[-1] != seen[-2]
        assert seen[-1] == page() == fresh()
    assert "Renamed" in seen[-1]
    summary = f"{site.base}/agreement-summary"
    assert site.get("researcher", summary).text == site.get("researcher", summary).text


def test_only_researchers_see_it(site: JudgedSite) -> None:
    assert site.get("labeller1", f"{site.base}/agreement").status_code == 404
    assert site.get("reviewer", f"{site.base}/agreement").status_code == 403


def test_ticked_items_become_an_adjudication(site: JudgedSite) -> None:
    with site.database.read() as session:
        items = [one.id for one in items_of(session, site.judged.batches["training"])[:2]]
    answer = site.post("researcher", f"{site.base}/adjudicate", name="Decide", item=items)
    batch_id = answer.headers["location"].rpartition("/")[2]
    with site.database.read() as session:
        batch = session.get_one(BatchRow, batch_id)
        made = session.scalars(select(ItemRow.adjudicates).where(ItemRow.batch_id == batch_id))
        assert (batch.kind, set(made)) == ("adjudication", set(items))
        lines = select(AuditRow.account_id).where(AuditRow.object_id == batch_id)
        assert site.judged.demo.researcher.id in session.scalars(lines).all()
    again = site.post("researcher", f"{site.base}/adjudicate", name="Again", item=items)
    assert again.headers["location"] == f"{site.base}/agreement"


def test_an_adjudication_needs_a_name_and_items(site: JudgedSite) -> None:
    for form in ({"name": "x"}, {"name": "", "item": "i"}, {"name": "x", "item": "item-nowhere"}):
        answer = site.post("researcher", f"{site.base}/adjudicate", **form)
        assert answer.headers["location"] == f"{site.base}/agreement"
    assert site.post("labeller1", f"{site.base}/adjudicate", name="x").status_code == 404
