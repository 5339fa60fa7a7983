"""Which labels go out, and why the others do not."""

import pytest

from fakes.labelled_project import LabelledProject, labelled_project
from fakes.labelling_store import demo_project
from heedful.store.database import Database
from heedful.store.exports import Label, LabelFilter, count_left_out, iter_labels
from heedful.store.tables import PromptRow


@pytest.fixture
def project(database: Database) -> LabelledProject:
    with database.write() as session:
        return labelled_project(session)


def exported(database: Database, project: LabelledProject, wanted: LabelFilter) -> list[str]:
    with database.read() as session:
        found = iter_labels(session, project.demo.id, wanted)
        return project.names([label.submission_id for label in found])


COUNTING = ["second by one", "second by two", "adjudication", "evaluation", "demonstration"]


def test_what_counts_comes_in_the_order_in_which_it_was_sent(
    database: Database, project: LabelledProject
) -> None:
    assert exported(database, project, LabelFilter()) == COUNTING


@pytest.mark.parametrize(
    ("wanted", "added"),
    [
        (LabelFilter(surplus=True), {"surplus"}),
        (LabelFilter(excluded=True), {"excluded"}),
        (LabelFilter(adjudicated="keep"), {"first by one", "first by two"}),
    ],
)
def test_the_rest_can_be_asked_for(
    database: Database, project: LabelledProject, wanted: LabelFilter, added: set[str]
) -> None:
    assert set(exported(database, project, wanted)) == {*COUNTING, *added}


def test_without_adjudications_the_disputed_labels_stay(
    database: Database, project: LabelledProject
) -> None:
    found = exported(database, project, LabelFilter(adjudicated="leave_out"))
    assert {"first by one", "first by two"} <= set(found)
    assert "adjudication" not in found


def test_labels_are_chosen_by_purpose_maker_and_batch(
    database: Database, project: LabelledProject
) -> None:
    def found(**wanted: object) -> list[str]:
        return exported(database, project, LabelFilter(**wanted))  # type: ignore[arg-type]

    assert found(purposes=("evaluation",)) == ["evaluation"]
    assert found(made_by=("simulated",)) == ["evaluation"]
    assert found(batches=(project.batches["Writing"],)) == ["demonstration"]
    assert found(batches=()) == []
    # The dispute over an item of the batch comes with the batch.
    assert found(batches=(project.batches["Training"],)) == COUNTING[:3]


def test_labels_are_chosen_by_the_split_of_their_prompts(
    database: Database, project: LabelledProject
) -> None:
    with database.write() as session:
        row = session.get_one(PromptRow, "prompt-2")
        row.record = {**row.record, "split": "train"}
    wanted = LabelFilter(split="train")
    assert exported(database, project, wanted) == ["second by one", "second by two"]
    with database.read() as session:
        assert count_left_out(session, project.demo.id, wanted)["of another split"] == 6


def test_what_is_left_out_is_counted_once(database: Database, project: LabelledProject) -> None:
    wanted = LabelFilter(purposes=("training",))
    with database.read() as session:
        assert count_left_out(session, project.demo.id, wanted) == {
            "for another purpose": 1,
            "excluded": 1,
            "surplus": 1,
            "replaced by an adjudication": 2,
        }
        everything = LabelFilter(surplus=True, excluded=True, adjudicated="keep")
        assert count_left_out(session, project.demo.id, everything) == {}


def test_a_label_says_where_it_comes_from(database: Database, project: LabelledProject) -> None:
    with database.read() as session:
        wanted = LabelFilter(excluded=True, batches=(project.batches["Training"],))
        label = list(iter_labels(session, project.demo.id, wanted))[-2]
    assert (label.batch, label.purpose, label.kind) == ("Training", "training", "ranking")
    assert label.excluded_reason == "too fast"
    assert label.ranking is not None
    assert len(label.ratings) == 3
    assert label.labeller_id == project.demo.labellers[1].id


def test_pages_join_without_a_gap(
    database: Database, project: LabelledProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.read() as session:
        whole = list(iter_labels(session, project.demo.id, LabelFilter()))
        parts: list[Label] = []
        while part := list(
            iter_labels(
                session,
                project.demo.id,
                LabelFilter(),
                after=parts[-1].cursor if parts else None,
                limit=2,
            )
        ):
            assert len(part) <= 2
            parts += part
        assert parts == whole
        monkeypatch.setattr("heedful.store.exports.PAGE", 2)
        assert list(iter_labels(session, project.demo.id, LabelFilter())) == whole


def test_labels_of_another_project_stay_there(database: Database, project: LabelledProject) -> None:
    with database.write() as session:
        other = demo_project(session, name="Other")
    with database.read() as session:
        assert list(iter_labels(session, other.id, LabelFilter())) == []
