"""A rehearsal as a whole: all is marked as simulated, every part of a project's life is there."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from fakes.played_rehearsal import Played
from heedful.core.errors import DataError
from heedful.pipeline.composed_completions import PREFIX
from heedful.pipeline.rehearsal import rehearse
from heedful.store.batches import progress
from heedful.store.database import Database, open_database
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    CompletionRow,
    InviteRow,
    MemberRow,
    ProjectRow,
    SlotRow,
    SubmissionRow,
)


def test_everything_says_that_it_is_simulated(played: Played) -> None:
    with played.database.read() as session:
        project = session.get_one(ProjectRow, played.rehearsal.project_id)
        assert project.simulated
        assert project.name == played.rehearsal.name == "Rehearsal (simulated)"
        accounts = session.scalars(select(AccountRow)).all()
        assert {(one.made_by, one.password_hash) for one in accounts} == {("simulated", None)}
        assert {one.role for one in accounts} == {"researcher", "reviewer", "labeller"}
        assert set(session.scalars(select(SubmissionRow.made_by))) == {"simulated"}
        outputs = session.scalars(select(CompletionRow.record))
        named = {one["checkpoint_id"].split(":")[0] + ":" for one in outputs}
        assert named == {PREFIX, "labeller:"}


def test_every_part_of_a_projects_life_is_there(played: Played) -> None:
    with played.database.read() as session:
        batches = session.scalars(select(BatchRow)).all()
        assert {one.kind for one in batches} == {
            "prompt",
            "demonstration",
            "ranking",
            "adjudication",
        }
        assert {one.purpose for one in batches} == {
            "screening",
            "practice",
            "training",
            "evaluation",
        }
        assert {one.state for one in batches} == {"draft", "open", "closed"}
        statuses = Counter(session.scalars(select(SubmissionRow.status)))
        assert statuses["surplus"] == 1
        assert statuses.total() == played.rehearsal.num_labels > 200
        assert any(progress(session, one.id, now=played.now).leased for one in batches)
        stages = Counter(session.scalars(select(MemberRow.stage)))
        assert stages["excluded"] == 2
        assert set(stages) == {"working", "excluded"}
        invite = session.scalars(select(InviteRow)).one()
        assert invite.used_at is None
        assert invite.expires_at < played.now


def test_times_lie_in_the_past_two_weeks(played: Played) -> None:
    with played.database.read() as session:
        first, last = session.execute(
            select(func.min(SubmissionRow.submitted_at), func.max(SubmissionRow.submitted_at))
        ).one()
        days = {one.date() for one in session.scalars(select(SubmissionRow.submitted_at))}
        assert played.now - timedelta(days=15) < first < last < played.now
        assert len(days) >= 12
        joined = session.scalars(select(MemberRow.joined_at)).all()
        assert max(joined) < first
        leased = session.scalars(select(SlotRow.leased_at).where(SlotRow.leased_at.is_not(None)))
        assert max(leased) <= played.now


def test_progress_is_told(played: Played) -> None:
    assert played.told[0].startswith("making the project")
    assert len(played.told) == 7


@pytest.mark.parametrize("size", [5, 41])
def test_sizes_that_cannot_be_played_are_refused(database: Database, size: int) -> None:
    with pytest.raises(DataError, match="6 to 40"):
        rehearse(database, size=size)


@pytest.mark.slow
def test_a_second_rehearsal_stands_beside_the_first(database: Database) -> None:
    names = [rehearse(database, size=6, seed=1).name for _ in range(2)]
    assert names == ["Rehearsal (simulated)", "Rehearsal (simulated), 2"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_labels(played: Played, tmp_path: Path) -> None:
    def labels(database: Database) -> list[object]:
        with database.read() as session:
            rows = session.execute(
                select(AccountRow.name, SubmissionRow.submitted_at, SubmissionRow.answer)
                .join(SubmissionRow, SubmissionRow.account_id == AccountRow.id)
                .order_by(SubmissionRow.submitted_at, AccountRow.name)
            )
            return [(row.name, row.submitted_at, row.answer) for row in rows]

    with open_database(f"sqlite:///{tmp_path / 'again'}.db", migrate=True) as database:
        rehearse(database, size=6, now=played.now)
        assert labels(database) == labels(played.database)
