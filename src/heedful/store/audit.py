"""The audit log: who did what to what, and when. Only ever added to.

Reading it is the admin pages' business. Details say what changed; never a secret, never the
text of a label.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from heedful.store.columns import utc_now
from heedful.store.tables import AuditRow


def record(
    session: Session,
    *,
    account_id: str | None,
    action: str,
    object_kind: str,
    object_id: str,
    project_id: str | None = None,
    detail: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> None:
    """Add one line, in the transaction of what it tells of.

    Args:
        account_id: Who did it; None for a command on the server's machine.
        action: Such as `batch.open`; the kind of object comes first.
    """
    session.add(
        AuditRow(
            at=now or utc_now(),
            account_id=account_id,
            project_id=project_id,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            detail=detail or {},
        )
    )


def record_project(
    session: Session,
    project_id: str,
    action: str,
    *,
    by: str | None,
    detail: dict[str, Any],
    now: datetime | None = None,
) -> None:
    """Add a line about a project as a whole; see `record`."""
    record(
        session,
        account_id=by,
        action=action,
        object_kind="project",
        object_id=project_id,
        project_id=project_id,
        detail=detail,
        now=now,
    )
