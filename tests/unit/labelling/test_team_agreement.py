"""Whose labels count in a team's agreement, and whose do not."""

from pathlib import Path

import pytest

from fakes.judged_project import JudgedProject, judged_project
from heedful.labelling.team_agreement import (
    group_agreement,
    labels_compared,
    team_agreement,
    team_report,
)
from heedful.store.database import open_database
from heedful.store.quality_queries import Judgement, Member, judgements, members

Read = tuple[JudgedProject, list[Judgement], dict[str, Member]]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    path = Path(tmp_path_factory.mktemp("judged")) / "x.db"
    with open_database(f"sqlite:///{path}", migrate=True) as database:
        with database.write() as session:
            judged = judged_project(session)
        with database.read() as session:
            return judged, judgements(session, judged.id), members(session, judged.id)


def test_screening_practice_and_adjudication_do_not_count(read: Read) -> None:
    _, found, _ = read
    assert {one.purpose for one in labels_compared(found)} == {"training", "evaluation"}


def test_researchers_and_gold_are_what_labellers_are_measured_against(read: Read) -> None:
    judged, found, people = read
    report = team_report(found, people)
    assert report.num_rankings == 5 * 6 + 3 * 6
    assert judged.demo.researcher.id not in report.labellers
    # Three prompts by the researcher, the first of them by gold, too, in both batches.
    one = report.by_researchers[judged.labeller(3)]
    assert (one.num_prompts, one.num_ranking_pairs) == (3, 5)


def test_the_one_number_is_that_of_the_report(read: Read) -> None:
    _, found, people = read
    assert team_agreement(found, people, ties="half") == team_report(found, people).overall["half"]


def test_held_out_labellers_are_told_apart(read: Read) -> None:
    judged, found, people = read
    report = team_report(found, people)
    assert report.held_out.num_ranking_pairs == 0
    assert report.between.num_ranking_pairs == 7 * 6  # five training, two evaluation rankings
    assert report.labellers[judged.labeller(6)].num_ranking_pairs == 7 * 6


def test_groups_are_compared_within_and_with_each_other(read: Read) -> None:
    judged, found, _ = read
    groups = {"a": [judged.labeller(1), judged.labeller(2)], "b": [judged.labeller(3)]}
    measured = group_agreement(found, groups, ties="strict")
    assert list(measured) == [("a", "a"), ("a", "b"), ("b", "b")]
    assert measured["b", "b"].pairwise is None
    assert measured["a", "b"].num_ranking_pairs == 4 * 6
