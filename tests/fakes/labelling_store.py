"""A small labelling project in a database: people, prompts, completions, on wish a batch."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from heedful.core.records import Completion, Prompt, text_hash
from heedful.store.batches import ItemSpec, create_batch
from heedful.store.columns import MemberStage, Purpose, Role, TaskKind, utc_now
from heedful.store.contents import add_completions, add_prompts
from heedful.store.projects import PURPOSES, add_member, create_project
from heedful.store.tables import AccountRow, BatchRow, ProjectRow


@dataclass(frozen=True)
class DemoProject:
    """What `demo_project` made; the rows may be read after the session has ended.

    Attributes:
        completions: By prompt id, in order.
    """

    project: ProjectRow
    admin: AccountRow
    researcher: AccountRow
    reviewer: AccountRow
    labellers: list[AccountRow]
    prompts: list[Prompt]
    completions: dict[str, list[Completion]]

    @property
    def id(self) -> str:
        return self.project.id


def demo_account(session: Session, login: str, role: Role, **columns: Any) -> AccountRow:
    """An account that nobody can sign in to, with the id `account-<login>`."""
    row = AccountRow(
        id=f"account-{login}",
        login=login,
        name=login.title(),
        role=role,
        created_at=utc_now(),
        **columns,
    )
    session.add(row)
    session.flush()
    return row


def demo_prompt(name: str, **fields: Any) -> Prompt:
    """A prompt with the id `prompt-<name>`."""
    instruction = fields.pop("instruction", f"Tell me about {name}.")
    return Prompt(
        id=f"prompt-{name}",
        text_hash=text_hash(instruction),
        instruction=instruction,
        source="demo",
        user_id="user-demo",
        consent=True,
        **fields,
    )


def demo_completion(prompt: Prompt, number: int, **fields: Any) -> Completion:
    """A completion of `prompt` with the id `completion-<prompt's name>-<number>`."""
    name = prompt.id.removeprefix("prompt-")
    return Completion(
        id=f"completion-{name}-{number}",
        prompt_id=prompt.id,
        text=fields.pop("text", f"Answer {number} about {name}."),
        checkpoint_id=fields.pop("checkpoint_id", f"model-{number}"),
        **fields,
    )


def demo_project(
    session: Session,
    *,
    name: str = "Demo",
    num_labellers: int = 2,
    num_prompts: int = 4,
    num_completions: int = 3,
    stage: MemberStage = "working",
    now: datetime | None = None,
) -> DemoProject:
    """A project with an admin, a researcher, a reviewer, labellers, prompts and completions.

    Logins are `admin`, `researcher`, `reviewer`, `labeller1`, ...; of a project with another
    name, they end in `-<name>`. Call `demo_batch` for work to do.
    """
    end = "" if name == "Demo" else f"-{name.lower()}"
    admin = demo_account(session, f"admin{end}", "admin")
    project = create_project(
        session,
        name=name,
        instructions={purpose: f"# How to label for {purpose}" for purpose in PURPOSES},
        created_by=admin.id,
        pay_rate=18.0,
        now=now,
    )
    researcher = demo_account(session, f"researcher{end}", "researcher")
    reviewer = demo_account(session, f"reviewer{end}", "reviewer")
    labellers = [
        demo_account(session, f"labeller{number}{end}", "labeller")
        for number in range(1, num_labellers + 1)
    ]
    for account in (researcher, reviewer, *labellers):
        add_member(session, project_id=project.id, account_id=account.id, stage=stage, now=now)
    prompts = [demo_prompt(f"{number}{end}") for number in range(1, num_prompts + 1)]
    completions = {
        prompt.id: [demo_completion(prompt, number) for number in range(1, num_completions + 1)]
        for prompt in prompts
    }
    add_prompts(session, project.id, prompts, now=now)
    add_completions(session, project.id, [c for some in completions.values() for c in some])
    return DemoProject(project, admin, researcher, reviewer, labellers, prompts, completions)


def demo_batch(
    session: Session,
    demo: DemoProject,
    *,
    name: str = "Batch",
    kind: TaskKind = "ranking",
    purpose: Purpose = "training",
    **settings: Any,
) -> BatchRow:
    """An open batch with one item per prompt of the project, in order."""
    settings.setdefault("state", "open")
    if kind == "prompt":
        items = [ItemSpec(None, brief={"kind": "plain", "use_case": None, "application": None})]
    else:
        items = [
            ItemSpec(
                prompt.id,
                [c.id for c in demo.completions[prompt.id]] if kind == "ranking" else (),
            )
            for prompt in demo.prompts
        ]
    return create_batch(
        session,
        project_id=demo.id,
        name=name,
        kind=kind,
        purpose=purpose,
        items=settings.pop("items", items),
        created_by=demo.researcher.id,
        **settings,
    )
