"""The pages of one task: doing it, keeping drafts and the lease, sending, skipping, asking.

Reached only by whoever holds or held the item (`own_item`). What an answer means is
`answers`', what the board shows `board_view`'s. Without scripts, forms are plain POSTs and
the board offers skipping and asking.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import Prompt
from heedful.labelling.answers import AnswerError, Task, read_answer
from heedful.labelling.board_view import board_data, task_data
from heedful.labelling.form_values import Form
from heedful.labelling.guards import Store
from heedful.labelling.object_guards import ItemView, own_item
from heedful.labelling.preferences import shortcuts_of
from heedful.labelling.project_settings import settings_of
from heedful.labelling.rendering import page, redirect
from heedful.store.drafts import load_draft, save_draft
from heedful.store.labels import submit
from heedful.store.presentations import present
from heedful.store.questions import ask, list_for_account
from heedful.store.slots import assignment, heartbeat, reopen, skip
from heedful.store.tables import (
    AccountRow,
    InstructionsRow,
    PresentationRow,
    PromptRow,
    SkipRow,
)

router = APIRouter()
OwnItem = Annotated[ItemView, Depends(own_item)]
SKIP_REASONS = {
    "unclear": "The prompt is unclear",
    "cannot_judge": "I cannot judge this (language, subject)",
    "sensitive": "It is upsetting",
    "technical": "Something is broken",
    "other": "Something else",
}
_TEMPLATES = {
    "prompt": "work/write_prompt.html",
    "demonstration": "work/demonstrate.html",
    "ranking": "work/board.html",
    "adjudication": "work/board.html",
}
_FEWEST_PAIRS = 3
_MOST_NOTE = 2000


@dataclass(frozen=True, slots=True)
class Sent:
    """The body of a request: JSON from our scripts, otherwise a form.

    Attributes:
        is_json: Whether the answer should be JSON too.
    """

    fields: Mapping[str, Any]
    is_json: bool


async def sent_body(request: Request) -> Sent:
    """Read the body of a request.

    Raises:
        DataError: It is no JSON object.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        form = await request.form()
        lists = {name: form.getlist(name) for name in form}
        return Sent(
            {
                name: values if name.startswith("pair_") else values[-1]
                for name, values in lists.items()
            },
            is_json=False,
        )
    try:
        body = _storable(json.loads(await request.body(), parse_constant=_refuse))
    except (ValueError, RecursionError) as error:
        raise DataError("The request is not JSON.", "Reload the page.") from error
    if not isinstance(body, dict):
        raise DataError("The request is not a JSON object.", "Reload the page.")
    return Sent(body, is_json=True)


Body = Annotated[Sent, Depends(sent_body)]


@router.get("/work/items/{item_id}")
def show_task(request: Request, view: OwnItem, store: Store, show: str = "") -> Response:
    """The task, behind a warning where it is sensitive; what was sent already is shown as sent."""
    with store.read() as session:
        assigned = assignment(session, view.viewer.id, view.item.id)
        if assigned.submission is not None:
            return redirect(request, f"/work/history/{view.item.id}")
        if session.get(SkipRow, (view.item.id, view.viewer.id)) is not None:
            return redirect(request, "/work", message="You passed that task on.")
    if view.item.sensitive and assigned.shown is None and show != "yes":
        warning = settings_of(view.project).content_warning
        return page(
            request, "work/warning.html", viewer=view.viewer, item=view.item, warning=warning
        )
    return _task_page(request, view, store)


def _task_page(
    request: Request,
    view: ItemView,
    store: Store,
    *,
    values: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    num_pairs: int = _FEWEST_PAIRS,
) -> Response:
    account = view.viewer.account
    with store.write() as session:
        claim = reopen(session, account.id, view.item.id)
        presentation = present(session, account.id, view.item.id)
        draft = load_draft(session, account.id, view.item.id)
        context = _about(session, view, presentation)
        data = task_data(
            item=view.item,
            account_id=account.id,
            presentation=presentation,
            csrf=view.viewer.csrf,
            token=claim.token if claim else None,
            draft=draft.body if draft else None,
            revision=draft.revision if draft else 0,
        )
        if view.batch.kind in ("ranking", "adjudication"):
            data |= board_data(
                session,
                item=view.item,
                batch=view.batch,
                presentation=presentation,
                shortcuts=shortcuts_of(account.preferences),
            )
    if values is None:
        values = (data["body"] or {}).get("fields", {})
    pairs = _pairs_of(values, num_pairs)
    return page(
        request,
        _TEMPLATES[view.batch.kind],
        viewer=view.viewer,
        status=422 if errors else 200,
        task=data,
        is_leased=claim is not None,
        values=values,
        pairs=pairs,
        errors=errors or {},
        skip_reasons=SKIP_REASONS,
        **context,
    )


def _about(session: Session, view: ItemView, presentation: PresentationRow) -> dict[str, Any]:
    """What every kind of task shows beside the work."""
    prompt = None
    if view.item.prompt_id is not None:
        row = session.get_one(PromptRow, view.item.prompt_id)
        prompt = Prompt.model_validate(row.record)
    return {
        "item": view.item,
        "batch": view.batch,
        "project": view.project,
        "prompt": prompt,
        "brief": view.item.brief or {},
        "instructions": session.get_one(InstructionsRow, presentation.instructions_id),
        "questions": list_for_account(session, view.viewer.id, item_id=view.item.id),
    }


def _pairs_of(values: Mapping[str, Any], num_pairs: int) -> list[tuple[str, str]]:
    """The pairs of a few-shot form, at least so many."""
    asked, answered = (values.get(name) or [] for name in ("pair_prompt", "pair_completion"))
    length = max(num_pairs, len(asked), len(answered))
    blank = [""] * length
    return list(zip([*asked, *blank][:length], [*answered, *blank][:length], strict=True))


@router.post("/work/items/{item_id}/draft")
def keep_draft(view: OwnItem, store: Store, sent: Body) -> Response:
    """Keep work in progress; 409 with what is there where another window was faster."""
    body, base = sent.fields.get("body"), sent.fields.get("base_revision")
    if not isinstance(body, dict) or not isinstance(base, int) or isinstance(base, bool):
        raise DataError("A draft has a `body` and a `base_revision`.", "Reload the page.")
    with store.write() as session:
        if assignment(session, view.viewer.id, view.item.id).submission is not None:
            return _gone()
        revision = save_draft(session, view.viewer.id, view.item.id, body, base)
    return JSONResponse({"revision": revision})


@router.post("/work/items/{item_id}/heartbeat")
def beat(view: OwnItem, store: Store, sent: Body) -> Response:
    """Extend the lease; 409 where it is lost."""
    seconds = sent.fields.get("active_seconds", 0.0)
    if not isinstance(seconds, int | float) or not 0 <= seconds < 86_400:
        raise DataError("`active_seconds` is a number of seconds.", "Reload the page.")
    with store.write() as session:
        if assignment(session, view.viewer.id, view.item.id).submission is not None:
            return _gone()
        ends = heartbeat(
            session,
            view.viewer.id,
            view.item.id,
            str(sent.fields.get("token") or ""),
            active_seconds=float(seconds),
        )
    return JSONResponse({"lease_expires_at": ends.isoformat()})


@router.post("/work/items/{item_id}/submit")
def send(request: Request, view: OwnItem, store: Store, sent: Body) -> Response:
    """Take finished work, from a form or a script; the same work twice is taken once."""
    if not sent.is_json and sent.fields.get("more"):
        pairs = sent.fields.get("pair_prompt", [])
        return _task_page(request, view, store, values=sent.fields, num_pairs=len(pairs) + 1)
    answer_sent = sent.fields.get("answer") if sent.is_json else sent.fields
    if not isinstance(answer_sent, dict):
        raise DataError("The request has no `answer`.", "Reload the page.")
    seconds = sent.fields.get("seconds_spent")
    if not isinstance(seconds, int | float) or not 0 <= seconds < 1e6:
        seconds = None
    token = sent.fields.get("token")
    try:
        with store.write() as session:
            presentation = present(session, view.viewer.id, view.item.id)
            task = Task(
                item=view.item,
                batch=view.batch,
                presentation=presentation,
                labeller_id=view.viewer.id,
            )
            outcome = submit(
                session,
                view.viewer.id,
                view.item.id,
                token=token if isinstance(token, str) else None,
                answer=read_answer(task, answer_sent),
                seconds_spent=seconds,
                made_by="person",
            )
    except AnswerError as error:
        if sent.is_json:
            raise
        return _task_page(request, view, store, values=answer_sent, errors=error.fields)
    if sent.is_json:
        return JSONResponse(
            {
                "submission_id": outcome.submission_id,
                "status": outcome.status,
                "repeated": outcome.repeated,
            }
        )
    said = "Sent. Thank you."
    if outcome.status == "surplus":
        said = "Sent. Others had finished this task meanwhile; your work is kept beside theirs."
    return redirect(request, "/work", message=said)


@router.post("/work/items/{item_id}/skip")
def pass_on(request: Request, view: OwnItem, store: Store, form: Form) -> Response:
    """Pass the task on with a reason; on wish, opt out of all sensitive ones."""
    reason = form.choice("reason", "Reason", tuple(SKIP_REASONS))
    note = form.text("note", "Note", most=_MOST_NOTE)
    if form.errors:
        raise DataError(" ".join(form.errors.values()), "Go back and choose a reason.")
    with store.write() as session:
        skip(session, view.viewer.id, view.item.id, reason, note)  # type: ignore[arg-type]
        if form.ticked("avoid"):
            session.get_one(AccountRow, view.viewer.id).avoids_sensitive = True
    said = "Passed on."
    if form.ticked("avoid"):
        said = "Passed on. You get no more sensitive items; your settings have the switch."
    return redirect(request, "/work", message=said)


@router.post("/work/items/{item_id}/question")
def ask_researchers(request: Request, view: OwnItem, store: Store, sent: Body) -> Response:
    """Ask about the task; the work on it stays as it is."""
    text = sent.fields.get("text")
    with store.write() as session:
        ask(session, view.viewer.id, view.item.id, text if isinstance(text, str) else "")
    said = "Your question was sent. The answer will stand under Questions."
    if sent.is_json:
        return JSONResponse({"said": said})
    return redirect(request, f"/work/items/{view.item.id}", message=said)


def _gone() -> Response:
    detail = "You have already sent this task."
    return JSONResponse(
        {"error": "Already sent", "detail": detail, "hint": "Go on with the next one."},
        status_code=410,
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _storable(value: Any) -> Any:
    """JSON without characters that no database stores: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return value
