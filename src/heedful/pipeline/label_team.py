"""The simulated team in a project that there is: it joins, works, and gives back what it has open.

A rehearsal (`heedful.pipeline.rehearsal`) makes a project of its own; here the project is
anybody's, and people may work beside. What the team judges by is `heedful.annotators`';
texts to hand in are the embedded ones, for prompts that they were written for.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from heedful.annotators.simulated import simulated_team
from heedful.annotators.team_answers import Material, Worker
from heedful.annotators.team_work import RealClock, Tally, join_or_return, work_through
from heedful.core.errors import DataError, Interrupted
from heedful.data.embedded_data import embedded_demonstrations, embedded_prompts
from heedful.store.batches import progress
from heedful.store.columns import MemberStage
from heedful.store.database import Database
from heedful.store.projects import free_leases
from heedful.store.slots import remaining
from heedful.store.tables import BatchRow, ProjectRow, PromptRow

_STAGE_FOR: dict[str, MemberStage] = {
    "screening": "screening",
    "practice": "practice",
    "training": "working",
    "evaluation": "working",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamPlan:
    """Who works where, how fast, and for how long.

    Attributes:
        seed: Of the team; the same account judges otherwise under another.
        stage: Where the team stands in the project; held-out members evaluate at any.
        speed: 1 is a person's pace; infinity waits for nothing.
        batch_id: None for all that are open.
        most: Labels after which the team stops; None: when nothing is left.
    """

    project_id: str
    size: int = 12
    seed: int = 0
    stage: MemberStage = "working"
    speed: float = 1.0
    batch_id: str | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """A team that is ready to work.

    Attributes:
        num_labels: What they can do as things stand, at the most.
    """

    workers: Sequence[Worker]
    material: Material
    num_labels: int


def muster(database: Database, plan: TeamPlan) -> Team:
    """Bring the team into the project, under the accounts that it had there before if any.

    Raises:
        DataError: There is nothing for them to do; then nobody joined.
    """
    with database.write() as session:
        found = [
            join_or_return(session, plan.project_id, labeller, plan.stage)
            for labeller in simulated_team(plan.seed, plan.size)
        ]
        workers = [worker for worker in found if worker is not None]
        num_labels = _num_labels(session, workers, plan)
        if num_labels == 0:
            _refuse(session, plan, any_worker=bool(workers))
        material = _material(session, plan.project_id)
    return Team(workers, material, min(num_labels, plan.most or num_labels))


def put_to_work(
    database: Database,
    team: Team,
    plan: TeamPlan,
    *,
    on_step: Callable[[Tally], None] | None = None,
) -> Tally:
    """Let the team work; however it ends, no lease stays with it.

    Raises:
        Interrupted: Ctrl-C was pressed; what was handed in stays.
    """
    tally = Tally()
    try:
        before = None
        # Who found nothing left the round; what others skipped since may be for them.
        while before != (before := (tally.handed_in, tally.skipped)):
            work_through(
                database,
                team.workers,
                material=team.material,
                clock=RealClock(plan.speed),
                project_id=plan.project_id,
                batch_id=plan.batch_id,
                most=plan.most,
                tally=tally,
                on_step=on_step,
            )
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped. {summary(tally)}", "The same command goes on; nothing stays reserved."
        ) from None
    finally:
        with database.write() as session:
            for worker in team.workers:
                free_leases(session, account_id=worker.account_id, project_id=plan.project_id)
    return tally


def summary(tally: Tally) -> str:
    """One sentence for whoever started the team."""
    parts = [f"{tally.handed_in:,} labels, all simulated"]
    if tally.surplus:
        parts.append(f"{tally.surplus:,} of them surplus")
    if tally.skipped:
        parts.append(f"{tally.skipped:,} tasks skipped")
    return f"{', '.join(parts)}."


def _num_labels(session: Session, workers: Sequence[Worker], plan: TeamPlan) -> int:
    """The free slots of each batch, or what its workers may do where that is less."""
    doable: dict[str, int] = defaultdict(int)
    for worker in workers:
        for one in remaining(session, worker.account_id, project_id=plan.project_id):
            doable[one.batch_id] += one.items
    return sum(
        min(count, progress(session, batch_id).free)
        for batch_id, count in doable.items()
        if plan.batch_id in (None, batch_id)
    )


def _refuse(session: Session, plan: TeamPlan, *, any_worker: bool) -> None:
    project = session.get_one(ProjectRow, plan.project_id)
    batch = session.get(BatchRow, plan.batch_id) if plan.batch_id is not None else None
    where = f"project “{project.name}”" if batch is None else f"batch “{batch.name}”"
    if not any_worker:
        hint = "Everybody of it is paused, excluded or suspended; change that on their pages."
    elif batch is None:
        hint = "No open batch has a task left for them at this stage: `heedful label batch list`."
    elif batch.state != "open":
        hint = f"It is {batch.state}; `heedful label batch open` opens it."
    elif batch.kind == "adjudication":
        hint = "Reviewers and researchers adjudicate, labellers do not."
    elif (stage := _STAGE_FOR[batch.purpose]) != plan.stage:
        hint = f"It is for {batch.purpose}: choose --stage {stage}."
    else:
        hint = "Each of its tasks is taken, or was done or skipped by all of them."
    raise DataError(f"there is nothing for the simulated team to do in {where}", hint)


def _material(session: Session, project_id: str) -> Material:
    """The embedded texts; a demonstration fits a prompt that says the same as its own."""
    own_text = {one.prompt_id: one.text for one in embedded_demonstrations()}
    prompts = embedded_prompts()
    by_words = {
        _words(prompt.model_dump(mode="json")): own_text[prompt.id]
        for prompt in prompts
        if prompt.id in own_text
    }
    rows = session.execute(
        select(PromptRow.id, PromptRow.record).where(PromptRow.project_id == project_id)
    )
    demonstrations = {
        row.id: [by_words[words]] for row in rows if (words := _words(row.record)) in by_words
    }
    return Material(demonstrations, prompts)


def _words(record: Mapping[str, Any]) -> str:
    return json.dumps(
        [record.get(part) for part in ("turns", "examples", "context", "instruction")]
    )
