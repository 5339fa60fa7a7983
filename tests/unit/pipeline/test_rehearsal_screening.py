"""The screening of a rehearsal: graded, assessed, decided with reasons; one candidate fails."""

from sqlalchemy import select

from fakes.played_rehearsal import Played
from heedful.store.tables import (
    BatchRow,
    DemonstrationRow,
    GradeRow,
    ItemRow,
    ScreeningDecisionRow,
    SelfAssessmentRow,
    SubmissionRow,
)


def test_one_candidate_fails_and_every_decision_has_a_reason(played: Played) -> None:
    with played.database.read() as session:
        decisions = session.scalars(select(ScreeningDecisionRow)).all()
        assert sorted(one.passed for one in decisions) == [False, True, True, True, True]
        assert all(one.reason for one in decisions)
        (failed,) = [one for one in decisions if not one.passed]
        assert failed.criteria["demonstrations"]["standing"] == "below"
        assert len(session.scalars(select(SelfAssessmentRow)).all()) == 5


def test_each_demonstration_of_the_screening_is_graded(played: Played) -> None:
    with played.database.read() as session:
        written = session.scalars(
            select(DemonstrationRow.id)
            .join(SubmissionRow, SubmissionRow.id == DemonstrationRow.submission_id)
            .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
            .where(BatchRow.purpose == "screening")
        ).all()
        assert sorted(session.scalars(select(GradeRow.demonstration_id))) == sorted(written)
        assert len(written) == 15


def test_gold_items_stand_among_others(played: Played) -> None:
    with played.database.read() as session:
        gold = session.scalars(
            select(ItemRow.gold)
            .join(BatchRow, BatchRow.id == ItemRow.batch_id)
            .where(BatchRow.purpose == "screening", BatchRow.kind == "ranking")
        ).all()
        assert sorted(one is not None for one in gold) == [False] * 2 + [True] * 6
