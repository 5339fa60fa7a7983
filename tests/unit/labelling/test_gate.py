"""The gate asks for enough practice, and for agreement where practice has gold."""

from pathlib import Path

import pytest

from fakes.judged_project import JudgedProject, judged_project
from heedful.labelling.gate import gates, running_agreement
from heedful.labelling.project_settings import ProjectSettings
from heedful.store.database import open_database
from heedful.store.quality_queries import Judgement, judgements


@pytest.fixture
def practised(tmp_path: Path) -> tuple[JudgedProject, list[Judgement]]:
    with open_database(f"sqlite:///{tmp_path / 'x.db'}", migrate=True) as database:
        with database.write() as session:
            judged = judged_project(session)
        with database.read() as session:
            return judged, judgements(session, judged.id)


def test_both_must_be_met(practised: tuple[JudgedProject, list[Judgement]]) -> None:
    judged, found = practised
    seven = judged.labeller(7)

    def gate(**values: float) -> bool:
        settings = ProjectSettings.model_validate(values)
        return gates([seven], found, settings)[seven].is_met

    assert gate(practice_min_items=6, practice_agreement_cutoff=0.0)
    assert not gate(practice_min_items=7, practice_agreement_cutoff=0.0)
    assert not gate(practice_min_items=6, practice_agreement_cutoff=1.0)


def test_without_gold_the_count_decides(
    practised: tuple[JudgedProject, list[Judgement]],
) -> None:
    judged, found = practised
    plain = [one for one in found if one.gold is None]
    settings = ProjectSettings(practice_min_items=5, practice_agreement_cutoff=1.0)
    seven = gates([judged.labeller(7)], plain, settings)[judged.labeller(7)]
    assert (seven.items_done, seven.gold, seven.is_met) == (5, None, True)
    nobody = gates(["nobody"], found, settings)["nobody"]
    assert (nobody.items_done, nobody.is_met) == (0, False)


def test_the_running_agreement_is_that_of_work(
    practised: tuple[JudgedProject, list[Judgement]],
) -> None:
    judged, found = practised
    running = running_agreement(found)
    assert judged.labeller(7) not in running
    assert running[judged.labeller(2)].compared == 12
