"""Grades, self-assessments and decisions are kept with who, when and why."""

import pytest
from sqlalchemy import select

from fakes.judged_project import judged_project
from heedful.core.errors import DataError, NotAllowedError
from heedful.store.database import Database
from heedful.store.screening_records import (
    decide,
    decisions,
    given_grade,
    grade_demonstration,
    reviewed_projects,
    save_self_assessment,
    self_assessments,
    to_grade,
)
from heedful.store.tables import AuditRow, GradeRow, MemberRow


def test_reviewers_get_what_they_have_not_graded_the_least_graded_first(
    database: Database,
) -> None:
    with database.write() as session:
        judged = judged_project(session)
        reviewer, admin = judged.demo.reviewer.id, judged.demo.admin.id
        left = to_grade(session, reviewer, [judged.id])
        assert (left.waiting, left.graded, left.next_id) == (1, 1, judged.written[1])
        fresh = to_grade(session, admin, [judged.id])
        assert (fresh.waiting, fresh.next_id) == (2, judged.written[1])
        over = to_grade(session, admin, [judged.id], passed_over=judged.written[1])
        assert over.next_id == judged.written[0]
        assert to_grade(session, judged.labeller(8), [judged.id]).next_id is None
        assert to_grade(session, admin, []).waiting == 0


def test_a_grade_can_be_corrected(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        who = {"demonstration_id": judged.written[1], "reviewer_id": judged.demo.reviewer.id}
        grade_demonstration(session, grade=3, note=" too short ", **who)
        grade_demonstration(session, grade=4, note="better than I thought", **who)
        rows = session.scalars(
            select(GradeRow).where(GradeRow.demonstration_id == judged.written[1])
        ).all()
        assert [(row.grade, row.note) for row in rows] == [(4, "better than I thought")]
        given = given_grade(session, who["demonstration_id"], who["reviewer_id"])
        assert given == {"grade": 4, "note": "better than I thought"}
        assert given_grade(session, judged.written[1], judged.demo.admin.id) == {}
        lines = session.scalars(
            select(AuditRow.detail).where(
                AuditRow.action == "demonstration.grade", AuditRow.object_id == judged.written[1]
            )
        ).all()
    assert sorted(line["grade"] for line in lines) == [3, 4]


@pytest.mark.parametrize(("grade", "note"), [(0, ""), (8, ""), (5, "x" * 2001)])
def test_what_is_no_grade_is_refused(database: Database, grade: int, note: str) -> None:
    with database.write() as session:
        judged = judged_project(session)
        with pytest.raises(DataError):
            grade_demonstration(
                session,
                demonstration_id=judged.written[1],
                reviewer_id=judged.demo.reviewer.id,
                grade=grade,
                note=note,
            )


def test_nobody_grades_their_own(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        with pytest.raises(NotAllowedError):
            grade_demonstration(
                session,
                demonstration_id=judged.written[0],
                reviewer_id=judged.labeller(8),
                grade=7,
            )
        with pytest.raises(DataError, match="no demonstration"):
            grade_demonstration(session, demonstration_id="x", reviewer_id="y", grade=7)


def test_reviewed_projects_are_ones_own(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        mine = reviewed_projects(session, judged.demo.reviewer.id, every=False)
        assert [one.id for one in mine] == [judged.id]
        assert reviewed_projects(session, judged.demo.admin.id, every=False) == []
        assert len(reviewed_projects(session, judged.demo.admin.id, every=True)) == 1


def test_a_later_self_assessment_replaces_the_earlier(database: Database) -> None:
    with database.write() as session:
        judged = judged_project(session)
        who = {"project_id": judged.id, "account_id": judged.labeller(8)}
        save_self_assessment(session, answers={"topics": []}, **who)
    with database.read() as session:
        assert self_assessments(session, judged.id)[judged.labeller(8)].answers == {"topics": []}


def test_a_decision_keeps_its_numbers_and_moves_the_candidate(database: Database) -> None:
    seen = {"rankings": {"value": 0.8, "cutoff": 0.75}}
    with database.write() as session:
        judged = judged_project(session)
        who = {"project_id": judged.id, "account_id": judged.labeller(8)}
        by = judged.demo.researcher.id
        with pytest.raises(DataError, match="reason"):
            decide(session, passed=True, stage="practice", criteria={}, reason=" ", by=by, **who)
        decide(session, passed=False, stage="excluded", criteria={}, reason="no", by=by, **who)
        decide(session, passed=True, stage="practice", criteria=seen, reason="yes", by=by, **who)
    with database.read() as session:
        latest, first = decisions(session, judged.id)
        member = session.get_one(MemberRow, (judged.id, judged.labeller(8)))
    assert (latest.criteria, latest.reason, latest.decided_by) == (seen, "yes", by)
    assert first.passed is False
    assert member.stage == "practice"
