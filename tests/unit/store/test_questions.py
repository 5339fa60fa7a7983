"""Questions and answers between a labeller and the researchers."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from fakes.labelling_store import DemoProject, demo_batch, demo_project
from heedful.core.errors import DataError, NotAllowedError
from heedful.store.database import Database
from heedful.store.questions import answer, ask, list_for_account, list_for_project, mark_seen
from heedful.store.slots import claim_next
from heedful.store.tables import AuditRow

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ONE, TWO = "account-labeller1", "account-labeller2"


@pytest.fixture
def place(database: Database) -> tuple[DemoProject, str]:
    """A project, and an item that the first labeller has."""
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo)
        claim = claim_next(session, ONE)
        assert claim is not None
        return demo, claim.item_id


def test_a_question_is_asked_answered_and_seen(
    database: Database, place: tuple[DemoProject, str]
) -> None:
    demo, item_id = place
    with database.write() as session:
        first = ask(session, ONE, item_id, "  Which tone?\n", now=NOW)
        second = ask(session, ONE, item_id, "And how long?", now=NOW + timedelta(hours=1))
        assert (first.text, first.project_id) == ("Which tone?", demo.id)
        answer(session, second.id, text="Two lines.", by=demo.researcher.id, now=NOW)
        assert [one.id for one in list_for_project(session, demo.id)] == [first.id, second.id]
        unanswered = list_for_project(session, demo.id, open_only=True)
        assert [one.id for one in unanswered] == [first.id]
        mine = list_for_account(session, ONE)
        assert [one.id for one in mine] == [second.id, first.id]
        assert list_for_account(session, ONE, item_id="item-other") == []
        assert list_for_account(session, TWO) == []
        mark_seen(session, ONE, now=NOW)
        assert [one.seen_at for one in list_for_account(session, ONE)] == [NOW, None]


def test_a_corrected_answer_is_new_to_the_labeller(
    database: Database, place: tuple[DemoProject, str]
) -> None:
    demo, item_id = place
    with database.write() as session:
        question = ask(session, ONE, item_id, "Which tone?")
        answer(session, question.id, text="Calm.", by=demo.researcher.id)
        mark_seen(session, ONE)
        answer(session, question.id, text="Cheerful.", by=demo.admin.id)
        assert question.answer == "Cheerful."
        assert question.seen_at is None
        actions = session.scalars(
            select(AuditRow.action).where(AuditRow.object_id == question.id).order_by(AuditRow.id)
        )
        assert list(actions) == ["question.answer", "question.correct"]


def test_what_cannot_be_asked_or_answered(
    database: Database, place: tuple[DemoProject, str]
) -> None:
    demo, item_id = place
    with database.write() as session:
        with pytest.raises(DataError, match="empty"):
            ask(session, ONE, item_id, " \n")
        with pytest.raises(DataError, match="5001 characters"):
            ask(session, ONE, item_id, "x" * 5001)
        with pytest.raises(NotAllowedError):
            ask(session, TWO, item_id, "What is this?")
        with pytest.raises(DataError, match="no question"):
            answer(session, "question-nowhere", text="Yes.", by=demo.admin.id)
