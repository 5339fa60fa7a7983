"""The screening pages show every labeller with their criteria, gate and decisions."""

from fakes.judged_project import judged_project
from heedful.labelling.project_settings import ProjectSettings
from heedful.labelling.screening_view import candidate_view, candidates
from heedful.store.database import Database
from heedful.store.screening_records import decide

SETTINGS = ProjectSettings()


def test_every_labeller_is_listed(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        decide(
            session,
            project_id=judged.id,
            account_id=judged.labeller(1),
            passed=True,
            stage="working",
            criteria={},
            reason="good",
            by=judged.demo.researcher.id,
        )
    with database.read() as session:
        found = {one.member.account_id: one for one in candidates(session, judged.id, SETTINGS)}
    assert set(found) == {one.id for one in judged.demo.labellers}
    decision = found[judged.labeller(1)].decision
    assert decision is not None
    assert decision.reason == "good"
    assert found[judged.labeller(7)].gate.items_done == 6
    assert found[judged.labeller(2)].running is not None
    eight = {one.key: one for one in found[judged.labeller(8)].screening.criteria}
    assert (eight["flags"].count, eight["rankings"].count) == (2, 6)
    assert eight["demonstrations"].value is not None
    assert eight["demonstrations"].value.value == 6.0
    assert eight["self_assessment"].standing == "to read"


def test_one_candidate_has_the_same_numbers_as_in_the_list(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
    with database.read() as session:
        listed = {one.member.account_id: one for one in candidates(session, judged.id, SETTINGS)}
        view = candidate_view(session, judged.id, judged.labeller(8), SETTINGS)
    assert view.candidate.screening == listed[judged.labeller(8)].screening
    assert len(view.demonstrations) == 2
    assert view.assessment is not None
    assert view.assessment.topics == ("Religion and belief",)
    assert view.decisions == ()
