"""The screening queue of a project, a candidate's page, and the decision on them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from heedful.labelling.form_values import Form
from heedful.labelling.guards import ProjectView, Store, project_access
from heedful.labelling.object_guards import PersonView, member_access
from heedful.labelling.project_settings import settings_of
from heedful.labelling.rendering import page, redirect
from heedful.labelling.screening_view import candidate_view, candidates
from heedful.store.columns import MemberStage
from heedful.store.projects import set_stage
from heedful.store.screening_records import decide

router = APIRouter()
Researched = Annotated[ProjectView, Depends(project_access("researcher"))]
Person = Annotated[PersonView, Depends(member_access("researcher"))]
OUTCOMES: dict[str, tuple[bool, MemberStage, str]] = {
    "practice": (True, "practice", "Passed: on to practice"),
    "working": (True, "working", "Passed: on to work, without practice"),
    "excluded": (False, "excluded", "Not passed"),
}
_MAX_REASON = 1_000


@router.get("/projects/{project_id}/screening")
def queue(request: Request, seen: Researched, store: Store) -> Response:
    """Who is being screened, who practises, and how working labellers do on gold items."""
    with store.read() as session:
        everybody = candidates(session, seen.project.id, settings_of(seen.project))
    return page(
        request,
        "quality/screening.html",
        viewer=seen.viewer,
        project=seen.project,
        settings=settings_of(seen.project),
        by_stage={
            stage: [one for one in everybody if one.member.stage == stage]
            for stage in ("screening", "practice", "working", "paused", "excluded")
        },
    )


@router.get("/projects/{project_id}/screening/{account_id}")
def candidate(request: Request, seen: Person, store: Store) -> Response:
    """A candidate's criteria, with the form to decide."""
    return _candidate_page(request, seen, store)


@router.post("/projects/{project_id}/screening/{account_id}")
def decide_on_candidate(request: Request, seen: Person, store: Store, form: Form) -> Response:
    """Keep the decision with the numbers that were seen, and move the candidate."""
    outcome = form.choice("outcome", "The decision", OUTCOMES)
    reason = form.text("reason", "The reason", most=_MAX_REASON, required=True)
    if form.errors:
        return _candidate_page(request, seen, store, form.values, form.errors)
    passed, stage, _ = OUTCOMES[outcome]
    project_id = seen.project.id
    with store.read() as session:
        view = candidate_view(session, project_id, seen.account.id, settings_of(seen.project))
    if form.raw("seen") != view.candidate.screening.fingerprint:
        form.errors["seen"] = "The numbers have changed since you opened the page. Look again."
        return _candidate_page(request, seen, store, form.values, form.errors)
    with store.write() as session:
        decide(
            session,
            project_id=project_id,
            account_id=seen.account.id,
            passed=passed,
            stage=stage,
            criteria=view.candidate.screening.as_seen(),
            reason=reason,
            by=seen.viewer.id,
        )
    return redirect(request, f"/projects/{project_id}/screening", message="The decision is kept.")


@router.post("/projects/{project_id}/screening/{account_id}/gate")
def open_gate(request: Request, seen: Person, store: Store, form: Form) -> Response:
    """Let somebody out of practice into work."""
    reason = form.text("reason", "The reason", most=_MAX_REASON, required=True)
    if seen.place.stage != "practice":
        form.errors["stage"] = "They are not in practice."
    if form.errors:
        return _candidate_page(request, seen, store, form.values, form.errors)
    with store.write() as session:
        set_stage(
            session,
            project_id=seen.project.id,
            account_id=seen.account.id,
            stage="working",
            by=seen.viewer.id,
            reason=reason,
        )
    return redirect(
        request, f"/projects/{seen.project.id}/screening", message="They can work from now on."
    )


def _candidate_page(
    request: Request,
    seen: PersonView,
    store: Store,
    values: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    settings = settings_of(seen.project)
    with store.read() as session:
        view = candidate_view(session, seen.project.id, seen.account.id, settings)
    return page(
        request,
        "quality/candidate.html",
        viewer=seen.viewer,
        status=422 if errors else 200,
        project=seen.project,
        settings=settings,
        view=view,
        candidate=view.candidate,
        fingerprint=view.candidate.screening.fingerprint,
        outcomes=[(key, text) for key, (_, _, text) in OUTCOMES.items()],
        values=values or {},
        errors=errors or {},
    )
