"""Changing what a project is called, pays and requires.

Making a project, its instructions and its members are `heedful.store.projects`'; what the
settings mean is `heedful.labelling.project_settings`'.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.store import audit
from heedful.store.tables import ProjectRow


def change_project(
    session: Session,
    *,
    project_id: str,
    by: str,
    name: str,
    pay_rate: float | None,
    currency: str,
    settings: dict[str, Any],
) -> ProjectRow:
    """Replace all of it; the audit log gets what differs, before and after.

    Raises:
        DataError: There is no such project, or the name is empty or another one's.
    """
    project = session.get(ProjectRow, project_id)
    if project is None:
        raise DataError(f"There is no project `{project_id}`.")
    name = name.strip()
    if not name:
        raise DataError("A project needs a name.", "Give it one.")
    taken = select(ProjectRow.id).where(ProjectRow.name == name, ProjectRow.id != project_id)
    if session.scalar(taken) is not None:
        raise DataError(f"There is a project called “{name}” already.", "Choose another name.")
    wanted = {"name": name, "pay_rate": pay_rate, "currency": currency, "settings": settings}
    changed: dict[str, Any] = {}
    for field, value in wanted.items():
        before = getattr(project, field)
        if before != value:
            changed[field] = {"from": before, "to": value}
            setattr(project, field, value)
    if changed:
        audit.record_project(session, project_id, "project.change", by=by, detail=changed)
    session.flush()
    return project
