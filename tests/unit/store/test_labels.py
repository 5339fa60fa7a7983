"""Handing work in: on time, late, twice, for nothing; and what is excluded later."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fakes.label_answers import fitting_answer, hand_in
from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import DataError, NotAllowedError
from heedful.core.records import Demonstration, Ranking
from heedful.store.access import suspend
from heedful.store.batches import progress
from heedful.store.database import Database
from heedful.store.drafts import save_draft
from heedful.store.labels import Excluded, exclude, exclude_labeller, include_again, submit
from heedful.store.presentations import present
from heedful.store.projects import set_stage
from heedful.store.slots import claim_next, current, heartbeat, reopen, skip
from heedful.store.tables import (
    AuditRow,
    DemonstrationRow,
    MemberRow,
    PromptRow,
    RankingRow,
    RatingRow,
    SlotRow,
    SubmissionRow,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LEASE = timedelta(seconds=1800)
LATE = NOW + LEASE + timedelta(seconds=1)
ONE, TWO, THREE = (f"account-labeller{number}" for number in (1, 2, 3))


def test_a_submission_is_stored_whole_and_typed(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        batch = demo_batch(session, demo)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        present(session, ONE, claim.item_id, now=NOW)
        save_draft(session, ONE, claim.item_id, {"half": "done"}, 0)
        outcome = hand_in(session, ONE, claim.item_id, token=claim.token, now=NOW, note="x")
        assert (outcome.status, outcome.repeated, outcome.elsewhere) == ("accepted", False, False)
        row = session.get_one(SubmissionRow, outcome.submission_id)
        assert row.answer["note"] == "x"
        assert row.slot_id == claim.slot_id
        assert (row.project_id, row.batch_id, row.made_by) == (demo.id, batch.id, "person")
        ranking = Ranking.model_validate(session.query(RankingRow).one().record)
        assert ranking.instructions_version == batch.instructions_id
        assert ranking.seconds_spent == row.seconds_spent == 30.0
        assert len(session.query(RatingRow).all()) == 3
        slot = session.get_one(SlotRow, claim.slot_id)
        assert (slot.state, slot.labeller_id, slot.done_at) == ("done", ONE, NOW)
        assert current(session, ONE, now=NOW) == []


def test_the_same_submission_again_gives_the_first_result(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        first = hand_in(session, ONE, claim.item_id, now=NOW)
        again = hand_in(session, ONE, claim.item_id, now=LATE)
        assert again.repeated
        assert again.submission_id == first.submission_id
        assert session.scalar(select(func.count()).select_from(SubmissionRow)) == 1
        with pytest.raises(DataError, match="received before"):
            hand_in(session, ONE, claim.item_id, changed=True)


def test_late_work_counts_while_nobody_took_the_slot(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        outcome = hand_in(session, ONE, claim.item_id, token=claim.token, now=LATE)
        assert outcome.status == "accepted"
        assert claim_next(session, TWO, now=LATE) is None


def test_late_work_counts_in_another_free_slot_and_is_surplus_after(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, num_labellers=3)
        demo_batch(session, demo, overlap=2)
        late = claim_next(session, ONE, now=NOW)
        also_late = claim_next(session, TWO, now=NOW)
        assert late is not None
        assert also_late is not None
        for account in (ONE, TWO):
            present(session, account, late.item_id, now=NOW)
        taken = claim_next(session, THREE, now=LATE)
        assert taken is not None
        assert taken.slot_id == late.slot_id
        # The other slot's lease has run out as well: it goes to whoever is done first.
        counted = hand_in(session, ONE, late.item_id, now=LATE)
        assert counted.status == "accepted"
        surplus = hand_in(session, TWO, late.item_id, now=LATE)
        assert surplus.status == "surplus"
        assert session.get_one(SubmissionRow, surplus.submission_id).slot_id is None
        assert hand_in(session, TWO, late.item_id, now=LATE).repeated
        assert hand_in(session, THREE, late.item_id, now=LATE).status == "accepted"


def test_work_on_an_item_skipped_before_is_still_kept(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        present(session, ONE, claim.item_id, now=NOW)
        skip(session, ONE, claim.item_id, "unclear", now=NOW)
        assert hand_in(session, ONE, claim.item_id, now=NOW).status == "accepted"


def test_work_from_an_older_window_counts_and_says_so(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        first = claim_next(session, ONE, now=NOW)
        assert first is not None
        assert reopen(session, ONE, first.item_id, now=NOW) is not None
        outcome = hand_in(session, ONE, first.item_id, token=first.token, now=NOW)
        assert outcome.status == "accepted"
        assert outcome.elsewhere


def test_who_was_excluded_meanwhile_leaves_surplus(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        present(session, ONE, claim.item_id, now=NOW)
        set_stage(
            session, project_id=demo.id, account_id=ONE, stage="excluded", by=None, reason="Haste"
        )
        assert hand_in(session, ONE, claim.item_id, now=NOW).status == "surplus"
        assert claim_next(session, TWO, now=NOW) is not None


def test_who_may_not_submit(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo, overlap=2)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        with pytest.raises(NotAllowedError, match="not given to you"):
            hand_in(session, TWO, claim.item_id)
        with pytest.raises(DataError, match=r"is marked as made by .* \(simulated\)"):
            hand_in(session, ONE, claim.item_id, made_by="simulated")
        with pytest.raises(DataError, match="makes labels by person, not by simulated"):
            submit(
                session,
                ONE,
                claim.item_id,
                token=None,
                answer=fitting_answer(session, ONE, claim.item_id, made_by="simulated"),
                seconds_spent=None,
                made_by="simulated",
            )
        suspend(session, account_id=ONE, by=demo.admin.id)
        with pytest.raises(NotAllowedError, match="suspended"):
            hand_in(session, ONE, claim.item_id)
        assert session.scalar(select(func.count()).select_from(SubmissionRow)) == 0


def test_time_is_taken_from_heartbeats_or_from_the_clock(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        demo_batch(session, demo)
        seconds = []
        for beats in (True, False, None):
            claim = claim_next(session, ONE, now=NOW)
            assert claim is not None
            if beats is not None:
                present(session, ONE, claim.item_id, now=NOW)
            later = NOW + timedelta(seconds=90)
            if beats:
                heartbeat(session, ONE, claim.item_id, claim.token, active_seconds=40.0, now=later)
            outcome = submit(
                session,
                ONE,
                claim.item_id,
                token=claim.token,
                answer=fitting_answer(session, ONE, claim.item_id),
                seconds_spent=None,
                now=later,
            )
            seconds.append(session.get_one(SubmissionRow, outcome.submission_id).seconds_spent)
        assert seconds == [40.0, 90.0, 90.0]


def test_prompts_and_demonstrations_become_rows(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo, name="Prompts", kind="prompt", priority=1)
        demo_batch(session, demo, name="Demonstrations", kind="demonstration")
        for _ in range(2):
            claim = claim_next(session, ONE, now=NOW)
            assert claim is not None
            hand_in(session, ONE, claim.item_id, now=NOW)
        written = session.query(PromptRow).filter_by(author_id=ONE).one()
        assert written.project_id == demo.id
        record = session.query(DemonstrationRow).one().record
        assert Demonstration.model_validate(record).seconds_spent == 30.0


def test_labels_are_excluded_with_a_reason_and_included_again(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo)
        ids = []
        for _ in range(2):
            claim = claim_next(session, ONE, now=NOW)
            assert claim is not None
            ids.append(hand_in(session, ONE, claim.item_id, now=NOW).submission_id)
        by = demo.researcher.id
        with pytest.raises(DataError, match="reason"):
            exclude(session, ids, reason=" ", by=by)
        with pytest.raises(DataError, match="no submission"):
            exclude(session, ["submission-nowhere"], reason="Haste", by=by)
        assert exclude(session, ids[:1], reason="Haste", by=by, now=NOW) == Excluded(1, 0)
        assert exclude_labeller(session, demo.id, ONE, "Bot", by, now=NOW) == Excluded(1, 0)
        rows = [session.get_one(SubmissionRow, one) for one in ids]
        assert [row.excluded_reason for row in rows] == ["Haste", "Bot"]
        assert {(row.excluded_by, row.excluded_at) for row in rows} == {(by, NOW)}
        assert session.get_one(MemberRow, (demo.id, ONE)).stage == "excluded"
        with pytest.raises(DataError, match="reason"):
            include_again(session, ids, reason="", by=by)
        assert include_again(session, ids, reason="Mistaken", by=by) == 2
        assert include_again(session, ids, reason="Mistaken", by=by) == 0
        assert {row.excluded_at for row in rows} == {None}
        actions = session.scalars(
            select(AuditRow.action).where(AuditRow.object_kind == "submission")
        ).all()
        assert sorted(actions) == ["label.exclude"] * 2 + ["label.include"] * 2


def done_labels(session: Session, num_labels: int, account: str = ONE) -> list[str]:
    """Submissions of the next items that a labeller gets."""
    ids = []
    for _ in range(num_labels):
        claim = claim_next(session, account, now=NOW)
        assert claim is not None
        ids.append(hand_in(session, account, claim.item_id, now=NOW).submission_id)
    return ids


def test_another_label_is_asked_for_in_place_of_an_excluded_one(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, num_labellers=3)
        batch = demo_batch(session, demo, overlap=2)
        (bad,), (good,) = done_labels(session, 1), done_labels(session, 1, TWO)
        assert progress(session, batch.id, now=NOW).done == 2
        by = demo.researcher.id
        done = exclude(session, [bad], reason="Haste", by=by, ask_again=True, now=NOW)
        assert done == Excluded(labels=1, asked_again=1)
        counts = progress(session, batch.id, now=NOW)
        assert (counts.slots, counts.done, counts.free, counts.excluded) == (2, 1, 1, 1)
        slots = session.scalars(select(SlotRow).order_by(SlotRow.n)).all()
        assert [(slot.n, slot.state) for slot in slots] == [
            (1, "withdrawn"),
            (2, "done"),
            (3, "free"),
        ]
        for account in (ONE, TWO):
            assert claim_next(session, account, now=NOW) is None
        done_labels(session, 1, THREE)
        counts = progress(session, batch.id, now=NOW)
        assert (counts.slots, counts.done, counts.free) == (2, 2, 0)
        line = session.scalars(select(AuditRow).where(AuditRow.action == "label.ask_again")).one()
        assert (line.object_id, line.account_id, line.detail) == (bad, by, {"reason": "Haste"})
        assert session.get_one(SubmissionRow, good).excluded_at is None


def test_a_label_is_replaced_once_whatever_becomes_of_it(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        batch = demo_batch(session, demo)
        bad = done_labels(session, 1)
        assert exclude(session, bad, reason="a", by=None, ask_again=True) == Excluded(1, 1)
        assert exclude(session, bad, reason="b", by=None, ask_again=True) == Excluded(0, 0)
        assert include_again(session, bad, reason="c", by=None) == 1
        assert exclude(session, bad, reason="d", by=None, ask_again=True) == Excluded(1, 0)
        assert progress(session, batch.id).slots == 1
        done_labels(session, 1, TWO)
        include_again(session, bad, reason="e", by=None)
        assert progress(session, batch.id).excluded == 0
        counting = select(func.count()).where(SubmissionRow.excluded_at.is_(None))
        assert session.scalar(counting) == 2


def test_surplus_has_no_slot_to_replace(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claim_next(session, ONE, now=NOW)
        assert claim is not None
        present(session, ONE, claim.item_id, now=NOW)
        assert claim_next(session, TWO, now=LATE) is not None
        hand_in(session, TWO, claim.item_id, now=LATE)
        surplus = hand_in(session, ONE, claim.item_id, now=LATE)
        assert surplus.status == "surplus"
        done = exclude(session, [surplus.submission_id], reason="x", by=None, ask_again=True)
        assert done == Excluded(labels=1, asked_again=0)


def test_all_of_a_labeller_is_asked_of_others(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        batch = demo_batch(session, demo)
        kept_so = done_labels(session, 3)[:1]
        exclude(session, kept_so, reason="Haste", by=None)
        done = exclude_labeller(session, demo.id, ONE, "Bot", None, ask_again=True, now=NOW)
        assert done == Excluded(labels=2, asked_again=2)
        assert progress(session, batch.id, now=NOW).free == 2
        done_labels(session, 2, TWO)
        assert claim_next(session, TWO, now=NOW) is None


def test_two_who_exclude_at_once_each_get_a_new_slot(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        batch = demo_batch(session, demo, overlap=2)
        both = [done_labels(session, 3, account) for account in (ONE, TWO)]

    def leave_out(ids: list[str]) -> Excluded:
        with database.write() as session:
            return exclude(session, ids, reason="x", by=None, ask_again=True)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(leave_out, [both[0], both[1][::-1]])) == [Excluded(3, 3)] * 2
    with database.read() as session:
        assert progress(session, batch.id).free == 6
