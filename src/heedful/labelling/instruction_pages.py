"""Pages of the instructions: the versions of each purpose, reading one, publishing the next.

A version never changes. Publishing one changes no batch: a batch goes by its version until
a researcher switches it on the batch's page.
"""

import difflib
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from heedful.labelling.form_values import Form
from heedful.labelling.guards import ProjectView, Store, not_found, project_access
from heedful.labelling.object_guards import InstructionsView, instructions_access
from heedful.labelling.rendering import page, redirect
from heedful.store.columns import Purpose
from heedful.store.projects import current_instructions, publish_instructions
from heedful.store.tables import AccountRow, BatchRow, InstructionsRow

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]
AtVersion = Annotated[InstructionsView, Depends(instructions_access("researcher"))]

MOST_CHARACTERS = 40_000
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@router.get("/projects/{project_id}/instructions")
def versions(request: Request, here: Here, store: Store) -> Response:
    """Every version, by purpose, the newest first, and which batches go by it."""
    with store.read() as session:
        rows = session.execute(
            select(InstructionsRow, AccountRow.name)
            .outerjoin(AccountRow, AccountRow.id == InstructionsRow.published_by)
            .where(InstructionsRow.project_id == here.project.id)
            .order_by(InstructionsRow.version.desc())
        ).all()
        batches = session.execute(
            select(BatchRow.instructions_id, func.count())
            .where(BatchRow.project_id == here.project.id)
            .group_by(BatchRow.instructions_id)
        ).all()
    return page(
        request,
        "admin/instructions.html",
        viewer=here.viewer,
        project=here.project,
        by_purpose={one: [row for row in rows if row[0].purpose == one] for one in PURPOSES},
        batches={row[0]: row[1] for row in batches},
    )


@router.get("/instructions/{instructions_id}")
def version(request: Request, at: AtVersion, store: Store) -> Response:
    """One version as labellers see it, and what it changed."""
    with store.read() as session:
        before = _before(session, at.instructions)
        by = at.instructions.published_by
        author = session.get(AccountRow, by) if by is not None else None
    return page(
        request,
        "admin/instructions_version.html",
        viewer=at.viewer,
        project=at.project,
        version=at.instructions,
        author=author,
        before=before,
        changes=line_diff(before.text, at.instructions.text) if before is not None else [],
    )


@router.get("/projects/{project_id}/instructions/{purpose}/new")
def next_version(request: Request, here: Here, store: Store, purpose: str) -> Response:
    """The editor, with the present text."""
    known = _purpose(purpose)
    with store.read() as session:
        current = current_instructions(session, here.project.id, known)
    return _editor(request, here, current, current.text)


@router.post("/projects/{project_id}/instructions/{purpose}/new")
def publish(request: Request, here: Here, store: Store, form: Form, purpose: str) -> Response:
    """Show what the text looks like, or publish it."""
    known = _purpose(purpose)
    text = form.text("text", "The text", most=MOST_CHARACTERS, required=True)
    with store.read() as session:
        current = current_instructions(session, here.project.id, known)
    if not form.errors and text == current.text.strip():
        form.errors["text"] = f"This is version {current.version} as it is."
    if form.errors or form.raw("action") != "publish":
        return _editor(request, here, current, text, form.errors, previews=True)
    with store.write() as session:
        row = publish_instructions(
            session,
            project_id=here.project.id,
            purpose=known,
            text=text,
            published_by=here.viewer.id,
        )
        told = f"Version {row.version} is published. Batches go by it once you switch them."
        path = f"/instructions/{row.id}"
    return redirect(request, path, message=told)


def line_diff(before: str, after: str) -> list[tuple[str, str]]:
    """The lines of both texts as (same, add or remove; line), unchanged stretches shortened."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[tuple[str, str]] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(2):
        if lines:
            lines.append(("same", "…"))
        for kind, from_old, to_old, from_new, to_new in group:
            if kind == "equal":
                lines += [("same", line) for line in old[from_old:to_old]]
            else:
                lines += [("remove", line) for line in old[from_old:to_old]]
                lines += [("add", line) for line in new[from_new:to_new]]
    return lines


def _before(session: Session, row: InstructionsRow) -> InstructionsRow | None:
    return session.scalar(
        select(InstructionsRow).where(
            InstructionsRow.project_id == row.project_id,
            InstructionsRow.purpose == row.purpose,
            InstructionsRow.version == row.version - 1,
        )
    )


def _purpose(value: str) -> Purpose:
    for known in PURPOSES:
        if value == known:
            return known
    raise not_found("purpose")


def _editor(
    request: Request,
    here: ProjectView,
    current: InstructionsRow,
    text: str,
    errors: dict[str, str] | None = None,
    *,
    previews: bool = False,
) -> Response:
    return page(
        request,
        "admin/instructions_new.html",
        viewer=here.viewer,
        project=here.project,
        status=422 if errors else 200,
        current=current,
        text=text,
        errors=errors or {},
        previews=previews,
        changes=line_diff(current.text, text) if previews else [],
        most=MOST_CHARACTERS,
    )
