"""Agreement with gold counts each labeller's gold items of the purposes asked for, no others."""

from pathlib import Path

from fakes.judged_project import JudgedProject, judged_project
from heedful.labelling.gold import gold_agreement
from heedful.store.database import open_database
from heedful.store.quality_queries import Judgement, judgements


def read(folder: Path) -> tuple[JudgedProject, list[Judgement]]:
    with open_database(f"sqlite:///{folder / 'x.db'}", migrate=True) as database:
        with database.write() as session:
            judged = judged_project(session)
        with database.read() as session:
            return judged, judgements(session, judged.id)


def test_only_gold_items_of_these_purposes_count(tmp_path: Path) -> None:
    judged, found = read(tmp_path)
    practice = gold_agreement(found, {"practice"})
    assert set(practice) == {judged.labeller(7)}
    assert (practice[judged.labeller(7)].num_prompts, practice[judged.labeller(7)].compared) == (
        1,
        6,
    )
    working = gold_agreement(found, {"training", "evaluation"})
    assert {judged.labeller(number) for number in range(1, 7)} <= set(working)
    # Labeller 1 ranked the gold item of both batches.
    assert working[judged.labeller(1)].compared == 12


def test_the_numbers_are_those_of_counting(tmp_path: Path) -> None:
    judged, found = read(tmp_path)
    # Labeller 5 ranks by length: 120, 90, 60, 40 instead of the true order of the outputs.
    five = gold_agreement(found, {"training"})[judged.labeller(5)]
    assert (five.agreed, five.compared) == (4, 6)


def test_without_gold_there_is_nothing(tmp_path: Path) -> None:
    _, found = read(tmp_path)
    assert gold_agreement([one for one in found if one.gold is None], {"training"}) == {}
    assert gold_agreement([], {"training"}) == {}
