"""Many labellers at once, in real threads: no double assignment, no lost label."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import select

from fakes.label_answers import fitting_answer
from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import DraftConflictError
from heedful.store.columns import utc_now
from heedful.store.database import Database
from heedful.store.drafts import load_draft, save_draft
from heedful.store.labels import Outcome, submit
from heedful.store.presentations import present
from heedful.store.slots import Claim, claim_next, heartbeat, skip
from heedful.store.tables import PresentationRow, SlotRow, SubmissionRow

NUM_LABELLERS = 12


def in_threads(work: Callable[[int], None], num_threads: int = NUM_LABELLERS) -> None:
    """Run `work(0)`, `work(1)`, ... at the same time; the first error is raised."""
    together = threading.Barrier(num_threads)

    def start(number: int) -> None:
        together.wait()
        work(number)

    with ThreadPoolExecutor(num_threads) as pool:
        for done in [pool.submit(start, number) for number in range(num_threads)]:
            done.result()


def hand_in(database: Database, account_id: str, claim: Claim) -> Outcome:
    with database.read() as session:
        answer = fitting_answer(session, account_id, claim.item_id, by=account_id)
    with database.write() as session:
        return submit(
            session,
            account_id,
            claim.item_id,
            token=claim.token,
            answer=answer,
            seconds_spent=1.0,
        )


def check(database: Database, acknowledged: list[tuple[str, Outcome]], overlap: int) -> None:
    """Everything acknowledged is there, once; no item has more than `overlap` accepted."""
    with database.read() as session:
        slots = session.scalars(select(SlotRow)).all()
        labels = {label.id: label for label in session.scalars(select(SubmissionRow))}
    assert len(labels) == len(acknowledged) == len({one.submission_id for _, one in acknowledged})
    for account_id, outcome in acknowledged:
        label = labels[outcome.submission_id]
        assert label.status == outcome.status
        assert label.account_id == label.answer["by"] == account_id
    accepted = [label for label in labels.values() if label.status == "accepted"]
    assert {label.slot_id for label in accepted} == {one.id for one in slots if one.state == "done"}
    assert max(Counter(label.item_id for label in accepted).values()) <= overlap
    pairs = Counter((label.item_id, label.account_id) for label in labels.values())
    assert max(pairs.values()) == 1


def test_all_work_is_done_exactly_once(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_labellers=NUM_LABELLERS, num_prompts=40)
        demo_batch(session, demo, overlap=3)
    acknowledged: list[tuple[str, Outcome]] = []
    claims: list[Claim] = []

    def work(number: int) -> None:
        account_id = demo.labellers[number].id
        chance = random.Random(number)
        while True:
            with database.write() as session:
                claim = claim_next(session, account_id)
            if claim is None:
                return
            claims.append(claim)
            with database.write() as session:
                present(session, account_id, claim.item_id)
                heartbeat(session, account_id, claim.item_id, claim.token)
                if chance.random() < 0.1:
                    skip(session, account_id, claim.item_id, "unclear")
                    continue
            acknowledged.append((account_id, hand_in(database, account_id, claim)))

    in_threads(work)
    assert {outcome.status for _, outcome in acknowledged} == {"accepted"}
    check(database, acknowledged, overlap=3)
    # Somebody may have stopped while others still held what would be free a moment later.
    assert len(acknowledged) >= 0.9 * 40 * 3


def test_leases_that_run_out_under_load_lose_nothing(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_labellers=NUM_LABELLERS, num_prompts=15)
        demo_batch(session, demo, overlap=2)
    acknowledged: list[tuple[str, Outcome]] = []

    def work(number: int) -> None:
        account_id = demo.labellers[number].id
        # Half of them see a clock that is a lease ahead: they take what the others hold.
        ahead = timedelta(hours=1) if number % 2 else timedelta()
        while True:
            with database.write() as session:
                claim = claim_next(session, account_id, now=utc_now() + ahead)
                if claim is None:
                    return
                present(session, account_id, claim.item_id)
            acknowledged.append((account_id, hand_in(database, account_id, claim)))

    in_threads(work)
    check(database, acknowledged, overlap=2)
    accepted = [outcome for _, outcome in acknowledged if outcome.status == "accepted"]
    assert len(accepted) == 15 * 2


def test_one_account_in_many_windows_gets_no_item_twice(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_labellers=1, num_prompts=24)
        demo_batch(session, demo, overlap=3)
    account_id = demo.labellers[0].id
    claims: list[Claim] = []

    def click(_: int) -> None:
        for _ in range(3):
            with database.write() as session:
                claim = claim_next(session, account_id)
            assert claim is not None
            claims.append(claim)

    in_threads(click, 8)
    assert len({claim.item_id for claim in claims}) == len(claims) == 24


def test_the_same_submission_from_many_windows_is_stored_once(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_labellers=1, num_prompts=1)
        demo_batch(session, demo, overlap=2)
        account_id = demo.labellers[0].id
        claim = claim_next(session, account_id)
    assert claim is not None
    outcomes: list[Outcome] = []

    def send(_: int) -> None:
        with database.write() as session:
            present(session, account_id, claim.item_id)
        outcomes.append(hand_in(database, account_id, claim))

    in_threads(send, 8)
    assert len({outcome.submission_id for outcome in outcomes}) == 1
    assert [outcome.repeated for outcome in outcomes].count(False) == 1
    with database.read() as session:
        assert len(session.scalars(select(SubmissionRow)).all()) == 1
        assert len(session.scalars(select(PresentationRow)).all()) == 1


def test_of_drafts_saved_at_once_one_wins_and_the_others_are_told(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_labellers=1, num_prompts=1)
        demo_batch(session, demo)
        account_id = demo.labellers[0].id
        claim = claim_next(session, account_id)
    assert claim is not None
    saved: list[int] = []
    told: list[int] = []

    def save(number: int) -> None:
        try:
            with database.write() as session:
                save_draft(session, account_id, claim.item_id, {"window": number}, 0)
        except DraftConflictError as conflict:
            told.append(conflict.body["window"])
        else:
            saved.append(number)

    in_threads(save, 8)
    assert len(saved) == 1
    assert told == saved * 7
    with database.read() as session:
        draft = load_draft(session, account_id, claim.item_id)
        assert draft is not None
        assert (draft.revision, draft.body) == (1, {"window": saved[0]})
