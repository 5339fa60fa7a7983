"""The page that downloads labels. What goes into a file is `heedful.labelling.exports`'.

A file is written whole before the download begins, in a folder that goes when it ends, so
that an error is a page and never half a file. Each download is a line in the audit log.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask

from heedful.core.records import MadeBy
from heedful.data.pseudonyms import SALT_VARIABLE, Key, read_key
from heedful.labelling.exports import (
    LABEL_KINDS,
    ExportOptions,
    Kind,
    LineForm,
    export_lines,
    safe_name,
    write_lines,
    write_zip,
)
from heedful.labelling.form_values import Form, FormReader
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.rendering import page
from heedful.store import audit
from heedful.store.columns import Purpose, utc_now
from heedful.store.exports import Adjudicated, LabelFilter, count_left_out
from heedful.store.overview import BatchNumbers, batch_numbers

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]

FileForm = Literal["records", "parquet", "stream", "preference", "preference-text"]
_FIRST = {"form": "records", "adjudicated": "replace"}


@router.get("/projects/{project_id}/export")
def export_form(request: Request, here: Here, store: Store) -> Response:
    """What can be exported, and in which form."""
    return _page(request, here, store, None)


@router.post("/projects/{project_id}/export")
def download(request: Request, here: Here, store: Store, form: Form) -> Response:
    """The file that was asked for."""
    with store.read() as session:
        batches = batch_numbers(session, project_id=here.project.id)
    chosen: FileForm = form.choice("form", "The form", get_args(FileForm))
    options = _options(form, [one.batch.id for one in batches])
    if form.errors:
        return _page(request, here, store, form)
    folder = Path(tempfile.mkdtemp(prefix="heedful-export-"))
    try:
        day = utc_now().strftime("%Y-%m-%d")
        stem = safe_name(here.project.name, chosen, day)
        suffix = ".zip" if chosen in ("records", "parquet") else ".jsonl"
        path = folder / f"{stem}{suffix}"
        with store.read() as session:
            counts = _write(session, here.project.id, path, chosen, options)
        with store.write() as session:
            audit.record_project(
                session,
                here.project.id,
                "project.export",
                by=here.viewer.id,
                detail={"form": chosen} | counts,
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        filename=path.name,
        media_type="application/zip" if suffix == ".zip" else "application/x-ndjson",
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _write(
    session: Session, project_id: str, path: Path, chosen: FileForm, options: ExportOptions
) -> dict[str, int]:
    """Write the file; return how many records of each kind are in it."""
    if chosen in ("records", "parquet"):
        file_format: Literal["jsonl", "parquet"] = "jsonl" if chosen == "records" else "parquet"
        done = write_zip(session, project_id, path, options, file_format=file_format)
        return dict(done.counts)
    counts: Counter[str] = Counter()
    form: LineForm = next(one for one in get_args(LineForm) if one == chosen)
    write_lines(path, export_lines(session, project_id, options, form, counts))
    return dict(counts)


def _options(form: FormReader, batch_ids: list[str]) -> ExportOptions:
    kinds = form.many("kinds", "The labels", get_args(Kind))
    purposes = form.many("purposes", "The purposes", get_args(Purpose))
    if not kinds:
        form.errors["kinds"] = "Choose at least one kind of label."
    if not purposes:
        form.errors["purposes"] = "Choose at least one purpose."
    return ExportOptions(
        wanted=_wanted(form, purposes, batch_ids),
        kinds=kinds,
        key=_key() if form.ticked("pseudonyms") else None,
    )


def _wanted(form: FormReader, purposes: tuple[Purpose, ...], batch_ids: list[str]) -> LabelFilter:
    adjudicated: Adjudicated = form.choice(
        "adjudicated", "Adjudications", get_args(Adjudicated), otherwise="replace"
    )
    return LabelFilter(
        batches=form.many("batches", "The batches", batch_ids) or None,
        purposes=purposes,
        made_by=form.many("made_by", "Made by", get_args(MadeBy)) or None,
        surplus=form.ticked("surplus"),
        excluded=form.ticked("excluded"),
        adjudicated=adjudicated,
    )


def _key() -> Key | None:
    return read_key(SALT_VARIABLE)


def _page(request: Request, here: ProjectView, store: Store, form: FormReader | None) -> Response:
    with store.read() as session:
        batches: list[BatchNumbers] = batch_numbers(session, project_id=here.project.id)
        left_out = count_left_out(session, here.project.id, LabelFilter(purposes=("training",)))
    ticked = {
        "kinds": form.many("kinds", "", get_args(Kind)) if form is not None else LABEL_KINDS,
        "purposes": form.many("purposes", "", get_args(Purpose)) if form else ("training",),
        "batches": form.many("batches", "", [one.batch.id for one in batches]) if form else (),
        "made_by": form.many("made_by", "", get_args(MadeBy)) if form is not None else (),
    }
    return page(
        request,
        "admin/export.html",
        viewer=here.viewer,
        project=here.project,
        status=422 if form is not None else 200,
        batches=[one for one in batches if one.work.sent],
        left_out=left_out,
        values=form.values if form is not None else _FIRST,
        errors=form.errors if form is not None else {},
        ticked=ticked,
        has_key=_key() is not None,
    )
