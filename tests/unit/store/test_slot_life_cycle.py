"""Hypothesis plays labellers at random, and after each step the slots must make sense.

A slot has one holder; an item has at most `overlap` accepted labels and no more than one of
a labeller; what was acknowledged is there.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.label_answers import fitting_answer
from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import DataError, LeaseLostError, NotAllowedError
from heedful.store.access import reinstate, suspend
from heedful.store.database import Database
from heedful.store.label_checks import Answer
from heedful.store.labels import submit
from heedful.store.presentations import present
from heedful.store.projects import set_stage
from heedful.store.slots import claim_next, current, heartbeat, remaining, reopen, skip
from heedful.store.tables import AccountRow, ItemRow, SlotRow, SubmissionRow

NUM_LABELLERS, NUM_ITEMS, OVERLAP = 3, 2, 2
LEASE = timedelta(seconds=1800)
who = st.integers(0, NUM_LABELLERS - 1)
which = st.integers(0, 1000)


@dataclass
class Opened:
    """An item that a labeller has had on the screen, and the token they got with it."""

    account_id: str
    item_id: str
    token: str
    answer: Answer


class SlotLife(RuleBasedStateMachine):
    """The rules; `database` is set by the test."""

    database: Database
    names = count(1)

    @initialize()
    def project(self) -> None:
        self.now = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
        self.leases: dict[str, tuple[str, datetime]] = {}
        self.opened: list[Opened] = []
        self.acknowledged: dict[str, tuple[Opened, str]] = {}
        with self.database.write() as session:
            self.demo = demo_project(
                session,
                name=f"p{next(self.names)}",
                num_labellers=NUM_LABELLERS,
                num_prompts=NUM_ITEMS,
                num_completions=2,
            )
            self.batch_id = demo_batch(session, self.demo, overlap=OVERLAP).id
        self.accounts = [labeller.id for labeller in self.demo.labellers]

    def received(self, session: Session, account_id: str, slot_id: str, opened: Opened) -> None:
        """A claim was given: nobody else may have held the slot."""
        holder, ends = self.leases.get(slot_id, (account_id, self.now))
        assert holder == account_id or ends <= self.now
        self.leases[slot_id] = (account_id, self.now + LEASE)
        present(session, account_id, opened.item_id, now=self.now)
        self.opened.append(opened)

    @rule(who=who)
    def claim(self, who: int) -> None:
        account_id = self.accounts[who]
        with self.database.write() as session:
            left = sum(one.items for one in remaining(session, account_id, now=self.now))
            try:
                given = claim_next(session, account_id, now=self.now)
            except NotAllowedError:
                assert session.get_one(AccountRow, account_id).state == "suspended"
                return
            assert (given is not None) == (left > 0)
            if given is not None:
                answer = fitting_answer(session, account_id, given.item_id)
                opened = Opened(account_id, given.item_id, given.token, answer)
                self.received(session, account_id, given.slot_id, opened)

    @rule(minutes=st.integers(1, 40))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.opened)
    @rule(which=which)
    def come_back(self, which: int) -> None:
        was = self.opened[which % len(self.opened)]
        with self.database.write() as session:
            try:
                given = reopen(session, was.account_id, was.item_id, now=self.now)
            except NotAllowedError:
                return
            if given is not None:
                opened = Opened(was.account_id, was.item_id, given.token, was.answer)
                self.received(session, was.account_id, given.slot_id, opened)

    @precondition(lambda self: self.opened)
    @rule(which=which)
    def beat(self, which: int) -> None:
        was = self.opened[which % len(self.opened)]
        with self.database.write() as session:
            held = [one for one in current(session, was.account_id) if one.item_id == was.item_id]
            try:
                ends = heartbeat(session, was.account_id, was.item_id, was.token, now=self.now)
            except (LeaseLostError, NotAllowedError):
                return
            assert ends == self.now + LEASE
            self.leases[held[0].slot_id] = (was.account_id, ends)

    @precondition(lambda self: self.opened)
    @rule(which=which)
    def hand_in(self, which: int) -> None:
        was = self.opened[which % len(self.opened)]
        try:
            with self.database.write() as session:
                outcome = submit(
                    session,
                    was.account_id,
                    was.item_id,
                    token=was.token,
                    answer=was.answer,
                    seconds_spent=1.0,
                    now=self.now,
                )
        except NotAllowedError:
            return
        known = outcome.submission_id in self.acknowledged
        assert outcome.repeated == known
        if known:
            assert self.acknowledged[outcome.submission_id][1] == outcome.status
        self.acknowledged[outcome.submission_id] = (was, outcome.status)

    @precondition(lambda self: self.opened)
    @rule(which=which)
    def pass_on(self, which: int) -> None:
        was = self.opened[which % len(self.opened)]
        with self.database.write() as session:
            try:
                skip(session, was.account_id, was.item_id, "unclear", now=self.now)
            except (DataError, NotAllowedError):
                return
        self.released()

    @rule(who=who, stage=st.sampled_from(["working", "paused", "excluded"]))
    def move(self, who: int, stage: str) -> None:
        with self.database.write() as session:
            set_stage(
                session,
                project_id=self.demo.id,
                account_id=self.accounts[who],
                stage=stage,
                by=None,
                reason="",
            )
        self.released()

    @rule(who=who)
    def suspend_or_reinstate(self, who: int) -> None:
        account_id = self.accounts[who]
        with self.database.write() as session:
            if session.get_one(AccountRow, account_id).state == "active":
                suspend(session, account_id=account_id, by=None)
            else:
                reinstate(session, account_id=account_id, by=None)
        self.released()

    def released(self) -> None:
        """Forget the leases that were given back."""
        with self.database.read() as session:
            held = set(session.scalars(select(SlotRow.id).where(SlotRow.state == "leased")))
        self.leases = {slot: lease for slot, lease in self.leases.items() if slot in held}

    @invariant()
    def slots_make_sense(self) -> None:
        with self.database.read() as session:
            slots = session.scalars(select(SlotRow).where(SlotRow.batch_id == self.batch_id)).all()
            labels = session.scalars(
                select(SubmissionRow).where(SubmissionRow.batch_id == self.batch_id)
            ).all()
            answers = {label.id: label.answer for label in labels}
        assert len(slots) == NUM_ITEMS * OVERLAP
        accepted = {label.slot_id: label for label in labels if label.status == "accepted"}
        for slot in slots:
            held = slot.state == "leased"
            assert held == (slot.lease_expires_at is not None)
            assert held == (slot.lease_token_hash is not None)
            assert (slot.state == "free") == (slot.labeller_id is None)
            assert (slot.state == "done") == (slot.id in accepted)
            if slot.id in accepted:
                assert accepted[slot.id].account_id == slot.labeller_id
                assert accepted[slot.id].item_id == slot.item_id
        holders = Counter((slot.item_id, slot.labeller_id) for slot in slots if slot.labeller_id)
        assert max(holders.values(), default=1) == 1
        of_item = Counter(label.item_id for label in accepted.values())
        assert max(of_item.values(), default=0) <= OVERLAP
        pairs = Counter((label.item_id, label.account_id) for label in labels)
        assert max(pairs.values(), default=1) == 1
        assert set(self.acknowledged) == set(answers)
        for name, (was, _) in self.acknowledged.items():
            assert answers[name] == was.answer.raw


def test_slots_make_sense_whatever_happens(database: Database) -> None:
    SlotLife.database = database
    examples = 40 if database.is_sqlite else 12
    run_state_machine_as_test(
        SlotLife, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )
    with database.read() as session:
        assert session.scalars(select(ItemRow.id)).first() is not None
