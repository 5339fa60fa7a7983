"""Projects, instructions, members, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from fakes.labelling_store import demo_account, demo_batch, demo_project
from heedful.core.errors import DataError
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.projects import (
    PURPOSES,
    add_member,
    create_project,
    current_instructions,
    free_leases,
    members,
    publish_instructions,
    set_stage,
)
from heedful.store.tables import AuditRow, MemberRow, SlotRow

TEXTS = dict.fromkeys(PURPOSES, "Be fair.")


def test_a_project_has_instructions_for_every_purpose(database: Database) -> None:
    with database.write() as session:
        project = create_project(session, name=" One ", instructions=TEXTS, created_by=None)
    assert project.name == "One"
    with database.read() as session:
        for purpose in PURPOSES:
            row = current_instructions(session, project.id, purpose)
            assert (row.version, row.text) == (1, "Be fair.")
        actions = session.scalars(select(AuditRow.action)).all()
    assert actions == ["project.create", *["instructions.publish"] * 4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "  "}, "needs a name"),
        ({"name": "Demo"}, "already"),
        ({"instructions": {"training": "x"}}, "evaluation, screening, practice"),
        ({"instructions": TEXTS | {"practice": " "}}, "empty"),
        ({"pay_rate": -1.0}, "negative"),
    ],
)
def test_a_project_that_cannot_be(database: Database, change: dict, words: str) -> None:
    with database.write() as session:
        demo_project(session)
    arguments = {"name": "Two", "instructions": TEXTS, "created_by": None} | change
    with pytest.raises(DataError, match=words), database.write() as session:
        create_project(session, **arguments)


def test_instructions_count_their_versions(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        second = publish_instructions(
            session, project_id=demo.id, purpose="training", text="New", published_by=demo.admin.id
        )
    assert second.version == 2
    with database.read() as session:
        assert current_instructions(session, demo.id, "training").text == "New"
        assert current_instructions(session, demo.id, "practice").version == 1
        with pytest.raises(DataError, match="no instructions"):
            current_instructions(session, "project-other", "training")
    with pytest.raises(DataError, match="no purpose"), database.write() as session:
        publish_instructions(
            session,
            project_id=demo.id,
            purpose="play",  # type: ignore[arg-type]
            text="x",
            published_by=None,
        )


def test_members_in_the_order_they_joined(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_labellers=1)
        late = demo_account(session, "a-late-one", "labeller")
        add_member(
            session,
            project_id=demo.id,
            account_id=late.id,
            held_out=True,
            now=utc_now() + timedelta(seconds=1),
        )
    with database.read() as session:
        rows = members(session, demo.id)
    assert rows[-1].account_id == late.id
    assert (rows[-1].stage, rows[-1].held_out) == ("screening", True)
    assert len(rows) == 4


def test_a_member_that_cannot_be(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
    known = demo.labellers[0].id
    for project_id, account_id, stage, words in (
        (demo.id, known, "working", "member already"),
        ("project-none", known, "working", "no project"),
        (demo.id, "account-none", "working", "no account"),
        (demo.id, demo.admin.id, "resting", "no stage"),
    ):
        with pytest.raises(DataError, match=words), database.write() as session:
            add_member(session, project_id=project_id, account_id=account_id, stage=stage)


def test_a_change_of_stage_is_logged_and_puts_tasks_back(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        batch = demo_batch(session, demo, overlap=2)
        account_id = demo.labellers[0].id
        slot = session.scalars(select(SlotRow).where(SlotRow.batch_id == batch.id)).first()
        slot.state, slot.labeller_id, slot.lease_token_hash = "leased", account_id, "hash"
        slot.leased_at = slot.lease_expires_at = utc_now()
    with database.write() as session:
        set_stage(
            session,
            project_id=demo.id,
            account_id=account_id,
            stage="paused",
            by=demo.researcher.id,
            reason="holiday",
        )
    with database.read() as session:
        assert session.get(MemberRow, (demo.id, account_id)).stage == "paused"
        freed = session.get(SlotRow, slot.id)
        assert (freed.state, freed.labeller_id, freed.lease_token_hash) == ("free", None, None)
        line = session.scalars(select(AuditRow).where(AuditRow.action == "member.stage")).one()
        assert line.detail == {"from": "working", "to": "paused", "reason": "holiday"}


def test_leases_of_other_projects_and_people_stay(database: Database) -> None:
    with database.write() as session:
        demos = [demo_project(session), demo_project(session, name="Other")]
        me, you = demos[0].labellers
        for demo in demos:
            batch = demo_batch(session, demo, overlap=1)
            slots = session.scalars(select(SlotRow).where(SlotRow.batch_id == batch.id)).all()
            for slot, labeller in zip(slots, (me, you), strict=False):
                slot.state, slot.labeller_id = "leased", labeller.id
    with database.write() as session:
        assert free_leases(session, account_id=me.id, project_id=demos[0].id) == 1
        assert free_leases(session, account_id=me.id) == 1
        assert free_leases(session, account_id=me.id) == 0
    with database.read() as session:
        leased = session.scalars(select(SlotRow.labeller_id).where(SlotRow.state == "leased"))
        assert leased.all() == [you.id, you.id]


def test_a_stage_of_nobody(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
    with pytest.raises(DataError, match="not a member"), database.write() as session:
        set_stage(
            session, project_id=demo.id, account_id="account-x", stage="paused", by=None, reason=""
        )
