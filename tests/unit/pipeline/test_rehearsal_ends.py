"""The ends of a rehearsal: questions, the survey, late work, work in hand."""

from datetime import timedelta

from sqlalchemy import select

from fakes.played_rehearsal import Played
from heedful.store.tables import (
    BatchRow,
    DraftRow,
    QuestionRow,
    SlotRow,
    SubmissionRow,
    SurveyDoneRow,
    SurveyRow,
)


def test_some_questions_are_answered_some_not(played: Played) -> None:
    with played.database.read() as session:
        questions = session.scalars(select(QuestionRow)).all()
        assert len(questions) == 5
        answered = [one for one in questions if one.answer is not None]
        assert len(answered) == 3
        assert all(one.answered_at > one.asked_at for one in answered if one.answered_at)
        assert any(one.seen_at for one in answered)


def test_most_answer_the_survey_some_of_them_without_a_name(played: Played) -> None:
    with played.database.read() as session:
        answers = session.scalars(select(SurveyRow)).all()
        assert len(answers) == 5
        assert {one.respondent is None for one in answers} == {True, False}
        assert len(session.scalars(select(SurveyDoneRow)).all()) == 6


def test_late_work_is_surplus_and_work_in_hand_is_left(played: Played) -> None:
    with played.database.read() as session:
        late = session.scalars(select(SubmissionRow).where(SubmissionRow.status == "surplus")).one()
        assert late.slot_id is None
        ends = session.scalars(
            select(SlotRow.lease_expires_at).where(SlotRow.state == "leased")
        ).all()
        assert any(end > played.now for end in ends if end is not None)
        assert any(end < played.now for end in ends if end is not None)
        draft = session.scalars(select(DraftRow)).one()
        assert played.now - timedelta(minutes=10) < draft.saved_at < played.now
        drafts = session.scalars(select(BatchRow.name).where(BatchRow.state == "draft")).all()
        assert list(drafts) == ["Next week"]
