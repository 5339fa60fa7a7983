"""Changing a project, and the line about it in the audit log."""

import pytest
from sqlalchemy import select

from fakes.labelling_store import demo_project
from heedful.core.errors import DataError
from heedful.store.database import Database
from heedful.store.project_changes import change_project
from heedful.store.tables import AuditRow, ProjectRow


def test_what_differs_is_changed_and_told(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        for _ in range(2):
            change_project(
                session,
                project_id=demo.id,
                by=demo.admin.id,
                name=" Renamed ",
                pay_rate=18.0,
                currency="GBP",
                settings={"pace_days": 14},
            )
    with database.read() as session:
        project = session.get_one(ProjectRow, demo.id)
        told = session.scalars(select(AuditRow).where(AuditRow.action == "project.change")).all()
    assert (project.name, project.currency) == ("Renamed", "GBP")
    assert project.settings == {"pace_days": 14}
    assert [line.detail for line in told] == [
        {
            "name": {"from": "Demo", "to": "Renamed"},
            "currency": {"from": "EUR", "to": "GBP"},
            "settings": {"from": {}, "to": {"pace_days": 14}},
        }
    ]


@pytest.mark.parametrize(("name", "message"), [(" ", "needs a name"), ("Other", "already")])
def test_a_name_is_needed_and_one_s_own(database: Database, name: str, message: str) -> None:
    with database.write() as session:
        demo = demo_project(session)
        demo_project(session, name="Other")
    with pytest.raises(DataError, match=message), database.write() as session:
        change_project(
            session,
            project_id=demo.id,
            by=demo.admin.id,
            name=name,
            pay_rate=None,
            currency="EUR",
            settings={},
        )


def test_a_project_that_is_not_there(database: Database) -> None:
    with pytest.raises(DataError, match="no project"), database.write() as session:
        change_project(
            session,
            project_id="nowhere",
            by="nobody",
            name="x",
            pay_rate=None,
            currency="EUR",
            settings={},
        )
