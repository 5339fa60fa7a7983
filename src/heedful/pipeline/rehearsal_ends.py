"""The ends of a rehearsal: questions, the survey, late work, and work still in hand."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.annotators.team_answers import Worker
from heedful.annotators.team_work import begin, consider, finish
from heedful.labelling.survey import QUESTIONS
from heedful.pipeline.rehearsal_cast import Cast
from heedful.store.drafts import save_draft
from heedful.store.questions import answer, ask, mark_seen
from heedful.store.survey_records import decline_survey, save_survey
from heedful.store.tables import BatchRow, SubmissionRow

_QUESTIONS = (
    ("Should a correct but very short answer be preferred to a complete one?",
     "Yes, where nothing that was asked for is missing."),
    ("The prompt asks for two things that exclude each other. Which one counts?",
     "The last one. If you cannot tell, pass the item on."),
    ("May I look facts up?", "Please do, for everything that you would not bet on."),
    ("Two outputs differ in one comma only. Is that a tie?", None),
    ("Is a refusal better than a careful answer here?", None),
)  # fmt: skip


def ask_questions(cast: Cast) -> None:
    """Labellers ask about items they had; some are answered, and one answer has been read."""
    with cast.database.write() as session:
        asked = session.scalars(
            select(SubmissionRow)
            .join(BatchRow, BatchRow.id == SubmissionRow.batch_id)
            .where(SubmissionRow.project_id == cast.project_id, BatchRow.purpose == "training")
            .order_by(SubmissionRow.submitted_at)
        ).all()
        chosen = asked[3 :: max(1, len(asked) // 6)]
        for (text, reply), row in zip(_QUESTIONS, chosen, strict=False):
            moment = row.submitted_at - timedelta(seconds=row.seconds_spent / 2)
            question = ask(session, row.account_id, row.item_id, text, now=moment)
            if reply is not None:
                later = moment + timedelta(hours=cast.chance.uniform(1, 20))
                by = cast.researcher.account_id
                answer(session, question.id, text=reply, by=by, now=later)
        if chosen:
            mark_seen(session, chosen[0].account_id, now=cast.at(9))


def answer_survey(cast: Cast) -> None:
    """Most labellers answer the survey, half of them openly; one declines."""
    everybody = [*cast.labellers, *cast.held_out]
    with cast.database.write() as session:
        project_id = cast.project_id
        for number, worker in enumerate(everybody):
            if number == 1:
                decline_survey(session, project_id=project_id, account_id=worker.account_id)
                continue
            save_survey(
                session,
                project_id=project_id,
                account_id=worker.account_id,
                answers=_survey_answers(cast.chance),
                linked=number % 3 != 0,
                now=cast.at(11),
            )


def leave_loose_ends(cast: Cast, now: datetime) -> None:
    """Work that came too late, work in hand with a draft, a lease that ran out, a draft batch."""
    with cast.database.write() as session:
        specs = [
            cast.ranking_item(session, prompt, cast.some_kinds(4), now=cast.at(11))
            for prompt in cast.take(6)
        ]
        late = cast.batch(
            session, "Late work", "ranking", "training", specs[:3], cast.at(11), priority=5
        )
        drafted = [spec for spec in specs[3:] if spec.prompt_id is not None]
        cast.batch(session, "Next week", "ranking", "training", drafted, cast.at(12), state="draft")
        slow, quick = cast.labellers[:2]
        _hand_in_too_late(session, cast, slow, quick, late)
        patient = [replace(one, skip_rate=0.0) for one in cast.labellers[:4]]
        began = [now - timedelta(minutes=minutes) for minutes in (9, 4, 75)]
        for worker, moment in zip(patient, began, strict=False):
            task = begin(session, worker, project_id=cast.project_id, now=moment)
            if task is None:
                continue
            answered = consider(session, worker, task, cast.material)
            if answered.answer is not None and moment == began[0]:
                item_id, saved = task.claim.item_id, moment + timedelta(minutes=3)
                body = dict(answered.answer.raw)
                save_draft(session, worker.account_id, item_id, body, 0, now=saved)


def _hand_in_too_late(
    session: Session, cast: Cast, slow: Worker, quick: Worker, batch: BatchRow
) -> None:
    """One item is opened, left, done by somebody else, and handed in after all."""
    moment = cast.at(12, 2)
    slow, quick = replace(slow, skip_rate=0.0), replace(quick, skip_rate=0.0)
    first = begin(session, slow, batch_id=batch.id, now=moment)
    lapsed = moment + timedelta(seconds=batch.lease_seconds + 60)
    second = begin(session, quick, batch_id=batch.id, now=lapsed)
    for worker, task, minutes in ((quick, second, 4), (slow, first, 9)):
        if task is not None:
            answered = consider(session, worker, task, cast.material)
            finish(session, worker, task, answered, now=lapsed + timedelta(minutes=minutes))


def _survey_answers(chance: random.Random) -> dict[str, Any]:
    """Drawn at random: nobody answered."""
    answers: dict[str, Any] = {}
    for question in QUESTIONS:
        stored = [option for option, _ in question.options]
        if question.kind == "many":
            answers[question.key] = [chance.choice(stored)]
        elif question.kind == "one":
            answers[question.key] = chance.choice(stored)
    return answers
