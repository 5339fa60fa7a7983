"""The JSON API under /api/v1, for programs with a token; see `docs/labelling-api.md`.

Every route names the scope that it needs and reaches one project that the token's account
may see; the guards decide that. What can be asked of a list is its declared parameters and
nothing else.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.openapi.utils import get_openapi
from sqlalchemy import select

from heedful import __version__
from heedful.core.records import Completion, Prompt, Split, UseCase
from heedful.labelling import api_batches, api_labels, api_people
from heedful.labelling.api_models import (
    AddCompletions,
    AddedOut,
    AddPrompts,
    ErrorAnswer,
    Page,
    ProjectOut,
)
from heedful.labelling.api_paging import PageQuery, page_of
from heedful.labelling.api_scopes import SCOPES
from heedful.labelling.guards import ProjectView, Store, Viewer, token_project, token_viewer
from heedful.store import audit
from heedful.store.contents import Added, add_completions, add_prompts
from heedful.store.tables import CompletionRow, MemberRow, ProjectRow, PromptRow
from heedful.store.withdrawals import withdrawn_people

PREFIX = "/api/v1"
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (401, 403, 404, 413, 422, 429, 503)
}

router = APIRouter()
v1 = APIRouter(
    prefix=PREFIX, responses=_ERRORS, generate_unique_id_function=lambda route: route.name
)
Paging = Annotated[PageQuery, Depends()]
ProjectsReader = Annotated[Viewer, Depends(token_viewer("projects:read"))]
Project = Annotated[ProjectView, Depends(token_project("projects:read"))]
PromptsReader = Annotated[ProjectView, Depends(token_project("prompts:read"))]
PromptsWriter = Annotated[ProjectView, Depends(token_project("prompts:write"))]


@router.get("/api/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """What this API is, for programs that make clients. Says nothing about what is stored."""
    return description(request.app)


@v1.get("/projects", tags=["projects"])
def projects(viewer: ProjectsReader, store: Store, paging: Paging) -> Page[ProjectOut]:
    """The projects that this token reaches."""
    query = select(ProjectRow)
    if not viewer.is_admin:
        mine = select(MemberRow.project_id).where(MemberRow.account_id == viewer.id)
        query = query.where(ProjectRow.id.in_(mine))
    if viewer.project_limit is not None:
        query = query.where(ProjectRow.id == viewer.project_limit)
    if not viewer.may("researcher"):
        query = query.where(ProjectRow.id.is_(None))  # as for each of them: there is none
    with store.read() as session:
        return page_of(session, query, (ProjectRow.created_at, ProjectRow.id), paging, _project)


@v1.get("/projects/{project_id}", tags=["projects"])
def project(here: Project) -> ProjectOut:
    """One project."""
    return _project(here.project)


@v1.get("/projects/{project_id}/prompts", tags=["prompts"])
def prompts(
    here: PromptsReader,
    store: Store,
    paging: Paging,
    source: Annotated[str | None, Query(max_length=200)] = None,
    split: Split | None = None,
    use_case: UseCase | None = None,
    sensitive: bool | None = None,
) -> Page[Prompt]:
    """The prompts of a project, oldest first."""
    query = select(PromptRow).where(PromptRow.project_id == here.project.id)
    for name, value in (("source", source), ("split", split), ("use_case", use_case)):
        if value is not None:
            query = query.where(PromptRow.record[name].as_string() == value)
    if sensitive is not None:
        query = query.where(PromptRow.sensitive == sensitive)
    place = (PromptRow.created_at, PromptRow.id)
    with store.read() as session:
        return page_of(session, query, place, paging, lambda row: Prompt.model_validate(row.record))


@v1.post("/projects/{project_id}/prompts", tags=["prompts"])
def new_prompts(here: PromptsWriter, store: Store, body: AddPrompts) -> AddedOut:
    """Add prompts, all or none; the same one again is known."""
    sent = [one.record(here.project.id) for one in body.prompts]
    with store.write() as session:
        people = withdrawn_people(session)
        records = [record for record in sent if not people.holds(record.user_id)]
        added = add_prompts(session, here.project.id, records)
        _note(session, here, "prompts", added)
    return AddedOut(
        new=added.new,
        known=added.known,
        withdrawn=len(sent) - len(records),
        ids=[record.id for record in records],
    )


@v1.get("/projects/{project_id}/completions", tags=["prompts"])
def completions(
    here: PromptsReader,
    store: Store,
    paging: Paging,
    prompt_id: Annotated[str | None, Query(max_length=200)] = None,
    checkpoint_id: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[Completion]:
    """The completions of a project, oldest first."""
    query = select(CompletionRow).where(CompletionRow.project_id == here.project.id)
    if prompt_id is not None:
        query = query.where(CompletionRow.prompt_id == prompt_id)
    if checkpoint_id is not None:
        query = query.where(CompletionRow.record["checkpoint_id"].as_string() == checkpoint_id)
    place = (CompletionRow.created_at, CompletionRow.id)
    with store.read() as session:
        return page_of(
            session, query, place, paging, lambda row: Completion.model_validate(row.record)
        )


@v1.post("/projects/{project_id}/completions", tags=["prompts"])
def new_completions(here: PromptsWriter, store: Store, body: AddCompletions) -> AddedOut:
    """Add completions of prompts of the project, all or none."""
    records = [one.record() for one in body.completions]
    with store.write() as session:
        added = add_completions(session, here.project.id, records)
        _note(session, here, "completions", added)
    return AddedOut(new=added.new, known=added.known, ids=[record.id for record in records])


def description(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    known = getattr(app.state, "api_description", None)
    if known is None:
        known = get_openapi(
            title="Heedful labelling API",
            version=__version__,
            description=(
                "Send `Authorization: Bearer <token>`; /settings and `heedful label token` "
                "make tokens. Scopes: "
                + "; ".join(f"`{name}`: {meaning}" for name, meaning in SCOPES.items())
                + "."
            ),
            routes=v1.routes,
        )
        known["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        known["security"] = [{"token": []}]
        for operation in (one for path in known["paths"].values() for one in path.values()):
            # The scheme above says it.
            kept = [one for one in operation["parameters"] if one["name"] != "authorization"]
            operation["parameters"] = kept
        app.state.api_description = known
    return dict(known)


def _project(row: ProjectRow) -> ProjectOut:
    return ProjectOut(
        id=row.id,
        name=row.name,
        simulated=row.simulated,
        pay_rate=row.pay_rate,
        currency=row.currency,
        created_at=row.created_at,
    )


def _note(session: Any, here: ProjectView, what: str, added: Added) -> None:
    audit.record_project(
        session,
        here.project.id,
        "project.import",
        by=here.viewer.id,
        detail={"through": "api", what: added.new},
    )


for part in (api_batches.router, api_labels.router, api_people.router):
    v1.include_router(part)
router.include_router(v1)
