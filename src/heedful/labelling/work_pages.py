"""A labeller's own pages: what waits, what is begun, what was sent, answers, keys.

Only ever the viewer's own work, and nothing of gold items, models or other labellers. The
tasks themselves are `task_pages`, what was sent and said is `sent_pages`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from heedful.labelling import sent_pages, task_pages
from heedful.labelling.form_values import Form
from heedful.labelling.guards import SignedIn, Store, Viewer
from heedful.labelling.preferences import (
    ACTIONS,
    DEFAULT_KEYS,
    KeysError,
    shortcuts_of,
    shown_key,
    with_shortcuts,
)
from heedful.labelling.project_settings import settings_of
from heedful.labelling.rendering import page, redirect
from heedful.labelling.sent_pages import current_versions
from heedful.store.columns import utc_now
from heedful.store.questions import list_for_account
from heedful.store.slots import Held, Remaining, claim_next, current, remaining
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    InstructionsRow,
    MemberRow,
    ProjectRow,
    SelfAssessmentRow,
    SubmissionRow,
    SurveyDoneRow,
)

router = APIRouter()
router.include_router(task_pages.router)
router.include_router(sent_pages.router)


@dataclass(slots=True)
class Place:
    """One project of a labeller, as their home page shows it.

    Attributes:
        waiting: Batches with something to do, in the order of claiming.
        held: What they began, with its batch.
        speed: Mean seconds in view of a task.
    """

    project: ProjectRow
    member: MemberRow
    waiting: list[Remaining] = field(default_factory=list)
    held: list[tuple[Held, BatchRow]] = field(default_factory=list)
    instructions: list[InstructionsRow] = field(default_factory=list)
    sent: int = 0
    sent_today: int = 0
    seconds: float = 0.0
    needs_assessment: bool = False
    offers_survey: bool = False

    @property
    def num_waiting(self) -> int:
        """Tasks that could be taken now."""
        return sum(batch.items for batch in self.waiting)

    @property
    def speed(self) -> float | None:
        """Mean seconds of a task."""
        return self.seconds / self.sent if self.sent else None


@router.get("/work")
def home(request: Request, viewer: SignedIn, store: Store) -> Response:
    """What waits, what is begun, how it goes."""
    with store.read() as session:
        places = _places(session, viewer.account)
        news = [
            question
            for question in list_for_account(session, viewer.id)
            if question.answer is not None and question.seen_at is None
        ]
    return page(request, "work/home.html", viewer=viewer, places=places, news=news)


def _places(session: Session, account: AccountRow) -> list[Place]:
    rows = session.execute(
        select(ProjectRow, MemberRow)
        .join(MemberRow, MemberRow.project_id == ProjectRow.id)
        .where(MemberRow.account_id == account.id)
        .order_by(ProjectRow.name)
    ).all()
    places = {project.id: Place(project, member) for project, member in rows}
    for batch in remaining(session, account.id):
        if batch.project_id in places:
            places[batch.project_id].waiting.append(batch)
    for held in current(session, account.id):
        row = session.get_one(BatchRow, held.batch_id)
        if row.project_id in places:
            places[row.project_id].held.append((held, row))
    midnight = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    for project_id, sent, seconds in _sent_by_project(session, account.id, None):
        places[project_id].sent, places[project_id].seconds = sent, seconds
    for project_id, sent, _ in _sent_by_project(session, account.id, midnight):
        places[project_id].sent_today = sent
    for place in places.values():
        place.instructions = current_versions(session, place.member)
        _add_invitations(session, place)
    return list(places.values())


def _sent_by_project(
    session: Session, account_id: str, since: datetime | None
) -> list[tuple[str, int, float]]:
    """Submissions and their seconds, project by project where the account is still a member."""
    query = (
        select(SubmissionRow.project_id, func.count(), func.sum(SubmissionRow.seconds_spent))
        .join(
            MemberRow,
            (MemberRow.project_id == SubmissionRow.project_id)
            & (MemberRow.account_id == SubmissionRow.account_id),
        )
        .where(SubmissionRow.account_id == account_id)
        .group_by(SubmissionRow.project_id)
    )
    if since is not None:
        query = query.where(SubmissionRow.submitted_at >= since)
    return [(row[0], row[1], float(row[2] or 0)) for row in session.execute(query)]


def _add_invitations(session: Session, place: Place) -> None:
    """The self-assessment of screening, and the survey, where they are still to be done."""
    key = (place.project.id, place.member.account_id)
    if place.member.stage == "screening":
        place.needs_assessment = session.get(SelfAssessmentRow, key) is None
    elif place.member.stage == "working" and settings_of(place.project).offer_survey:
        place.offers_survey = session.get(SurveyDoneRow, key) is None


@router.post("/work/next")
def take_next(request: Request, viewer: SignedIn, store: Store, form: Form) -> Response:
    """Go on with what is begun, otherwise take the next task, of one project or of any."""
    project_id = form.raw("project_id") or None
    with store.write() as session:
        for held in current(session, viewer.id):
            if not held.expired and _is_of(session, held, project_id):
                return redirect(request, f"/work/items/{held.item_id}")
        claim = claim_next(session, viewer.id, project_id=project_id)
    if claim is None:
        return redirect(request, "/work", message="Nothing waits for you at the moment.")
    return redirect(request, f"/work/items/{claim.item_id}")


def _is_of(session: Session, held: Held, project_id: str | None) -> bool:
    batch = session.get_one(BatchRow, held.batch_id)
    return batch.state == "open" and project_id in (None, batch.project_id)


@router.get("/work/session")
def who_is_here(viewer: SignedIn) -> Response:
    """For a page whose session ended: who is signed in now, and the token for forms."""
    return JSONResponse({"account": viewer.id, "csrf": viewer.csrf})


@router.get("/work/shortcuts")
def show_keys(request: Request, viewer: SignedIn) -> Response:
    """The keys of the board."""
    shortcuts = shortcuts_of(viewer.account.preferences)
    values = {name: shown_key(key) for name, key in shortcuts.keys.items()}
    return _keys_page(request, viewer, values, is_on=shortcuts.on)


@router.post("/work/shortcuts")
def change_keys(request: Request, viewer: SignedIn, store: Store, form: Form) -> Response:
    """Change the keys of the board, or switch them off."""
    values = {action.name: form.raw(f"key-{action.name}") for action in ACTIONS}
    is_on = form.ticked("on")
    if form.ticked("reset"):
        values = {}
    try:
        with store.write() as session:
            account = session.get_one(AccountRow, viewer.id)
            account.preferences = with_shortcuts(account.preferences, on=is_on, keys=values)
    except KeysError as error:
        return _keys_page(request, viewer, values, is_on=is_on, errors=error.fields)
    said = "Saved. It applies to tasks opened from now on."
    return redirect(request, "/work/shortcuts", message=said)


def _keys_page(
    request: Request,
    viewer: Viewer,
    values: Mapping[str, str],
    *,
    is_on: bool,
    errors: Mapping[str, str] | None = None,
) -> Response:
    groups = [
        (title, [action for action in ACTIONS if action.where == where])
        for where, title in (("both", "Everywhere"), ("rate", "Rating"), ("rank", "Ranking"))
    ]
    return page(
        request,
        "work/shortcuts.html",
        viewer=viewer,
        status=422 if errors else 200,
        groups=groups,
        defaults={name: shown_key(key) for name, key in DEFAULT_KEYS.items()},
        values=values,
        is_on=is_on,
        errors=errors or {},
    )
