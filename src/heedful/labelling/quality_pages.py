"""The agreement page of a project, and adjudication of what labellers disagree about."""

from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from heedful.core.errors import DataError
from heedful.labelling.adjudication import adjudicate
from heedful.labelling.form_values import Form, query_reader
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.kept_results import Kept
from heedful.labelling.paired_rankings import TiePolicy
from heedful.labelling.quality_view import MOST_DISAGREEMENTS, agreement_view
from heedful.labelling.rendering import page, redirect
from heedful.labelling.survey import ABOUT_YOU
from heedful.store.label_versions import label_version
from heedful.store.quality_queries import open_to_adjudication

router = APIRouter()
Researched = Annotated[ProjectView, Depends(project_access("researcher"))]
TIE_POLICIES: tuple[TiePolicy, ...] = get_args(TiePolicy)


@router.get("/projects/{project_id}/agreement")
def agreement_page(
    request: Request,
    seen: Researched,
    store: Store,
    kept: Kept,
    ties: str = "",
    question: str = "",
) -> Response:
    """How far the labellers of a project agree; computed anew only where labels changed."""
    policy = query_reader(ties=ties).choice("ties", "Ties", TIE_POLICIES, otherwise="exact")
    asked = question if question in {one.key for one in ABOUT_YOU} else ""
    where = seen.project.id
    with store.read() as session:
        view = kept.get(
            ("agreement", where, policy, asked),
            label_version(session, where),
            lambda: agreement_view(session, where, ties=policy, question=asked),
        )
    return page(
        request,
        "quality/agreement.html",
        viewer=seen.viewer,
        project=seen.project,
        view=view,
        report=view.report,
        policies=TIE_POLICIES,
    )


@router.post("/projects/{project_id}/adjudicate")
def adjudicate_items(request: Request, seen: Researched, store: Store, form: Form) -> Response:
    """Make a batch of the items that were ticked."""
    back = f"/projects/{seen.project.id}/agreement"
    name = form.text("name", "The name of the batch", required=True)
    with store.read() as session:
        known = open_to_adjudication(session, seen.project.id)
    chosen = form.many("item", "The items", known)
    if not chosen and "item" not in form.errors:
        form.errors["item"] = "Tick the items that somebody should decide."
    elif len(chosen) > MOST_DISAGREEMENTS:
        form.errors["item"] = f"At most {MOST_DISAGREEMENTS} items at a time."
    if form.errors:
        return redirect(request, back, message=" ".join(form.errors.values()), kind="bad")
    try:
        with store.write() as session:
            batch = adjudicate(
                session,
                project_id=seen.project.id,
                name=name,
                item_ids=chosen,
                created_by=seen.viewer.id,
            )
    except DataError as error:
        return redirect(request, back, message=f"{error.what} {error.hint or ''}", kind="bad")
    return redirect(request, f"/batches/{batch.id}", message="The batch is open to reviewers.")
