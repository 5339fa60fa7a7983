"""Pages of one item with all its labels side by side, and of one submission.

For researchers, who may know who labelled and which checkpoint wrote what. Whether a label
counts is decided here with a reason; nothing is deleted here.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.labelling.form_values import Form
from heedful.labelling.guards import Store
from heedful.labelling.object_guards import (
    ItemView,
    SubmissionView,
    item_access,
    submission_access,
)
from heedful.labelling.rating_flags import marked
from heedful.labelling.rendering import page, redirect
from heedful.store.contents import completions_by_id, prompts_by_id
from heedful.store.item_labels import SentLabel, label_of, labels_of
from heedful.store.labels import exclude, include_again
from heedful.store.tables import (
    AccountRow,
    InstructionsRow,
    ItemRow,
    PresentationRow,
    QuestionRow,
    SkipRow,
)

router = APIRouter()
AtItem = Annotated[ItemView, Depends(item_access("researcher"))]
AtLabel = Annotated[SubmissionView, Depends(submission_access("researcher"))]


@router.get("/items/{item_id}")
def item(request: Request, at: AtItem, store: Store) -> Response:
    """An item, its completions, and what everybody said of them."""
    with store.read() as session:
        context = _contents(session, at.item)
        labels = labels_of(session, at.item.id)
        skips = session.execute(
            select(SkipRow, AccountRow)
            .join(AccountRow, AccountRow.id == SkipRow.account_id)
            .where(SkipRow.item_id == at.item.id)
            .order_by(SkipRow.at)
        ).all()
        questions = session.scalars(
            select(QuestionRow)
            .where(QuestionRow.item_id == at.item.id)
            .order_by(QuestionRow.asked_at)
        ).all()
        adjudications = session.scalars(
            select(ItemRow).where(ItemRow.adjudicates == at.item.id)
        ).all()
    return page(
        request,
        "admin/item.html",
        viewer=at.viewer,
        project=at.project,
        batch=at.batch,
        item=at.item,
        labels=labels,
        marks=_marks(labels),
        skips=skips,
        questions=questions,
        adjudications=adjudications,
        **context,
    )


@router.get("/submissions/{submission_id}")
def submission(request: Request, at: AtLabel, store: Store) -> Response:
    """One submission: who, when, under which instructions, what, and whether it counts."""
    with store.read() as session:
        context = _contents(session, at.item)
        label = label_of(session, at.submission.id)
        shown = session.get(PresentationRow, (at.item.id, at.submission.account_id))
        instructions = session.get_one(InstructionsRow, at.submission.instructions_id)
        by = at.submission.excluded_by
        excluded_by = session.get(AccountRow, by) if by is not None else None
    return page(
        request,
        "admin/submission.html",
        viewer=at.viewer,
        project=at.project,
        batch=at.batch,
        item=at.item,
        label=label,
        shown=shown,
        instructions=instructions,
        excluded_by=excluded_by,
        marks=_marks([label]),
        sent_json=json.dumps(at.submission.answer, indent=2, ensure_ascii=False),
        **context,
    )


@router.post("/submissions/{submission_id}/exclude")
def exclude_label(request: Request, at: AtLabel, store: Store, form: Form) -> Response:
    """Let the label not count, with the reason."""
    return _judge(request, at, store, form, counts=False)


@router.post("/submissions/{submission_id}/include")
def include_label(request: Request, at: AtLabel, store: Store, form: Form) -> Response:
    """Let the label count again, with the reason."""
    return _judge(request, at, store, form, counts=True)


def _judge(
    request: Request, at: SubmissionView, store: Store, form: Form, *, counts: bool
) -> Response:
    path = f"/submissions/{at.submission.id}"
    reason = form.text("reason", "The reason", most=500, required=True)
    if form.errors:
        return redirect(request, path, message=form.errors["reason"], kind="bad")
    label, by = [at.submission.id], at.viewer.id
    with store.write() as session:
        if counts:
            include_again(session, label, reason=reason, by=by)
            told = "The label counts again."
        else:
            again = form.ticked("ask_again")
            done = exclude(session, label, reason=reason, by=by, ask_again=again)
            told = "The label no longer counts."
            if done.asked_again:
                told += " Somebody else is asked for a new one"
                told += "." if at.batch.state == "open" else ", once the batch is open."
    return redirect(request, path, message=told)


def _marks(labels: Sequence[SentLabel]) -> dict[str, dict[str, list[str]]]:
    """Completion id to what was marked of it, and by whom."""
    found: dict[str, dict[str, list[str]]] = {}
    for label in labels:
        for completion_id, rating in label.ratings.items():
            for words in marked(rating):
                found.setdefault(completion_id, {}).setdefault(words, []).append(label.account.name)
    return found


def _contents(session: Session, item: ItemRow) -> dict[str, Any]:
    prompts = prompts_by_id(session, [item.prompt_id] if item.prompt_id else [])
    completions = completions_by_id(session, item.completion_ids)
    return {
        "prompt": prompts.get(item.prompt_id or ""),
        "completions": [completions[one] for one in item.completion_ids],
    }
