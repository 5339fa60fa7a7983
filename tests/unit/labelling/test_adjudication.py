"""The items that labels disagree about most are found, and handed to somebody else."""

from pathlib import Path

import pytest
from sqlalchemy import select

from fakes.judged_project import judged_project
from fakes.labelling_store import demo_batch, demo_project
from fakes.sent_work import items_of, sent
from heedful.core.errors import DataError
from heedful.labelling.adjudication import adjudicate, disagreements
from heedful.store.database import Database
from heedful.store.quality_queries import judgements
from heedful.store.tables import ItemRow


def test_the_least_agreed_upon_come_first(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        batch = demo_batch(session, demo, overlap=2)
        given = [(1, 2, 3), (3, 2, 1), (1, 3, 2)]  # against (1, 2, 3): all, none, two of three
        items = items_of(session, batch)
        for item, ranks in zip(items, given, strict=False):
            sent(session, batch, item, demo.labellers[0].id, ranks=(1, 2, 3))
            sent(session, batch, item, demo.labellers[1].id, ranks=ranks)
        sent(session, batch, items[3], demo.labellers[0].id, ranks=(1, 2, 3))  # one label alone
        found = disagreements(judgements(session, demo.id))
    assert [one.item_id for one in found] == [items[1].id, items[2].id, items[0].id]
    assert [one.agreement for one in found] == [0.0, pytest.approx(2 / 3), 1.0]
    assert {(one.num_labels, one.compared, one.purpose) for one in found} == {(2, 3, "training")}


def test_an_adjudication_batch_asks_for_the_same_outputs(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        items = items_of(session, judged.batches["training"])[:2]
        made = {
            "project_id": judged.id,
            "name": "To decide",
            "created_by": judged.demo.researcher.id,
        }
        batch = adjudicate(session, item_ids=[one.id for one in items], **made)
        rows = session.scalars(select(ItemRow).where(ItemRow.batch_id == batch.id)).all()
        assert (batch.kind, batch.purpose, batch.state) == ("adjudication", "training", "open")
        assert {row.adjudicates: row.completion_ids for row in rows} == {
            one.id: one.completion_ids for one in items
        }
        assert all(row.gold is None for row in rows)
        with pytest.raises(DataError, match="cannot be adjudicated"):
            adjudicate(session, item_ids=[items[0].id], **made | {"name": "Again"})


def test_a_batch_is_for_one_purpose(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        both = [items_of(session, judged.batches[p])[0].id for p in ("training", "evaluation")]
        with pytest.raises(DataError, match="evaluation and training"):
            adjudicate(session, project_id=judged.id, name="x", item_ids=both, created_by="nobody")


def test_no_labels_no_disagreements(tmp_path: Path) -> None:
    assert disagreements([]) == []
