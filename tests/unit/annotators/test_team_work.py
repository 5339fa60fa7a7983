"""The simulated team works through the same slots as anybody, on a played or a real clock."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.labelling_store import DemoProject, demo_batch, demo_project
from heedful.annotators.simulated import simulated_team
from heedful.annotators.team_answers import Material, Worker
from heedful.annotators.team_work import (
    PlayedClock,
    RealClock,
    Tally,
    join,
    join_or_return,
    work_through,
)
from heedful.core.errors import ConfigError, DataError
from heedful.store.access import create_account, suspend
from heedful.store.batches import progress
from heedful.store.columns import utc_now
from heedful.store.database import Database, open_database
from heedful.store.projects import set_stage
from heedful.store.tables import (
    AccountRow,
    MemberRow,
    PresentationRow,
    RankingRow,
    SlotRow,
    SubmissionRow,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def team_of(session: Session, demo: DemoProject, size: int, **habits: float) -> list[Worker]:
    return [
        join(
            session,
            demo.id,
            labeller,
            login=labeller.labeller_id,
            name=labeller.labeller_id,
            **habits,  # type: ignore[arg-type]
        )
        for labeller in simulated_team(0, size)
    ]


def test_nobody_can_sign_in_to_a_simulated_account(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        team = team_of(session, demo, 3)
        for worker in team:
            account = session.get_one(AccountRow, worker.account_id)
            assert (account.made_by, account.password_hash) == ("simulated", None)
            member = session.get_one(MemberRow, (demo.id, worker.account_id))
            assert (member.held_out, member.note) == (worker.labeller.held_out, "Simulated")


def test_a_team_does_all_of_a_batch_and_no_more(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=5)
        batch = demo_batch(session, demo, overlap=2)
        team = team_of(session, demo, 6)
    steps: list[int] = []
    tally = work_through(
        database,
        team,
        material=Material(),
        clock=PlayedClock(NOW),
        on_step=lambda so_far: steps.append(so_far.handed_in),
    )
    assert tally == Tally(accepted=10)
    assert steps[-1] == 10
    assert steps == sorted(steps)
    with database.read() as session:
        assert progress(session, batch.id).done == 10
        held_out = {worker.account_id for worker in team if worker.labeller.held_out}
        labels = session.scalars(select(SubmissionRow)).all()
        assert {label.made_by for label in labels} == {"simulated"}
        assert held_out.isdisjoint(label.account_id for label in labels)
        assert len(session.scalars(select(PresentationRow)).all()) == 10
        for label in labels:
            assert NOW < label.submitted_at < NOW + timedelta(hours=2)
            assert label.seconds_spent > 0


def test_played_time_passes_as_the_work_takes(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        demo_batch(session, demo)
        team = team_of(session, demo, 3)[:1]
    clock = PlayedClock(NOW)
    late = timedelta(minutes=20)
    work_through(database, team, material=Material(), clock=clock, delays=[late])
    with database.read() as session:
        slots = session.scalars(select(SlotRow).order_by(SlotRow.place)).all()
        assert slots[0].leased_at == NOW + late
        for earlier, later in pairwise(slots):
            assert later.leased_at == earlier.done_at
        assert clock.now() == slots[-1].done_at


def test_one_may_stop_early_and_skip(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=6)
        demo_batch(session, demo)
        team = team_of(session, demo, 3, skip_rate=1.0)[:2]
    clock = PlayedClock(NOW)
    tally = work_through(database, team, material=Material(), clock=clock, most_each=2)
    assert tally == Tally(skipped=4)


def test_the_same_seed_gives_the_same_labels(tmp_path: Path) -> None:
    def labels(name: str, seed: int) -> list[object]:
        with open_database(f"sqlite:///{tmp_path / name}.db", migrate=True) as database:
            with database.write() as session:
                demo = demo_project(session, num_prompts=3)
                demo_batch(session, demo)
                labeller = simulated_team(seed)[0]
                worker = join(session, demo.id, labeller, login="one", name="One")
            work_through(database, [worker], material=Material(), clock=PlayedClock(NOW))
            with database.read() as session:
                rows = session.execute(
                    select(RankingRow.record, SubmissionRow.answer, SubmissionRow.submitted_at)
                    .join(SubmissionRow, SubmissionRow.id == RankingRow.submission_id)
                    .order_by(SubmissionRow.submitted_at)
                )
                return [(row.record["ranks"], row.answer, row.submitted_at) for row in rows]

    first = labels("first", 0)
    assert len(first) == 3
    assert labels("again", 0) == first != labels("other", 1)


def test_in_real_time_the_team_works_as_much_faster_as_asked(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo)
        team = team_of(session, demo, 3)[:1]
    began = time.monotonic()
    tally = work_through(database, team, material=Material(), clock=RealClock(speed=400.0))
    took = time.monotonic() - began
    assert tally.accepted == 2
    with database.read() as session:
        seconds = sum(session.scalars(select(SubmissionRow.seconds_spent)))
    assert seconds / 400 <= took < seconds / 400 + 5


def test_at_an_infinite_speed_nobody_waits(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo)
        team = team_of(session, demo, 3)[:1]
    began = utc_now()
    clock = RealClock(speed=float("inf"))
    tally = work_through(database, team, material=Material(), clock=clock)
    assert tally.accepted == 2
    with database.read() as session:
        for label in session.scalars(select(SubmissionRow)):
            assert began <= label.submitted_at <= utc_now()


def test_a_team_stops_after_so_many_labels_and_counts_on(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=6)
        demo_batch(session, demo)
        team = team_of(session, demo, 3)
    clock, tally = PlayedClock(NOW), Tally(accepted=1)
    done = work_through(database, team, material=Material(), clock=clock, most=4, tally=tally)
    assert done is tally
    assert tally == Tally(accepted=4)
    with database.read() as session:
        assert len(session.scalars(select(SubmissionRow)).all()) == 3


def test_a_labeller_comes_back_to_the_same_account(database: Database) -> None:
    one = simulated_team(0, 3)[0]
    with database.write() as session:
        demo, other = demo_project(session), demo_project(session, name="Other")
        first = join_or_return(session, demo.id, one, "screening")
        again = join_or_return(session, demo.id, one, "working")
        elsewhere = join_or_return(session, other.id, one, "working")
        assert first is not None
        assert again is not None
        assert elsewhere is not None
        account = session.get_one(AccountRow, first.account_id)
        assert first.account_id == again.account_id == elsewhere.account_id
        assert (account.login, account.name) == ("simulated-01", "Simulated 01")
        assert (account.made_by, account.password_hash) == ("simulated", None)
        assert session.get_one(MemberRow, (demo.id, account.id)).stage == "working"
        set_stage(
            session, project_id=demo.id, account_id=account.id, stage="paused", by=None, reason="x"
        )
        assert join_or_return(session, demo.id, one, "working") is None
        suspend(session, account_id=account.id, by=demo.admin.id)
        assert join_or_return(session, other.id, one, "working") is None


def test_a_person_s_account_is_never_taken(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        create_account(session, login="simulated-01", name="Ida", role="labeller")
        with pytest.raises(DataError, match="belongs to Ida, who is not simulated"):
            join_or_return(session, demo.id, simulated_team(0, 3)[0], "working")


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_must_be_a_speed(speed: float) -> None:
    with pytest.raises(ConfigError, match="times as fast"):
        RealClock(speed)
