"""Batches in the JSON API: listing, making, opening and closing them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.labelling.api_models import BatchOut, NewBatch, NewState, Page, ProgressOut
from heedful.labelling.api_paging import PageQuery, page_of
from heedful.labelling.guards import ProjectView, Store, not_found, token_project
from heedful.store.batches import ItemSpec, create_batch, progress, set_state
from heedful.store.columns import BatchState, Purpose
from heedful.store.tables import BatchRow

router = APIRouter(tags=["batches"])
Reader = Annotated[ProjectView, Depends(token_project("projects:read"))]
Writer = Annotated[ProjectView, Depends(token_project("batches:write"))]


@router.get("/projects/{project_id}/batches")
def batches(
    here: Reader,
    store: Store,
    paging: Annotated[PageQuery, Depends()],
    purpose: Purpose | None = None,
    state: BatchState | None = None,
) -> Page[BatchOut]:
    """The batches of a project, oldest first, without their progress."""
    query = select(BatchRow).where(BatchRow.project_id == here.project.id)
    if purpose is not None:
        query = query.where(BatchRow.purpose == purpose)
    if state is not None:
        query = query.where(BatchRow.state == state)
    with store.read() as session:
        return page_of(session, query, (BatchRow.created_at, BatchRow.id), paging, _batch)


@router.post("/projects/{project_id}/batches", status_code=201)
def new_batch(here: Writer, store: Store, body: NewBatch) -> BatchOut:
    """Make a batch with its items; which of them are wrong is said."""
    items = [ItemSpec(**item.model_dump()) for item in body.items]
    settings = {name: getattr(body, name) for name in type(body).model_fields if name != "items"}
    with store.write() as session:
        made = create_batch(
            session,
            project_id=here.project.id,
            items=items,
            created_by=here.viewer.id,
            **settings,
        )
        return _with_progress(session, made)


@router.get("/projects/{project_id}/batches/{batch_id}")
def batch(here: Reader, store: Store, batch_id: str) -> BatchOut:
    """One batch with its progress."""
    with store.read() as session:
        return _with_progress(session, _found(session, here, batch_id))


@router.post("/projects/{project_id}/batches/{batch_id}/state")
def new_state(here: Writer, store: Store, batch_id: str, body: NewState) -> BatchOut:
    """Open, pause or close a batch."""
    with store.write() as session:
        found = _found(session, here, batch_id)
        set_state(session, found.id, body.state, by=here.viewer.id, reason=body.reason)
        return _with_progress(session, found)


def _found(session: Session, here: ProjectView, batch_id: str) -> BatchRow:
    """The batch, where it is of this project."""
    row = session.get(BatchRow, batch_id)
    if row is None or row.project_id != here.project.id:
        raise not_found("batch")
    return row


def _batch(row: BatchRow, counts: ProgressOut | None = None) -> BatchOut:
    return BatchOut(
        id=row.id,
        name=row.name,
        kind=row.kind,
        purpose=row.purpose,
        state=row.state,
        overlap=row.overlap,
        priority=row.priority,
        lease_seconds=row.lease_seconds,
        baseline=row.baseline,
        instructions_id=row.instructions_id,
        closed_reason=row.closed_reason,
        created_at=row.created_at,
        progress=counts,
    )


def _with_progress(session: Session, row: BatchRow) -> BatchOut:
    counts = progress(session, row.id)
    return _batch(row, ProgressOut.model_validate(counts, from_attributes=True))
