"""Projects, their versions of the instructions, and their members.

What the instructions say comes from the caller; who may do what is `labelling.guards`'.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import get_args

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from heedful.core.errors import DataError
from heedful.core.records import new_id
from heedful.store import audit
from heedful.store.columns import MemberStage, Purpose, utc_now
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    InstructionsRow,
    MemberRow,
    ProjectRow,
    SlotRow,
)

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def create_project(
    session: Session,
    *,
    name: str,
    instructions: Mapping[Purpose, str],
    created_by: str | None,
    pay_rate: float | None = None,
    currency: str = "EUR",
    simulated: bool = False,
    now: datetime | None = None,
) -> ProjectRow:
    """A new project with version 1 of its instructions for every purpose.

    Raises:
        DataError: The name is empty or taken, or instructions are missing.
    """
    name = name.strip()
    if not name:
        raise DataError("A project needs a name.", "Give it one.")
    if session.scalar(select(ProjectRow.id).where(ProjectRow.name == name)):
        raise DataError(f"There is a project called “{name}” already.", "Choose another name.")
    if missing := [purpose for purpose in PURPOSES if purpose not in instructions]:
        raise DataError(f"No instructions for: {', '.join(missing)}.", "Give a text for each.")
    if pay_rate is not None and pay_rate < 0:
        raise DataError("The pay rate is negative.", "Give an amount per hour.")
    now = now or utc_now()
    project = ProjectRow(
        id=new_id("project"),
        name=name,
        pay_rate=pay_rate,
        currency=currency,
        simulated=simulated,
        created_by=created_by,
        created_at=now,
    )
    session.add(project)
    session.flush()
    audit.record_project(
        session,
        project.id,
        "project.create",
        by=created_by,
        detail={"name": name, "simulated": simulated},
        now=now,
    )
    for purpose in PURPOSES:
        publish_instructions(
            session,
            project_id=project.id,
            purpose=purpose,
            text=instructions[purpose],
            published_by=created_by,
            now=now,
        )
    return project


def publish_instructions(
    session: Session,
    *,
    project_id: str,
    purpose: Purpose,
    text: str,
    published_by: str | None,
    now: datetime | None = None,
) -> InstructionsRow:
    """A new version; batches made from now on use it, those there keep theirs.

    Raises:
        DataError: The text is empty, or the purpose unknown.
    """
    if purpose not in PURPOSES:
        raise DataError(f"`{purpose}` is no purpose.", f"Use one of {', '.join(PURPOSES)}.")
    if not text.strip():
        raise DataError("The instructions are empty.", "Write what labellers should go by.")
    of_purpose = (InstructionsRow.project_id == project_id, InstructionsRow.purpose == purpose)
    last = session.scalar(select(func.max(InstructionsRow.version)).where(*of_purpose)) or 0
    now = now or utc_now()
    row = InstructionsRow(
        id=new_id("instructions"),
        project_id=project_id,
        purpose=purpose,
        version=last + 1,
        text=text,
        published_by=published_by,
        published_at=now,
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        account_id=published_by,
        action="instructions.publish",
        object_kind="instructions",
        object_id=row.id,
        project_id=project_id,
        detail={"purpose": purpose, "version": row.version},
        now=now,
    )
    return row


def current_instructions(session: Session, project_id: str, purpose: Purpose) -> InstructionsRow:
    """The latest version for a purpose.

    Raises:
        DataError: There is none.
    """
    row = session.scalar(
        select(InstructionsRow)
        .where(InstructionsRow.project_id == project_id, InstructionsRow.purpose == purpose)
        .order_by(InstructionsRow.version.desc())
        .limit(1)
    )
    if row is None:
        raise DataError(f"There are no instructions for {purpose} work.", "Publish some.")
    return row


def add_member(
    session: Session,
    *,
    project_id: str,
    account_id: str,
    stage: MemberStage = "screening",
    held_out: bool = False,
    note: str = "",
    by: str | None = None,
    now: datetime | None = None,
) -> MemberRow:
    """Let an account into a project; for researchers and reviewers the stage means nothing.

    Raises:
        DataError: It is a member already, or one of the two does not exist.
    """
    if session.get(ProjectRow, project_id) is None:
        raise DataError(f"There is no project `{project_id}`.")
    if session.get(AccountRow, account_id) is None:
        raise DataError(f"There is no account `{account_id}`.")
    if session.get(MemberRow, (project_id, account_id)) is not None:
        raise DataError("This account is a member already.", "Change its stage instead.")
    now = now or utc_now()
    member = MemberRow(
        project_id=project_id,
        account_id=account_id,
        stage=_known_stage(stage),
        held_out=held_out,
        note=note,
        joined_at=now,
    )
    session.add(member)
    session.flush()
    audit.record(
        session,
        account_id=by,
        action="member.add",
        object_kind="account",
        object_id=account_id,
        project_id=project_id,
        detail={"stage": stage, "held_out": held_out},
        now=now,
    )
    return member


def set_stage(
    session: Session,
    *,
    project_id: str,
    account_id: str,
    stage: MemberStage,
    by: str | None,
    reason: str,
    now: datetime | None = None,
) -> MemberRow:
    """Move a member to another stage; tasks they hold go back if they may not do them now.

    Raises:
        DataError: There is no such member or stage.
    """
    member = session.get(MemberRow, (project_id, account_id))
    if member is None:
        raise DataError("This account is not a member of the project.", "Add it first.")
    before, member.stage = member.stage, _known_stage(stage)
    if before != stage:
        free_leases(session, account_id=account_id, project_id=project_id)
    audit.record(
        session,
        account_id=by,
        action="member.stage",
        object_kind="account",
        object_id=account_id,
        project_id=project_id,
        detail={"from": before, "to": stage, "reason": reason},
        now=now,
    )
    session.flush()
    return member


def members(session: Session, project_id: str) -> list[MemberRow]:
    """The members of a project, in the order they joined."""
    query = select(MemberRow).where(MemberRow.project_id == project_id)
    return list(session.scalars(query.order_by(MemberRow.joined_at, MemberRow.account_id)))


def free_leases(session: Session, *, account_id: str, project_id: str | None = None) -> int:
    """Put back every task that an account holds, in one project or all; return how many.

    Drafts stay, and what is sent late is kept as ever.
    """
    batches = select(BatchRow.id)
    if project_id is not None:
        batches = batches.where(BatchRow.project_id == project_id)
    held = (
        SlotRow.labeller_id == account_id,
        SlotRow.state == "leased",
        SlotRow.batch_id.in_(batches),
    )
    freed = session.scalars(
        update(SlotRow)
        .where(*held)
        .values(
            state="free",
            labeller_id=None,
            lease_token_hash=None,
            leased_at=None,
            lease_expires_at=None,
        )
        .returning(SlotRow.id)
    )
    return len(freed.all())


def _known_stage(stage: str) -> str:
    known = get_args(MemberStage)
    if stage not in known:
        raise DataError(f"`{stage}` is no stage.", f"Use one of {', '.join(known)}.")
    return stage
