"""Claiming, leases, heartbeats, skips: one labeller at a time, the clock in the test's hand."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from fakes.label_answers import hand_in
from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import DataError, LeaseLostError, NotAllowedError
from heedful.store.access import suspend
from heedful.store.database import Database
from heedful.store.presentations import present
from heedful.store.slots import Claim, claim_next, current, heartbeat, remaining, reopen, skip
from heedful.store.tables import PresentationRow, SkipRow, SlotRow

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LEASE = timedelta(seconds=1800)
ONE, TWO = "account-labeller1", "account-labeller2"


def claimed(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def test_slots_are_given_in_the_order_of_the_batch_and_once(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        demo_batch(session, demo)
        items = [claimed(claim_next(session, ONE, now=NOW)).item_id for _ in range(2)]
        items.append(claimed(claim_next(session, TWO, now=NOW)).item_id)
        assert claim_next(session, TWO, now=NOW) is None
        slots = session.scalars(select(SlotRow).order_by(SlotRow.place)).all()
        assert [slot.item_id for slot in slots] == items
        assert [slot.labeller_id for slot in slots] == [ONE, ONE, TWO]


def test_one_labeller_never_gets_both_slots_of_an_item(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo, overlap=2)
        mine = [claim_next(session, ONE, now=NOW) for _ in range(3)]
        theirs = [claim_next(session, TWO, now=NOW) for _ in range(3)]
        assert len({claimed(claim).item_id for claim in mine[:2]}) == 2
        assert mine[2] is theirs[2] is None
        assert [claimed(c).item_id for c in mine[:2]] == [claimed(c).item_id for c in theirs[:2]]


def test_a_higher_priority_goes_first_and_the_filters_hold(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        usual = demo_batch(session, demo, name="Usual")
        urgent = demo_batch(session, demo, name="Urgent", priority=5)
        assert claimed(claim_next(session, ONE, now=NOW)).batch_id == urgent.id
        claim = claim_next(session, ONE, batch_id=usual.id, now=NOW)
        assert claimed(claim).batch_id == usual.id
        assert claim_next(session, ONE, project_id="project-other", now=NOW) is None


def test_an_expired_lease_goes_to_the_next_who_asks(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        first = claimed(claim_next(session, ONE, now=NOW))
        assert claim_next(session, TWO, now=NOW + LEASE - timedelta(seconds=1)) is None
        second = claimed(claim_next(session, TWO, now=NOW + LEASE))
        assert second.slot_id == first.slot_id
        assert second.token != first.token
        with pytest.raises(LeaseLostError):
            heartbeat(session, ONE, first.item_id, first.token, now=NOW + LEASE)
        assert reopen(session, ONE, first.item_id, now=NOW + LEASE) is None
        assert [held.slot_id for held in current(session, TWO, now=NOW + LEASE)] == [first.slot_id]
        assert current(session, ONE, now=NOW + LEASE) == []


def test_a_heartbeat_extends_even_an_expired_lease_that_nobody_took(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claimed(claim_next(session, ONE, now=NOW))
        late = NOW + LEASE + timedelta(minutes=5)
        assert [held.expired for held in current(session, ONE, now=late)] == [True]
        assert heartbeat(session, ONE, claim.item_id, claim.token, now=late) == late + LEASE
        assert [held.expired for held in current(session, ONE, now=late)] == [False]


def test_no_more_time_in_view_is_believed_than_has_passed(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claimed(claim_next(session, ONE, now=NOW))
        present(session, ONE, claim.item_id, now=NOW)
        beats = ((30, 20.0), (60, 500.0), (90, -4.0))
        for seconds, active in beats:
            moment = NOW + timedelta(seconds=seconds)
            heartbeat(session, ONE, claim.item_id, claim.token, active_seconds=active, now=moment)
        shown = session.get_one(PresentationRow, (claim.item_id, ONE))
        assert shown.active_seconds == 20.0 + 30.0


def test_reopening_in_another_window_ends_the_first_ones_heartbeats(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        first = claimed(claim_next(session, ONE, now=NOW))
        second = claimed(reopen(session, ONE, first.item_id, now=NOW))
        assert second.slot_id == first.slot_id
        with pytest.raises(LeaseLostError, match="another window"):
            heartbeat(session, ONE, first.item_id, first.token, now=NOW)
        heartbeat(session, ONE, first.item_id, second.token, now=NOW)
        assert reopen(session, ONE, "item-nowhere", now=NOW) is None


def test_a_lost_item_can_be_reopened_while_a_slot_is_free(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, num_labellers=2)
        demo_batch(session, demo, overlap=2)
        first = claimed(claim_next(session, ONE, now=NOW))
        claimed(claim_next(session, TWO, now=NOW + LEASE))  # takes what One let lapse
        again = claimed(reopen(session, ONE, first.item_id, now=NOW + LEASE))
        assert again.item_id == first.item_id
        assert again.slot_id != first.slot_id


def test_a_skipped_item_is_passed_on_and_not_given_again(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claimed(claim_next(session, ONE, now=NOW))
        skip(session, ONE, claim.item_id, "unclear", "What is asked?", now=NOW)
        skip(session, ONE, claim.item_id, "other", now=NOW)
        assert session.get_one(SkipRow, (claim.item_id, ONE)).reason == "unclear"
        assert claim_next(session, ONE, now=NOW) is None
        assert reopen(session, ONE, claim.item_id, now=NOW) is None
        assert claimed(claim_next(session, TWO, now=NOW)).item_id == claim.item_id


def test_skips_that_cannot_be(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        demo_batch(session, demo)
        claim = claimed(claim_next(session, ONE, now=NOW))
        with pytest.raises(DataError, match="no reason to skip"):
            skip(session, ONE, claim.item_id, "bored")  # type: ignore[arg-type]
        with pytest.raises(DataError, match="2001 characters"):
            skip(session, ONE, claim.item_id, "other", "x" * 2001)
        with pytest.raises(NotAllowedError):
            skip(session, TWO, claim.item_id, "other")
        hand_in(session, ONE, claim.item_id, now=NOW)
        with pytest.raises(DataError, match="already submitted"):
            skip(session, ONE, claim.item_id, "other")


def test_a_suspended_account_gets_and_does_nothing(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        demo_batch(session, demo)
        claim = claimed(claim_next(session, ONE, now=NOW))
        suspend(session, account_id=ONE, by=demo.admin.id)
        assert remaining(session, ONE, now=NOW) == []
        with pytest.raises(NotAllowedError, match="suspended"):
            claim_next(session, ONE, now=NOW)
        with pytest.raises(NotAllowedError, match="suspended"):
            heartbeat(session, ONE, claim.item_id, claim.token)
        assert claimed(claim_next(session, TWO, now=NOW)).slot_id == claim.slot_id


def test_an_unknown_account_is_an_error_and_an_unknown_item_is_not_given(
    database: Database,
) -> None:
    with database.write() as session:
        demo_project(session)
        with pytest.raises(DataError, match="no account"):
            claim_next(session, "account-nobody")
        assert remaining(session, "account-nobody") == []
        with pytest.raises(LeaseLostError):
            heartbeat(session, ONE, "item-nowhere", "token")


def test_remaining_counts_what_claims_would_give(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=3)
        demo_batch(session, demo, name="Low", overlap=2)
        demo_batch(session, demo, name="High", priority=1)
        claimed(claim_next(session, ONE, now=NOW))
        counted = [
            (left.kind, left.purpose, left.items) for left in remaining(session, ONE, now=NOW)
        ]
        assert counted == [("ranking", "training", 2), ("ranking", "training", 3)]
        assert [left.items for left in remaining(session, TWO, now=NOW + LEASE)] == [3, 3]
        given = 0
        while claim_next(session, TWO, now=NOW + LEASE) is not None:
            given += 1
        assert given == 6
        assert remaining(session, TWO, now=NOW + LEASE) == []
