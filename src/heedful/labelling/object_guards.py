"""Guards for single objects, found by their ids in the path; see `heedful.labelling.guards`.

Staff reach an object through its project. A labeller reaches an item only through their own
turn at it, and a submission or question only as their own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from heedful.labelling.guards import (
    NotFoundError,
    ProjectView,
    SignedIn,
    Viewer,
    database,
    guard,
    needs,
    not_found,
    object_guard,
    visible_project,
)
from heedful.store.columns import Role
from heedful.store.label_tables import DemonstrationRow, QuestionRow, SubmissionRow
from heedful.store.people_tables import AccountRow, InviteRow, MemberRow
from heedful.store.work_tables import (
    BatchRow,
    InstructionsRow,
    ItemRow,
    PresentationRow,
    ProjectRow,
    PromptRow,
    SlotRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView(ProjectView):
    """A batch that somebody may see."""

    batch: BatchRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView(BatchView):
    """An item that somebody may see."""

    item: ItemRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionView(ItemView):
    """A submission that somebody may see."""

    submission: SubmissionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DemonstrationView(ProjectView):
    """A demonstration that somebody may see or grade."""

    demonstration: DemonstrationRow
    submission: SubmissionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView(ProjectView):
    """A member of a project, seen by its staff."""

    account: AccountRow
    place: MemberRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptView(ProjectView):
    """A prompt that somebody may see."""

    prompt: PromptRow


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView(ProjectView):
    """A question that somebody may see."""

    question: QuestionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionsView(ProjectView):
    """A version of the instructions that somebody may see."""

    instructions: InstructionsRow


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteView:
    """An invite that somebody may see or take back.

    Attributes:
        project: None for an invite without one, which admins alone see.
    """

    viewer: Viewer
    invite: InviteRow
    project: ProjectRow | None


def batch_access(role: Role = "researcher") -> Callable[..., BatchView]:
    """A guard for the batch `batch_id`."""
    return object_guard("batch_id", visible_batch, role)


def item_access(role: Role = "researcher") -> Callable[..., ItemView]:
    """A guard for the item `item_id`, for staff."""
    return object_guard("item_id", visible_item, role)


@guard
def own_item(request: Request, viewer: SignedIn, item_id: str) -> ItemView:
    """A guard for the item `item_id` that the viewer, whoever they are, holds or has had."""
    with database(request).read() as session:
        item = session.get(ItemRow, item_id)
        if item is None or not _has_turn(session, viewer.id, item_id):
            raise not_found("task")
        batch = session.get_one(BatchRow, item.batch_id)
        project = session.get_one(ProjectRow, batch.project_id)
        member = session.get(MemberRow, (project.id, viewer.id))
        if member is None and not viewer.is_admin:
            raise not_found("task")
        return ItemView(viewer=viewer, project=project, member=member, batch=batch, item=item)


def submission_access(role: Role = "reviewer") -> Callable[..., SubmissionView]:
    """A guard for the submission `submission_id`; with `labeller`, also of one's own."""
    return object_guard("submission_id", visible_submission, role)


def demonstration_access(role: Role = "reviewer") -> Callable[..., DemonstrationView]:
    """A guard for the demonstration `demonstration_id`, for staff, never its own writer."""
    return object_guard("demonstration_id", visible_demonstration, role)


def member_access(role: Role = "researcher") -> Callable[..., PersonView]:
    """A guard for the member `account_id` of the project `project_id`, for staff."""

    def check(request: Request, viewer: SignedIn, project_id: str, account_id: str) -> PersonView:
        with database(request).read() as session:
            seen = visible_project(session, viewer, project_id, role)
            account = session.get(AccountRow, account_id)
            place = session.get(MemberRow, (project_id, account_id))
            if account is None or place is None:
                raise not_found("member")
            return PersonView(
                viewer=viewer,
                project=seen.project,
                member=seen.member,
                account=account,
                place=place,
            )

    return guard(check)


def account_access() -> Callable[..., tuple[Viewer, AccountRow]]:
    """A guard for the account `account_id`, for admins."""
    admin = needs("admin")

    def check(request: Request, viewer: SignedIn, account_id: str) -> tuple[Viewer, AccountRow]:
        admin(viewer)
        with database(request).read() as session:
            account = session.get(AccountRow, account_id)
        if account is None:
            raise not_found("account")
        return viewer, account

    return guard(check)


def prompt_access(role: Role = "researcher") -> Callable[..., PromptView]:
    """A guard for the prompt `prompt_id`, for staff."""
    return object_guard("prompt_id", visible_prompt, role)


def question_access(role: Role = "researcher") -> Callable[..., QuestionView]:
    """A guard for the question `question_id`; with `labeller`, also of one's own."""
    return object_guard("question_id", visible_question, role)


def instructions_access(role: Role = "labeller") -> Callable[..., InstructionsView]:
    """A guard for the instructions `instructions_id`, which every member may read."""
    return object_guard("instructions_id", visible_instructions, role)


def invite_access() -> Callable[..., InviteView]:
    """A guard for the invite `invite_id`: admins, and researchers of its project."""

    def check(request: Request, viewer: SignedIn, invite_id: str) -> InviteView:
        with database(request).read() as session:
            row = session.get(InviteRow, invite_id)
            if row is None or (row.project_id is None and not viewer.is_admin):
                raise not_found("invite")
            project = None
            if row.project_id is not None:
                project = _project(session, viewer, row.project_id, "researcher", "invite").project
            return InviteView(viewer=viewer, invite=row, project=project)

    return guard(check)


def visible_batch(
    session: Session, viewer: Viewer, batch_id: str, role: Role = "researcher"
) -> BatchView:
    """The batch, where `viewer` may see it; errors as of `visible_project`."""
    return _batch(session, viewer, session.get(BatchRow, batch_id), role, "batch")


def visible_item(
    session: Session, viewer: Viewer, item_id: str, role: Role = "researcher"
) -> ItemView:
    """The item, where `viewer` may see it; errors as of `visible_project`."""
    return _item(session, viewer, session.get(ItemRow, item_id), role, "item")


def visible_submission(
    session: Session, viewer: Viewer, submission_id: str, role: Role = "reviewer"
) -> SubmissionView:
    """The submission, where `viewer` may see it; errors as of `visible_project`."""
    row = session.get(SubmissionRow, submission_id)
    if row is None:
        raise not_found("submission")
    own = row.account_id == viewer.id and role == "labeller"
    wanted: Role = "labeller" if own else _at_least_reviewer(role)
    seen = _item(session, viewer, session.get(ItemRow, row.item_id), wanted, "submission")
    return SubmissionView(
        viewer=viewer,
        project=seen.project,
        member=seen.member,
        batch=seen.batch,
        item=seen.item,
        submission=row,
    )


def visible_demonstration(
    session: Session, viewer: Viewer, demonstration_id: str, role: Role = "reviewer"
) -> DemonstrationView:
    """The demonstration, where `viewer` may grade it; errors as of `visible_project`."""
    row = session.get(DemonstrationRow, demonstration_id)
    if row is None:
        raise not_found("demonstration")
    submission = session.get_one(SubmissionRow, row.submission_id)
    seen = _project(session, viewer, submission.project_id, role, "demonstration")
    if submission.account_id == viewer.id:
        raise not_found("demonstration")
    return DemonstrationView(
        viewer=viewer,
        project=seen.project,
        member=seen.member,
        demonstration=row,
        submission=submission,
    )


def visible_prompt(
    session: Session, viewer: Viewer, prompt_id: str, role: Role = "researcher"
) -> PromptView:
    """The prompt, where `viewer` may see it; errors as of `visible_project`."""
    row = session.get(PromptRow, prompt_id)
    if row is None:
        raise not_found("prompt")
    seen = _project(session, viewer, row.project_id, role, "prompt")
    return PromptView(viewer=viewer, project=seen.project, member=seen.member, prompt=row)


def visible_question(
    session: Session, viewer: Viewer, question_id: str, role: Role = "researcher"
) -> QuestionView:
    """The question, where `viewer` may see it; errors as of `visible_project`."""
    row = session.get(QuestionRow, question_id)
    if row is None:
        raise not_found("question")
    own = row.account_id == viewer.id and role == "labeller"
    wanted: Role = "labeller" if own else _at_least_reviewer(role)
    seen = _project(session, viewer, row.project_id, wanted, "question")
    return QuestionView(viewer=viewer, project=seen.project, member=seen.member, question=row)


def visible_instructions(
    session: Session, viewer: Viewer, instructions_id: str, role: Role = "labeller"
) -> InstructionsView:
    """The version, where `viewer` may see it; errors as of `visible_project`."""
    row = session.get(InstructionsRow, instructions_id)
    if row is None:
        raise not_found("version")
    seen = _project(session, viewer, row.project_id, role, "version")
    return InstructionsView(
        viewer=viewer, project=seen.project, member=seen.member, instructions=row
    )


def _item(session: Session, viewer: Viewer, row: ItemRow | None, role: Role, what: str) -> ItemView:
    if row is None:
        raise not_found(what)
    seen = _batch(session, viewer, session.get(BatchRow, row.batch_id), role, what)
    return ItemView(
        viewer=viewer, project=seen.project, member=seen.member, batch=seen.batch, item=row
    )


def _batch(
    session: Session, viewer: Viewer, row: BatchRow | None, role: Role, what: str
) -> BatchView:
    if row is None:
        raise not_found(what)
    seen = _project(session, viewer, row.project_id, role, what)
    return BatchView(viewer=viewer, project=seen.project, member=seen.member, batch=row)


def _project(
    session: Session, viewer: Viewer, project_id: str, role: Role, what: str
) -> ProjectView:
    """The project of an object; a hidden one reads like an object that does not exist."""
    try:
        return visible_project(session, viewer, project_id, role)
    except NotFoundError:
        raise not_found(what) from None


def _at_least_reviewer(role: Role) -> Role:
    return "reviewer" if role == "labeller" else role


def _has_turn(session: Session, account_id: str, item_id: str) -> bool:
    """Whether the account holds or held the item: a slot, a presentation or a submission."""
    turns = (
        select(SlotRow.id).where(SlotRow.item_id == item_id, SlotRow.labeller_id == account_id),
        select(PresentationRow.item_id).where(
            PresentationRow.item_id == item_id, PresentationRow.account_id == account_id
        ),
        select(SubmissionRow.id).where(
            SubmissionRow.item_id == item_id, SubmissionRow.account_id == account_id
        ),
    )
    return any(session.scalar(select(exists(turn))) for turn in turns)
