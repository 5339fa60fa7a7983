"""The agreement page's numbers are those of the store, name by name."""

from fakes.judged_project import judged_project
from fakes.labelling_store import demo_project
from heedful.labelling.quality_view import agreement_view
from heedful.store.database import Database


def test_everything_is_gathered(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
    with database.read() as session:
        view = agreement_view(session, judged.id, ties="half", question="age")
    assert view.report.ties == "half"
    assert view.simulated == 0
    lines = {one.member.account_id: one for one in view.labellers}
    assert set(lines) == {one.id for one in judged.demo.labellers}
    five, four = lines[judged.labeller(5)], lines[judged.labeller(4)]
    assert five.biases is not None
    assert five.biases.longer is not None
    assert five.biases.longer.value == 1.0
    assert four.speed is not None
    assert len(four.speed.too_fast) == 1
    assert lines[judged.labeller(8)].with_others is None  # screening does not count
    assert lines[judged.labeller(1)].with_researchers is not None
    assert lines[judged.labeller(1)].with_gold is not None
    assert view.map is not None
    assert len(view.map.rows) == 6
    assert view.question == "gender"  # nobody gave an age
    assert {(one.name, one.other) for one in view.groups} == {
        ("Man", "Man"),
        ("Man", "Woman"),
        ("Woman", "Woman"),
    }
    assert view.disagreements
    assert all(one.agreement < 1 for one in view.disagreements)


def test_an_empty_project_has_nothing_to_show(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
    with database.read() as session:
        view = agreement_view(session, demo.id, ties="exact")
    assert (view.report.num_rankings, view.labellers, view.map, view.groups) == (0, (), None, ())
    assert view.disagreements == ()
