"""The simulated team at work: tasks are claimed, opened and handed in like anybody's.

`work_through` plays any number of workers against any clock: a `PlayedClock` runs through
days in an instant, a `RealClock` keeps time with the world, as much faster as one likes.
Nothing here knows a model; whose answers these are is written in each of them.
"""

import heapq
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.orm import Session

from heedful.annotators.simulated import SimulatedLabeller
from heedful.annotators.team_answers import Answered, Material, Worker, answer_task
from heedful.core.errors import ConfigError, DataError
from heedful.core.records import derived_id
from heedful.store.access import account_by_login, create_account
from heedful.store.columns import MemberStage, Role, utc_now
from heedful.store.database import Database
from heedful.store.labels import Outcome, submit
from heedful.store.presentations import present
from heedful.store.projects import add_member, set_stage
from heedful.store.slots import Claim, assignment, claim_next, skip
from heedful.store.tables import MemberRow

# Nobody is simulated to sit so long that the lease runs out; who should, is made to.
_MOST_OF_A_LEASE = 0.8


class Clock(Protocol):
    """What time it is for the team."""

    def now(self) -> datetime:
        """The moment that is written into what they do."""
        ...

    def wait_until(self, moment: datetime) -> None:
        """Let time pass; a moment that is over passes at once."""
        ...


@dataclass(slots=True)
class PlayedClock:
    """A clock that jumps to whatever happens next."""

    moment: datetime

    def now(self) -> datetime:
        """Where it stands."""
        return self.moment

    def wait_until(self, moment: datetime) -> None:
        """Jump there, never back."""
        self.moment = max(self.moment, moment)


class RealClock:
    """The world's time, in which the team works `speed` times as fast as people would.

    Args:
        speed: Infinity waits for nothing.

    Raises:
        ConfigError: The speed is not above 0.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ConfigError(f"a team that works {speed} times as fast", "Use a number above 0.")
        self.speed = speed
        self._began = utc_now()

    def now(self) -> datetime:
        """The world's time: what is stored does not pretend to be later."""
        return utc_now()

    def wait_until(self, moment: datetime) -> None:
        """Sleep until the moment, counted from the start at this clock's speed, has come."""
        if math.isinf(self.speed):
            return
        ahead = (moment - self._began) / self.speed - (utc_now() - self._began)
        time.sleep(max(0.0, ahead.total_seconds()))


@dataclass(frozen=True, slots=True)
class Task:
    """A task that a worker has open."""

    claim: Claim
    opened_at: datetime


@dataclass(slots=True)
class Tally:
    """What a team has done."""

    accepted: int = 0
    surplus: int = 0
    skipped: int = 0

    @property
    def handed_in(self) -> int:
        """Submissions of either status."""
        return self.accepted + self.surplus


def join(
    session: Session,
    project_id: str,
    labeller: SimulatedLabeller,
    *,
    login: str,
    name: str,
    role: Role = "labeller",
    stage: MemberStage = "working",
    words_per_minute: float = 220.0,
    skip_rate: float = 0.0,
    by: str | None = None,
    now: datetime | None = None,
) -> Worker:
    """An account for a simulated labeller, to which nobody can sign in, in a project."""
    account = create_account(
        session, login=login, name=name, role=role, made_by="simulated", by=by, now=now
    )
    _let_in(session, project_id, account.id, labeller, stage, by=by, now=now)
    worker = _worker(account.id, labeller)
    return replace(worker, words_per_minute=words_per_minute, skip_rate=skip_rate)


def join_or_return(
    session: Session, project_id: str, labeller: SimulatedLabeller, stage: MemberStage
) -> Worker | None:
    """Let a labeller into a project under its own id as login, or find it there again.

    Whom a researcher has paused, excluded or suspended stays so: None.

    Raises:
        DataError: The login belongs to somebody who is not simulated.
    """
    login = labeller.labeller_id
    account = account_by_login(session, login)
    if account is None:
        name = login.replace("-", " ").capitalize()
        return join(session, project_id, labeller, login=login, name=name, stage=stage)
    if account.made_by != "simulated":
        raise DataError(
            f"the login {login} belongs to {account.name}, who is not simulated",
            "The team needs the logins simulated-01, simulated-02, ... for itself.",
        )
    member = session.get(MemberRow, (project_id, account.id))
    if account.state != "active" or (member and member.stage in ("paused", "excluded")):
        return None
    if member is None:
        _let_in(session, project_id, account.id, labeller, stage)
    elif member.stage != stage:
        set_stage(
            session,
            project_id=project_id,
            account_id=account.id,
            stage=stage,
            by=None,
            reason="The simulated team was started at this stage",
        )
    return _worker(account.id, labeller)


def _let_in(
    session: Session,
    project_id: str,
    account_id: str,
    labeller: SimulatedLabeller,
    stage: MemberStage,
    *,
    by: str | None = None,
    now: datetime | None = None,
) -> None:
    add_member(
        session,
        project_id=project_id,
        account_id=account_id,
        stage=stage,
        held_out=labeller.held_out,
        note="Simulated",
        by=by,
        now=now,
    )


def _worker(account_id: str, labeller: SimulatedLabeller) -> Worker:
    chance = random.Random(derived_id("worker", labeller.team_seed, labeller.labeller_id))
    return Worker(account_id=account_id, labeller=labeller, chance=chance)


def begin(
    session: Session,
    worker: Worker,
    *,
    project_id: str | None = None,
    batch_id: str | None = None,
    now: datetime,
) -> Task | None:
    """Claim the next task and open it; None: there is nothing to do."""
    claim = claim_next(
        session, worker.account_id, project_id=project_id, batch_id=batch_id, now=now
    )
    if claim is None:
        return None
    present(session, worker.account_id, claim.item_id, shuffle=worker.chance, now=now)
    return Task(claim, now)


def consider(session: Session, worker: Worker, task: Task, material: Material) -> Answered:
    """What the worker will do with a task, and how long it takes them: less than the lease."""
    assigned = assignment(session, worker.account_id, task.claim.item_id)
    answered = answer_task(session, worker, assigned, material)
    most = _MOST_OF_A_LEASE * assigned.batch.lease_seconds
    return replace(answered, seconds=min(answered.seconds, most))


def finish(
    session: Session, worker: Worker, task: Task, answered: Answered, *, now: datetime
) -> Outcome | None:
    """Hand the task in; None where it was skipped instead."""
    if answered.answer is None:
        skip(session, worker.account_id, task.claim.item_id, answered.skip_reason, now=now)
        return None
    return submit(
        session,
        worker.account_id,
        task.claim.item_id,
        token=task.claim.token,
        answer=answered.answer,
        seconds_spent=answered.seconds,
        made_by="simulated",
        now=now,
    )


def work_through(
    database: Database,
    workers: Sequence[Worker],
    *,
    material: Material,
    clock: Clock,
    project_id: str | None = None,
    batch_id: str | None = None,
    most_each: int | None = None,
    most: int | None = None,
    tally: Tally | None = None,
    delays: Sequence[timedelta] = (),
    on_step: Callable[[Tally], None] | None = None,
) -> Tally:
    """Let the workers work at the same time until there is nothing left for them.

    Args:
        database: Each step is a transaction of its own; people may work beside.
        material: What they write.
        most_each: Tasks after which a worker stops.
        most: Labels in the tally after which all stop; what they have open stays theirs.
        tally: Of earlier work, which is counted on.
        delays: How much later than the clock's now each worker starts.
        on_step: Told the tally after each step.
    """
    tally = Tally() if tally is None else tally
    start = clock.now()
    waits = [*delays, *[timedelta()] * (len(workers) - len(delays))]
    due = [(start + waits[number], number) for number in range(len(workers))]
    heapq.heapify(due)
    open_tasks: dict[int, tuple[Task, Answered]] = {}
    num_begun = [0] * len(workers)
    while due and (most is None or tally.handed_in < most):
        moment, number = heapq.heappop(due)
        clock.wait_until(moment)
        worker, now = workers[number], clock.now()
        with database.write() as session:
            if number in open_tasks:
                outcome = finish(session, worker, *open_tasks.pop(number), now=now)
                _count(tally, outcome)
            if most_each is not None and num_begun[number] >= most_each:
                task = None
            else:
                task = begin(session, worker, project_id=project_id, batch_id=batch_id, now=now)
        if task is not None:
            num_begun[number] += 1
            with database.read() as session:  # judging takes long; others may write meanwhile
                answered = consider(session, worker, task, material)
            open_tasks[number] = task, answered
            heapq.heappush(due, (moment + timedelta(seconds=answered.seconds), number))
        if on_step is not None:
            on_step(tally)
    return tally


def _count(tally: Tally, outcome: Outcome | None) -> None:
    if outcome is None:
        tally.skipped += 1
    elif outcome.status == "accepted":
        tally.accepted += 1
    else:
        tally.surplus += 1
