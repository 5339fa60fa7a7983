"""Labels from elsewhere become finished work of accounts that nobody signs in to."""

from typing import Any

import pytest
from sqlalchemy import func, select

from fakes.labelling_store import DemoProject, demo_project
from heedful.core.errors import DataError
from heedful.core.records import Demonstration, Ranking, Rating
from heedful.store.contents import Added
from heedful.store.database import Database
from heedful.store.exports import Label, LabelFilter, iter_labels
from heedful.store.label_imports import ImportedLabels, add_labels
from heedful.store.quality_queries import judgements, members
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    ItemRow,
    MemberRow,
    PromptRow,
    SlotRow,
    SubmissionRow,
)


@pytest.fixture
def demo(database: Database) -> DemoProject:
    with database.write() as session:
        return demo_project(session)


def ranking(name: str, labeller: str, prompt: int = 1, **fields: Any) -> Ranking:
    ids = tuple(f"completion-{prompt}-{n}" for n in (1, 2, 3))
    fields = {"ranks": (1, 2, 3), "made_by": "person", "completion_ids": ids} | fields
    return Ranking(id=name, prompt_id=f"prompt-{prompt}", labeller_id=labeller, **fields)


def rating(name: str, labeller: str, **fields: Any) -> Rating:
    fields = {"completion_id": "completion-1-1", "quality": 5, "made_by": "person"} | fields
    return Rating(id=name, prompt_id="prompt-1", labeller_id=labeller, **fields)


def add(database: Database, demo: DemoProject, **labels: Any) -> dict[str, Added]:
    with database.write() as session:
        wanted = ImportedLabels(**({"name": "old.jsonl"} | labels))
        return add_labels(session, demo.id, wanted, by=demo.researcher.id)


def labels_of(database: Database, demo: DemoProject) -> list[Label]:
    with database.read() as session:
        return list(iter_labels(session, demo.id, LabelFilter()))


def test_labels_come_back_as_they_were(database: Database, demo: DemoProject) -> None:
    first = ranking("r1", "anna", seconds_spent=12.5, batch_id="batch-of-elsewhere")
    written = Demonstration(
        id="d1", prompt_id="prompt-2", text="x", labeller_id="bob", made_by="simulated"
    )
    counts = add(
        database,
        demo,
        rankings=[first, ranking("r2", "bob")],
        demonstrations=[written],
        ratings=[rating("g1", "anna")],
    )
    assert counts == {
        "demonstrations": Added(1, 0),
        "rankings": Added(2, 0),
        "ratings": Added(1, 0),
    }
    found = {label.ranking.id: label for label in labels_of(database, demo) if label.ranking}
    assert found["r1"].ranking == first
    assert found["r1"].ratings == (rating("g1", "anna"),)
    assert found["r1"].seconds_spent == 12.5
    # Two labels of the same completions are of one item.
    assert found["r1"].item_id == found["r2"].item_id
    demonstrations = [label for label in labels_of(database, demo) if label.demonstrations]
    assert [label.made_by for label in demonstrations] == ["simulated"]


def test_they_lie_in_a_closed_batch_that_says_where_they_come_from(
    database: Database, demo: DemoProject
) -> None:
    add(database, demo, rankings=[ranking("r1", "anna")], purpose="evaluation")
    with database.read() as session:
        batch = session.scalars(select(BatchRow)).one()
        slot = session.scalars(select(SlotRow)).one()
    assert (batch.state, batch.purpose, batch.kind) == ("closed", "evaluation", "ranking")
    assert batch.closed_reason == "imported from old.jsonl"
    assert slot.state == "done"


def test_a_second_import_knows_the_first(database: Database, demo: DemoProject) -> None:
    add(database, demo, rankings=[ranking("r1", "anna")], ratings=[rating("g1", "anna")])
    counts = add(
        database,
        demo,
        rankings=[ranking("r1", "anna"), ranking("r2", "anna", prompt=2)],
        ratings=[rating("g1", "anna")],
    )
    assert (counts["rankings"], counts["ratings"]) == (Added(1, 1), Added(0, 1))
    assert len(labels_of(database, demo)) == 2
    with database.read() as session:
        names = set(session.scalars(select(BatchRow.name)))
    assert names == {"old.jsonl: rankings", "old.jsonl: rankings (2)"}


def test_nobody_of_this_installation_is_taken_for_a_labeller_of_a_file(
    database: Database, demo: DemoProject
) -> None:
    add(database, demo, rankings=[ranking("r1", demo.admin.id)])
    (label,) = labels_of(database, demo)
    assert label.labeller_id != demo.admin.id
    with database.read() as session:
        account = session.get_one(AccountRow, label.labeller_id)
        member = session.get_one(MemberRow, (demo.id, account.id))
    assert (account.role, account.password_hash, member.stage) == ("labeller", None, "paused")
    assert account.name == f"{demo.admin.id} (imported)"


def test_a_labeller_who_ranked_the_same_twice_did_two_items(
    database: Database, demo: DemoProject
) -> None:
    rankings = [ranking("r1", "anna"), ranking("r2", "anna"), ranking("r3", "bob")]
    add(database, demo, rankings=rankings)
    with database.read() as session:
        assert session.scalar(select(func.count(ItemRow.id))) == 2


def test_one_account_can_stand_for_nameless_labellers(
    database: Database, demo: DemoProject
) -> None:
    rankings = [ranking(f"r{n}", f"labeller-{n}", prompt=n) for n in (1, 2)]
    add(database, demo, rankings=rankings, one_labeller="hh.jsonl")
    assert len({label.labeller_id for label in labels_of(database, demo)}) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"rankings": [ranking("r1", "a", prompt=9)]}, "`prompt-9`, which is not in the project"),
        (
            {"rankings": [ranking("r1", "a", completion_ids=("completion-1-1", "x", "y"))]},
            "`x`, which is not in",
        ),
        (
            {
                "rankings": [
                    ranking(
                        "r1",
                        "a",
                        completion_ids=("completion-2-1", "completion-2-2")[:2],
                        ranks=(1, 2),
                    )
                ]
            },
            "`completion-2-1`, which is not in",
        ),
        ({"ratings": [rating("g1", "a")]}, "a did not rank the completion completion-1-1"),
        (
            {"rankings": [ranking("r1", "a"), ranking("r1", "a", ranks=(3, 2, 1))]},
            "`r1` is there already, with other contents",
        ),
    ],
)
def test_a_label_that_does_not_fit_stores_nothing(
    database: Database, demo: DemoProject, labels: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        add(database, demo, **labels)
    with database.read() as session:
        assert session.scalar(select(func.count(SubmissionRow.id))) == 0
        assert session.scalar(select(func.count(PromptRow.id))) == 4


def test_an_id_of_another_project_is_refused(database: Database, demo: DemoProject) -> None:
    add(database, demo, rankings=[ranking("r1", "anna")])
    with database.write() as session:
        other = demo_project(session, name="Other")
        labels = ImportedLabels(name="x", rankings=[ranking("r1", "anna")])
        with pytest.raises(DataError, match="in another project"):
            add_labels(session, other.id, labels, by=None)


def test_imported_labellers_are_compared_with_those_here(
    database: Database, demo: DemoProject
) -> None:
    add(database, demo, rankings=[ranking("r1", "anna"), ranking("r2", "bob")])
    with database.read() as session:
        compared = judgements(session, demo.id)
        known = members(session, demo.id)
    assert {one.ranking.labeller_id for one in compared} <= set(known)
