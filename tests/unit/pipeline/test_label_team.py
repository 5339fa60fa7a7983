"""The simulated team in a project of people: who joins, what they do, what they leave behind."""

import math
import signal
import time

import pytest
from sqlalchemy import func, select

from fakes.labelling_store import demo_batch, demo_project
from heedful.annotators.team_work import Tally
from heedful.core.errors import DataError, Interrupted
from heedful.data.embedded_data import embedded_demonstrations, embedded_prompts
from heedful.pipeline.label_team import TeamPlan, muster, put_to_work, summary
from heedful.store.batches import ItemSpec, progress, set_state
from heedful.store.contents import add_prompts
from heedful.store.database import Database
from heedful.store.projects import set_stage
from heedful.store.slots import claim_next, skip
from heedful.store.tables import (
    AccountRow,
    BatchRow,
    DemonstrationRow,
    MemberRow,
    SlotRow,
    SubmissionRow,
)


def work(database: Database, plan: TeamPlan) -> Tally:
    return put_to_work(database, muster(database, plan), plan)


def leased(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).where(SlotRow.state == "leased")) or 0


def test_the_team_does_what_is_left_beside_people_and_comes_back(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=4)
        batch = demo_batch(session, demo, overlap=2)
        final = demo_batch(session, demo, name="Final", purpose="evaluation")
        persons = claim_next(session, "account-labeller1")
        assert persons is not None
    plan = TeamPlan(project_id=demo.id, size=6, speed=math.inf)
    team = muster(database, plan)
    assert team.num_labels == 11
    tally = put_to_work(database, team, plan)
    assert tally == Tally(accepted=11)
    assert summary(tally) == "11 labels, all simulated."
    with database.read() as session:
        left = progress(session, batch.id)
        assert (left.done, left.leased, left.free) == (7, 1, 0)
        assert session.get_one(SlotRow, persons.slot_id).labeller_id == "account-labeller1"
        rows = session.scalars(select(SubmissionRow)).all()
        assert {row.made_by for row in rows} == {"simulated"}
        held_out = set(session.scalars(select(MemberRow.account_id).where(MemberRow.held_out)))
        assert len(held_out) == 2
        assert {r.batch_id for r in rows if r.account_id in held_out} <= {final.id}
    with database.write() as session:
        demo_batch(session, demo, name="Second")
    assert work(database, plan) == Tally(accepted=4)
    with database.read() as session:
        simulated = select(func.count()).where(AccountRow.made_by == "simulated")
        assert session.scalar(simulated) == 6


def test_it_stops_after_so_many_labels_and_holds_nothing(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=8)
        first = demo_batch(session, demo, name="First")
        demo_batch(session, demo, name="Urgent", priority=1)
    plan = TeamPlan(project_id=demo.id, size=6, speed=math.inf, batch_id=first.id, most=3)
    team = muster(database, plan)
    assert team.num_labels == 3
    assert put_to_work(database, team, plan) == Tally(accepted=3)
    assert leased(database) == 0
    with database.read() as session:
        assert set(session.scalars(select(SubmissionRow.batch_id))) == {first.id}


def test_ctrl_c_keeps_what_was_handed_in_and_gives_leases_back(
    database: Database, request: pytest.FixtureRequest
) -> None:
    # A test run in the background is deaf to it from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with database.write() as session:
        demo = demo_project(session, num_prompts=8)
        demo_batch(session, demo)
    plan = TeamPlan(project_id=demo.id, size=6, speed=math.inf)

    def interrupt(tally: Tally) -> None:
        if tally.handed_in == 2:
            signal.raise_signal(signal.SIGINT)

    team = muster(database, plan)
    with pytest.raises(Interrupted, match=r"Stopped\. 2 labels, all simulated\."):
        put_to_work(database, team, plan, on_step=interrupt)
    assert leased(database) == 0
    assert work(database, plan) == Tally(accepted=6)


def test_what_one_skips_another_who_had_stopped_may_do(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo, kind="demonstration")
    plan = TeamPlan(project_id=demo.id, size=3, speed=math.inf)
    tally = work(database, plan)
    assert tally == Tally(skipped=2)  # nobody has a text for it; the third is held out
    assert summary(tally) == "0 labels, all simulated, 2 tasks skipped."
    assert leased(database) == 0


def test_demonstrations_are_those_of_the_same_prompt(database: Database) -> None:
    known = embedded_demonstrations()[0]
    prompt = next(one for one in embedded_prompts() if one.id == known.prompt_id)
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        add_prompts(session, demo.id, [prompt.model_copy(update={"id": "prompt-mine"})])
        items = [ItemSpec("prompt-mine")]
        demo_batch(session, demo, kind="demonstration", items=items)
    assert work(database, TeamPlan(project_id=demo.id, size=3, speed=math.inf)).accepted == 1
    with database.read() as session:
        assert session.scalars(select(DemonstrationRow)).one().record["text"] == known.text


def test_the_pace_is_a_person_s_times_the_speed(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo)
        for worker in ("account-labeller1", "account-labeller2"):
            claim = claim_next(session, worker)
            assert claim is not None
            skip(session, worker, claim.item_id, "other")
    began = time.monotonic()
    tally = work(database, TeamPlan(project_id=demo.id, size=3, speed=100.0))
    took = time.monotonic() - began
    with database.read() as session:
        longest = max(session.scalars(select(SubmissionRow.seconds_spent)))
    assert tally.accepted == 2
    assert longest / 100 <= took < longest / 50 + 5


def test_what_cannot_be_is_refused_and_nobody_joins(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        plan = TeamPlan(project_id=demo.id, size=3, speed=math.inf)
        closed = demo_batch(session, demo, name="Shut", state="draft")
        screening = demo_batch(session, demo, name="Entry", purpose="screening")
    for batch_id, words in (
        (None, "project “Demo”\nNo open batch"),
        (closed.id, "batch “Shut”\nIt is draft; `heedful label batch open`"),
        (screening.id, "batch “Entry”\nIt is for screening: choose --stage screening"),
    ):
        with pytest.raises(DataError, match=words):
            muster(database, TeamPlan(project_id=demo.id, size=3, batch_id=batch_id))
    with database.read() as session:
        simulated = select(func.count()).where(AccountRow.made_by == "simulated")
        assert session.scalar(simulated) == 0
    assert work(
        database, TeamPlan(project_id=demo.id, size=3, stage="screening", speed=math.inf)
    ) == Tally(accepted=4)
    with database.write() as session:
        set_state(session, closed.id, "open", by=None)
        for account_id in session.scalars(
            select(AccountRow.id).where(AccountRow.made_by == "simulated")
        ).all():
            set_stage(
                session,
                project_id=demo.id,
                account_id=account_id,
                stage="paused",
                by=None,
                reason="x",
            )
    with pytest.raises(DataError, match="Everybody of it is paused"):
        muster(database, plan)


def test_adjudication_is_not_theirs(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        batch = demo_batch(session, demo)
        session.get_one(BatchRow, batch.id).kind = "adjudication"
    with pytest.raises(DataError, match="labellers do not"):
        muster(database, TeamPlan(project_id=demo.id, size=3, batch_id=batch.id))
