"""The form for a new batch: what labellers do, with which prompts, how often.

It can be looked at before it is made: the same form shows how many items it would have.
"""

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import UseCase
from heedful.labelling.batch_selection import (
    MAX_COMPLETIONS,
    MIN_COMPLETIONS,
    MOST_ITEMS,
    BriefKind,
    Chosen,
    SelectedKind,
    Selection,
    choose_items,
)
from heedful.labelling.form_values import Form, FormReader, told
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.prompt_filters import read_filter
from heedful.labelling.rendering import page, redirect
from heedful.store.batches import create_batch
from heedful.store.columns import Purpose
from heedful.store.contents import prompts_by_id
from heedful.store.prompt_search import KnownValues, Order, known_values

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]

NUM_SHOWN = 5
MOST_OVERLAP = 20
_FIRST = {
    "kind": "ranking",
    "purpose": "training",
    "most": "100",
    "overlap": "1",
    "num_completions": "4",
    "priority": "0",
    "lease_minutes": "30",
    "order": "random",
    "unused": "training",
}


@router.get("/projects/{project_id}/batches/new")
def new_batch(request: Request, here: Here, store: Store) -> Response:
    """The empty form."""
    with store.read() as session:
        known = known_values(session, here.project.id)
    return _form(request, here, known, _FIRST, {})


@router.post("/projects/{project_id}/batches/new")
def make_batch(request: Request, here: Here, store: Store, form: Form) -> Response:
    """Show what the batch would be, or make it."""
    with store.read() as session:
        known = known_values(session, here.project.id)
    settings = _settings(form)
    selection = _selection(form, known)
    if form.errors:
        return _form(request, here, known, form.values, form.errors, form=form)
    try:
        if form.raw("action") == "preview":
            with store.read() as session:
                chosen = choose_items(session, here.project.id, selection)
                samples = _samples(session, chosen)
            return _form(
                request, here, known, form.values, {}, form=form, chosen=chosen, samples=samples
            )
        with store.write() as session:
            chosen = choose_items(session, here.project.id, selection)
            batch = create_batch(
                session,
                project_id=here.project.id,
                items=chosen.items,
                kind=selection.kind,
                baseline=selection.baseline,
                created_by=here.viewer.id,
                state="open" if form.raw("action") == "open" else "draft",
                **settings,
            )
            batch_id, name = batch.id, batch.name
    except DataError as error:
        return _form(request, here, known, form.values, {"name": told(error)}, form=form)
    message = f"{name} has {len(chosen.items):,} items."
    return redirect(request, f"/batches/{batch_id}", message=message)


def _settings(form: FormReader) -> dict[str, Any]:
    minutes = form.number("lease_minutes", "The lease", low=1, high=24 * 60, otherwise=30)
    return {
        "name": form.text("name", "The name", most=100, required=True),
        "purpose": form.choice("purpose", "The purpose", get_args(Purpose)),
        "overlap": form.number("overlap", "Labels of each item", low=1, high=MOST_OVERLAP),
        "priority": form.number("priority", "The priority", low=-100, high=100, otherwise=0),
        "lease_seconds": 60 * minutes,
    }


def _selection(form: FormReader, known: KnownValues) -> Selection:
    kind: SelectedKind = form.choice("kind", "The task", get_args(SelectedKind))
    names = [name for name, _ in known.checkpoints]
    briefs: tuple[tuple[BriefKind, int], ...] = tuple(
        (one, form.number(f"num_{one}", "How many", low=0, high=MOST_ITEMS, otherwise=0))
        for one in get_args(BriefKind)
    )
    wanted = read_filter(form, known)
    order: Order = form.choice("order", "The order", get_args(Order), otherwise="random")
    return Selection(
        kind=kind,
        wanted=wanted,
        order=order,
        most=form.number("most", "Items at most", low=1, high=MOST_ITEMS, otherwise=100),
        num_completions=form.number(
            "num_completions",
            "Completions of each prompt",
            low=MIN_COMPLETIONS,
            high=MAX_COMPLETIONS,
            otherwise=4,
        ),
        checkpoints=form.many("checkpoints", "The checkpoints", names),
        baseline=form.optional("baseline", "The baseline", names) if kind == "ranking" else None,
        gold=form.ticked("gold"),
        briefs=briefs,
        use_case=form.optional("brief_use_case", "The use case", get_args(UseCase)),
        application=form.text("application", "The application", most=1_000) or None,
    )


def _samples(session: Session, chosen: Chosen) -> list[str]:
    """The beginnings of the first few prompts."""
    ids = [item.prompt_id for item in chosen.items[:NUM_SHOWN] if item.prompt_id]
    prompts = prompts_by_id(session, ids)
    return [prompts[one].instruction for one in ids]


def _form(
    request: Request,
    here: ProjectView,
    known: KnownValues,
    values: dict[str, str],
    errors: dict[str, str],
    *,
    form: FormReader | None = None,
    chosen: Chosen | None = None,
    samples: list[str] | None = None,
) -> Response:
    names = [name for name, _ in known.checkpoints]
    ticked = form.many("checkpoints", "The checkpoints", names) if form is not None else ()
    return page(
        request,
        "admin/batch_new.html",
        viewer=here.viewer,
        project=here.project,
        status=422 if errors else 200,
        values=values,
        errors=errors,
        known=known,
        ticked=ticked,
        chosen=chosen,
        samples=samples or [],
    )
