"""Items with what became of them, and labels side by side, on both databases."""

from fakes.labelling_store import demo_batch, demo_project
from fakes.sent_work import items_of, sent
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.item_labels import Show, count_items, find_items, label_of, labels_of
from heedful.store.tables import SkipRow


def test_items_are_counted_and_filtered(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        one, two = demo.labellers
        batch = demo_batch(session, demo, overlap=2)
        items = items_of(session, batch)
        sent(session, batch, items[0], one.id, ranks=(1, 2, 3))
        sent(session, batch, items[0], two.id, ranks=(1, 2, 2), excluded_at=utc_now())
        session.add(SkipRow(item_id=items[1].id, account_id=one.id, reason="other", at=utc_now()))
        items[2].gold = {"ranks": {}, "flags": {}}
        items[3].sensitive = True
    shows: dict[Show, list[int]] = {
        "all": [0, 1, 2, 3],
        "unfinished": [1, 2, 3],
        "labelled": [0],
        "skipped": [1],
        "gold": [2],
        "sensitive": [3],
    }
    with database.read() as session:
        for show, places in shows.items():
            found = find_items(session, batch.id, show, limit=10)
            assert [row.item.place for row in found] == places
            assert count_items(session, batch.id, show) == len(places)
        first, second = find_items(session, batch.id, "all", limit=2)
        (last,) = find_items(session, batch.id, "all", limit=2, offset=3)
    assert (first.labels, first.other, first.wanted, first.skips) == (1, 1, 2, 0)
    assert (second.labels, second.skips) == (0, 1)
    assert last.item.place == 3
    assert first.prompt is not None


def test_labels_come_with_their_records(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        batch = demo_batch(session, demo, overlap=2)
        (item,) = items_of(session, batch)
        mine = sent(session, batch, item, demo.labellers[0].id, ranks=(2, 1, 2))
        sent(session, batch, item, demo.labellers[1].id)
    with database.read() as session:
        first, second = labels_of(session, item.id)
        alone = label_of(session, mine.id)
    assert first.ranks == dict(zip(item.completion_ids, (2, 1, 2), strict=True))
    assert first.ratings[item.completion_ids[1]].quality == 7
    assert second.ranks == {}
    assert alone.submission.id == mine.id
    assert alone.account.id == demo.labellers[0].id
