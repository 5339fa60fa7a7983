"""A rehearsal: a demo project that the simulated team has worked in for two weeks.

So that a newcomer sees a living system before any person has labelled anything: invites,
screening, practice, the work, a final evaluation by held-out labellers, adjudication,
questions, late and unfinished work. The prompts are the embedded ones, the outputs are
composed from demonstrations (`composed_completions`), no model is needed. The project, its
accounts and every label are marked as simulated; nobody can sign in to the accounts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from heedful.core.errors import DataError
from heedful.pipeline.rehearsal_cast import DAYS, make_cast
from heedful.pipeline.rehearsal_ends import answer_survey, ask_questions, leave_loose_ends
from heedful.pipeline.rehearsal_screening import practise, screen
from heedful.pipeline.rehearsal_work import adjudicate, collect, evaluate
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.tables import ProjectRow, SubmissionRow

SIZE = 12
_SIZES = range(6, 41)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was made."""

    project_id: str
    name: str
    num_labels: int


def rehearse(
    database: Database,
    *,
    seed: int = 0,
    size: int = SIZE,
    now: datetime | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Rehearsal:
    """Fill a new project with two weeks of simulated work that end now.

    The labels depend on the seed, the size and the name of the project alone.

    Args:
        size: Labellers who pass the screening or are held out; the work grows with it.
        on_progress: Told what is about to be played.

    Raises:
        DataError: The size is too small for every part to be played, or too large for the
            embedded prompts.
    """
    if size not in _SIZES:
        raise DataError(
            f"a rehearsal with {size} labellers", f"Choose {_SIZES[0]} to {_SIZES[-1]}."
        )
    now = now or utc_now()
    say = on_progress or (lambda _: None)
    morning = now.replace(hour=9, minute=0, second=0, microsecond=0)
    say("making the project, its people and prompts")
    cast = make_cast(database, seed=seed, size=size, start=morning - timedelta(days=DAYS))
    say("screening")
    screen(cast)
    say("practice")
    practise(cast)
    say("the work for training")
    collect(cast, size)
    say("the final evaluation")
    evaluate(cast, size)
    say("adjudication, questions, the survey")
    adjudicate(cast)
    ask_questions(cast)
    answer_survey(cast)
    say("late and unfinished work")
    leave_loose_ends(cast, now)
    with database.read() as session:
        mine = SubmissionRow.project_id == cast.project_id
        num_labels = session.scalar(select(func.count()).select_from(SubmissionRow).where(mine))
        name = session.get_one(ProjectRow, cast.project_id).name
    return Rehearsal(cast.project_id, name, num_labels or 0)
