"""The survey does not tell who answered what, unless they agreed."""

import pytest
from sqlalchemy import select, text

from fakes.labelling_store import DemoProject, demo_project
from heedful.core.errors import DataError
from heedful.store.database import Database
from heedful.store.survey_records import (
    decline_survey,
    is_survey_done,
    save_survey,
    survey_answers,
)
from heedful.store.tables import SurveyDoneRow, SurveyRow


def answered(database: Database) -> DemoProject:
    with database.write() as session:
        demo = demo_project(session, num_labellers=5)
    for number in (3, 1, 4, 2):
        with database.write() as session:
            save_survey(
                session,
                project_id=demo.id,
                account_id=demo.labellers[number].id,
                answers={"age": str(number)},
                linked=number == 4,
            )
    return demo


def test_only_who_agreed_is_named(database: Database) -> None:
    demo = answered(database)
    with database.read() as session:
        found = survey_answers(session, demo.id)
        assert is_survey_done(session, demo.id, demo.labellers[3].id)
        assert not is_survey_done(session, demo.id, demo.labellers[0].id)
    named = [one for one in found if one.respondent]
    assert [(one.respondent, one.answers["age"]) for one in named] == [(demo.labellers[4].id, "4")]
    assert sorted(one.answers["age"] for one in found) == ["1", "2", "3", "4"]


def test_neither_time_nor_order_tells_who_it_was(database: Database) -> None:
    demo = answered(database)
    with database.read() as session:
        days = session.scalars(select(SurveyRow.day)).all()
        assert {(day.hour, day.minute, day.second, day.microsecond) for day in days} == {(0,) * 4}
        stored = select(SurveyDoneRow.account_id)
        if database.is_sqlite:
            stored = stored.order_by(text("rowid"))
        order = session.scalars(stored).all()
    assert order == sorted(one.id for one in demo.labellers[1:])


def test_each_person_is_asked_once(database: Database) -> None:
    demo = answered(database)
    with database.write() as session:
        who = {"project_id": demo.id, "account_id": demo.labellers[1].id}
        with pytest.raises(DataError, match="before"):
            save_survey(session, answers={}, linked=False, **who)
        decline_survey(session, project_id=demo.id, account_id=demo.labellers[0].id)
        assert is_survey_done(session, demo.id, demo.labellers[0].id)
        assert len(survey_answers(session, demo.id)) == 4
