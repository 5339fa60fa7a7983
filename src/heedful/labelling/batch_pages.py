"""Pages of batches: the list, and one batch with its progress, its switches and its items.

Making one is `heedful.labelling.new_batch_pages`'; single items and labels are
`heedful.labelling.label_pages`'.
"""

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.labelling.form_values import Form, page_number, query_reader
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.object_guards import BatchView, batch_access
from heedful.labelling.pay import cost_of
from heedful.labelling.rendering import page, redirect
from heedful.store.batches import set_state, use_instructions
from heedful.store.columns import BatchState
from heedful.store.item_labels import Show, count_items, find_items
from heedful.store.overview import BatchNumbers, batch_numbers, daily_labels
from heedful.store.tables import BatchRow, InstructionsRow

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]
AtBatch = Annotated[BatchView, Depends(batch_access("researcher"))]

ITEMS_A_PAGE = 50
CHART_DAYS = 14
_DONE = {
    "open": "The batch is open: labellers are given its items.",
    "paused": "The batch is paused. Work in hand may still be sent.",
    "closed": "The batch is closed. Work in hand may still be sent.",
}


@router.get("/projects/{project_id}/batches")
def batch_list(request: Request, here: Here, store: Store) -> Response:
    """The batches of a project, the newest first."""
    with store.read() as session:
        rows = batch_numbers(session, project_id=here.project.id)
    return page(request, "admin/batches.html", viewer=here.viewer, project=here.project, rows=rows)


@router.get("/batches/{batch_id}")
def batch(
    request: Request, at: AtBatch, store: Store, show: str = "all", page: str = "1"
) -> Response:
    """One batch: how far it is, and its items page by page."""
    query = query_reader(show=show)
    wanted: Show = query.choice("show", "Items", get_args(Show), otherwise="all")
    number = page_number(page)
    with store.read() as session:
        context = _progress(session, at)
        found = count_items(session, at.batch.id, wanted)
        items = find_items(
            session,
            at.batch.id,
            wanted,
            limit=ITEMS_A_PAGE,
            offset=(number - 1) * ITEMS_A_PAGE,
        )
        versions = session.scalars(_versions(at.batch)).all()
        days = daily_labels(
            session, project_id=at.project.id, days=CHART_DAYS, batch_id=at.batch.id
        )
    return _page(
        request,
        "admin/batch.html",
        at,
        **context,
        items=items,
        show=wanted,
        page_number=number,
        num_pages=max(1, -(-found // ITEMS_A_PAGE)),
        found=found,
        versions=versions,
        days=days,
    )


@router.get("/batches/{batch_id}/progress")
def batch_progress(request: Request, at: AtBatch, store: Store) -> Response:
    """The part of the batch's page that renews itself."""
    with store.read() as session:
        context = _progress(session, at)
    return _page(request, "admin/_batch_numbers.html", at, **context)


@router.post("/batches/{batch_id}/state")
def change_state(request: Request, at: AtBatch, store: Store, form: Form) -> Response:
    """Open, pause or close the batch."""
    state: BatchState = form.choice("state", "The state", get_args(BatchState))
    reason = form.text("reason", "The reason", most=500)
    path = f"/batches/{at.batch.id}"
    if form.errors:
        return redirect(request, path, message=" ".join(form.errors.values()), kind="bad")
    with store.write() as session:
        set_state(session, at.batch.id, state, by=at.viewer.id, reason=reason)
    return redirect(request, path, message=_DONE[state])


@router.post("/batches/{batch_id}/instructions")
def change_instructions(request: Request, at: AtBatch, store: Store, form: Form) -> Response:
    """Let the batch go by another version."""
    with store.write() as session:
        use_instructions(session, at.batch.id, form.raw("instructions_id"), at.viewer.id)
    told = "Items opened from now on go by that version; those opened before keep theirs."
    return redirect(request, f"/batches/{at.batch.id}", message=told)


def _progress(session: Session, at: BatchView) -> dict[str, Any]:
    numbers: BatchNumbers
    (numbers,) = batch_numbers(session, project_id=at.project.id, batch_id=at.batch.id)
    instructions = session.get_one(InstructionsRow, at.batch.instructions_id)
    return {
        "numbers": numbers,
        "cost": cost_of(at.project, numbers.work),
        "instructions": instructions,
    }


def _versions(batch: BatchRow) -> Any:
    return (
        select(InstructionsRow)
        .where(
            InstructionsRow.project_id == batch.project_id,
            InstructionsRow.purpose == batch.purpose,
        )
        .order_by(InstructionsRow.version.desc())
    )


def _page(request: Request, template: str, at: BatchView, **context: Any) -> Response:
    return page(request, template, viewer=at.viewer, project=at.project, batch=at.batch, **context)
