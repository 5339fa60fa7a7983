"""The audit log as a page: of a project for its researchers, of everything for admins."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from heedful.labelling.form_values import FormReader, page_number, query_reader
from heedful.labelling.guards import ProjectView, Store, Viewer, needs, project_access
from heedful.labelling.rendering import page as render
from heedful.store.tables import AccountRow, AuditRow, ProjectRow

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]
Admin = Annotated[Viewer, Depends(needs("admin"))]

LINES_A_PAGE = 100
# Where an object has a page of its own.
_PAGES = {
    "batch": "/batches/{}",
    "submission": "/submissions/{}",
    "instructions": "/instructions/{}",
    "project": "/projects/{}",
    "item": "/items/{}",
}


class LogQuery:
    """The filters of the log, from the address."""

    def __init__(
        self, account: str = "", action: str = "", since: str = "", until: str = "", page: str = "1"
    ) -> None:
        self.reader = query_reader(account=account, action=action, since=since, until=until)
        self.page = page_number(page)


Filters = Annotated[LogQuery, Depends()]


@router.get("/projects/{project_id}/audit")
def project_log(request: Request, here: Here, store: Store, filters: Filters) -> Response:
    """What was done in a project."""
    return _log(request, store, here.viewer, filters, here.project)


@router.get("/admin/audit")
def whole_log(request: Request, viewer: Admin, store: Store, filters: Filters) -> Response:
    """What was done on the whole server."""
    return _log(request, store, viewer, filters, None)


def _log(
    request: Request, store: Store, viewer: Viewer, filters: LogQuery, project: ProjectRow | None
) -> Response:
    reader = filters.reader
    base = "/admin/audit" if project is None else f"/projects/{project.id}/audit"
    with store.read() as session:
        scope = [] if project is None else [AuditRow.project_id == project.id]
        actions = sorted(session.scalars(select(AuditRow.action).where(*scope).distinct()))
        acting = select(AuditRow.account_id).where(*scope, AuditRow.account_id.is_not(None))
        listed: ColumnElement[bool] = AccountRow.id.in_(acting.distinct())
        if project is None:  # an account's page leads here, whether it did anything or not
            listed |= AccountRow.id == reader.raw("account")
        people = _names(session, listed)
        conditions = [*scope, *_conditions(reader, actions, people)]
        lines = session.scalars(
            select(AuditRow)
            .where(*conditions)
            .order_by(AuditRow.id.desc())
            .limit(LINES_A_PAGE + 1)
            .offset((filters.page - 1) * LINES_A_PAGE)
        ).all()
        shown = lines[:LINES_A_PAGE]
        objects = _names(session, AccountRow.id.in_([line.object_id for line in shown]))
    asked = {name: value for name, value in reader.values.items() if value}
    return render(
        request,
        "admin/audit.html",
        viewer=viewer,
        project=project,
        status=422 if reader.errors else 200,
        lines=shown,
        actions=actions,
        people=people,
        objects=objects,
        pages={kind: path.format for kind, path in _PAGES.items()},
        values=reader.values,
        errors=reader.errors,
        is_filtered=bool(asked),
        page_number=filters.page,
        num_pages=filters.page + (len(lines) > LINES_A_PAGE),
        action=base,
        base=base + (f"?{urlencode(asked)}" if asked else ""),
    )


def _conditions(reader: FormReader, actions: list[str], people: dict[str, str]) -> list[Any]:
    conditions: list[Any] = []
    if (action := reader.optional("action", "The action", actions)) is not None:
        conditions.append(AuditRow.action == action)
    if (account := reader.optional("account", "Who", people)) is not None:
        conditions.append(AuditRow.account_id == account)
    if (since := _day(reader, "since", "From")) is not None:
        conditions.append(AuditRow.at >= since)
    if (until := _day(reader, "until", "Until")) is not None:
        conditions.append(AuditRow.at < until + timedelta(days=1))
    return conditions


def _day(reader: FormReader, name: str, label: str) -> datetime | None:
    """The beginning of a day (UTC)."""
    value = reader.raw(name)
    if not value:
        return None
    try:
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day.year < 9999 else None
    except ValueError:
        reader.errors[name] = f"{label} is a day such as 2026-11-22."
        return None


def _names(session: Session, which: Any) -> dict[str, str]:
    rows = session.execute(
        select(AccountRow.id, AccountRow.name).where(which).order_by(AccountRow.name)
    )
    return {row[0]: row[1] for row in rows}
