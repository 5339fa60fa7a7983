"""Pages of prompts: the list with its filters, one prompt, and bringing files in.

A file is read before anything is stored, and stored whole or not at all; reading is
`heedful.labelling.imports`'.
"""

import shutil
import tempfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select
from starlette.datastructures import UploadFile

from heedful.core.errors import DataError
from heedful.core.records import Completion, Prompt
from heedful.data.sources import FORMATS
from heedful.labelling.exports import safe_name
from heedful.labelling.form_values import Form, page_number, query_reader, told
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.imports import ImportOptions, ReadImport, read_import, store_import
from heedful.labelling.object_guards import PromptView, prompt_access
from heedful.labelling.prompt_filters import filter_query, read_filter
from heedful.labelling.rendering import page as render
from heedful.labelling.rendering import redirect
from heedful.store.prompt_search import count_prompts, find_prompts, known_values
from heedful.store.tables import AccountRow, BatchRow, CompletionRow, ItemRow

router = APIRouter()
Here = Annotated[ProjectView, Depends(project_access("researcher"))]
AtPrompt = Annotated[PromptView, Depends(prompt_access("researcher"))]

PROMPTS_A_PAGE = 50
MOST_REJECTS = 10_000
_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".json.gz", ".csv.gz")


@router.get("/projects/{project_id}/prompts")
def prompt_list(
    request: Request,
    here: Here,
    store: Store,
    text: str = "",
    source: str = "",
    split: str = "",
    use_case: str = "",
    tag: str = "",
    sensitive: str = "",
    written: str = "",
    unused: str = "",
    page: str = "1",
) -> Response:
    """The prompts of a project that the filters describe, the newest first."""
    query = query_reader(
        text=text,
        source=source,
        split=split,
        use_case=use_case,
        tag=tag,
        sensitive=sensitive,
        written=written,
        unused=unused,
    )
    number = page_number(page)
    with store.read() as session:
        known = known_values(session, here.project.id)
        wanted = read_filter(query, known)
        found = count_prompts(session, here.project.id, wanted)
        prompts = find_prompts(
            session,
            here.project.id,
            wanted,
            limit=PROMPTS_A_PAGE,
            offset=(number - 1) * PROMPTS_A_PAGE,
        )
    asked = filter_query(query)
    return render(
        request,
        "admin/prompts.html",
        viewer=here.viewer,
        project=here.project,
        status=422 if query.errors else 200,
        prompts=prompts,
        known=known,
        values=query.values,
        errors=query.errors,
        found=found,
        is_filtered=bool(asked),
        page_number=number,
        num_pages=max(1, -(-found // PROMPTS_A_PAGE)),
        base=f"/projects/{here.project.id}/prompts" + (f"?{asked}" if asked else ""),
    )


@router.get("/prompts/{prompt_id}")
def prompt(request: Request, at: AtPrompt, store: Store) -> Response:
    """One prompt, its completions, and where it is used."""
    with store.read() as session:
        completions = session.scalars(
            select(CompletionRow)
            .where(CompletionRow.prompt_id == at.prompt.id)
            .order_by(CompletionRow.created_at, CompletionRow.id)
        ).all()
        used = session.execute(
            select(ItemRow, BatchRow)
            .join(BatchRow, BatchRow.id == ItemRow.batch_id)
            .where(ItemRow.prompt_id == at.prompt.id)
            .order_by(BatchRow.created_at)
        ).all()
        author = session.get(AccountRow, at.prompt.author_id) if at.prompt.author_id else None
    return render(
        request,
        "admin/prompt.html",
        viewer=at.viewer,
        project=at.project,
        row=at.prompt,
        prompt=Prompt.model_validate(at.prompt.record),
        completions=[Completion.model_validate(row.record) for row in completions],
        used=used,
        author=author,
    )


@router.get("/projects/{project_id}/prompts/import")
def import_form(request: Request, here: Here) -> Response:
    """The form that takes a file."""
    return _import_form(request, here, {}, {})


@router.post("/projects/{project_id}/prompts/import")
def import_file(request: Request, here: Here, store: Store, form: Form) -> Response:
    """Read a file and store what is in it, whole or not at all."""
    sent = form.file("file")
    if sent is None:
        form.errors["file"] = "Choose a file."
    elif not str(sent.filename).lower().endswith(_SUFFIXES):
        form.errors["file"] = f"The file's name must end in one of {', '.join(_SUFFIXES)}."
    file_format = form.optional("format", "The format", sorted(FORMATS))
    licence = form.text("licence", "The licence", most=200) or None
    rejects = form.number("max_rejects", "Rows", low=0, high=MOST_REJECTS, otherwise=0)
    if not form.errors and sent is not None:
        options = ImportOptions(
            format=file_format,
            licence=licence,
            max_rejects=rejects,
            labels=form.ticked("labels"),
        )
        try:
            read = _read(sent, options)
            with store.write() as session:
                imported = store_import(session, here.project.id, read, by=here.viewer.id)
        except DataError as error:
            form.errors["file"] = told(error)
        else:
            path = f"/projects/{here.project.id}/prompts"
            return redirect(request, path, message=" ".join(imported.lines()))
    return _import_form(request, here, form.values, form.errors)


def _read(sent: UploadFile, options: ImportOptions) -> ReadImport:
    """Read a file that a browser sent, from a folder of its own that does not outlive this."""
    # Only the last part of the name, whichever system it comes from.
    given = PureWindowsPath(PurePosixPath(str(sent.filename)).name).name
    suffix = next(
        one for one in sorted(_SUFFIXES, key=len, reverse=True) if given.lower().endswith(one)
    )
    name = safe_name(given[: -len(suffix)]) + suffix
    with tempfile.TemporaryDirectory(prefix="heedful-import-") as folder:
        path = Path(folder) / name
        with path.open("xb") as file:
            shutil.copyfileobj(sent.file, file)
        try:
            return read_import(path, options)
        except DataError as error:
            # Where it lay for a moment is nothing to tell.
            what, hint = (
                text and text.replace(f"{folder}/", "") for text in (error.what, error.hint)
            )
            raise DataError(str(what), hint) from error


def _import_form(
    request: Request, here: ProjectView, values: dict[str, str], errors: dict[str, str]
) -> Response:
    return render(
        request,
        "admin/import.html",
        viewer=here.viewer,
        project=here.project,
        status=422 if errors else 200,
        values=values,
        errors=errors,
        formats=sorted(FORMATS),
        suffixes=_SUFFIXES,
    )
