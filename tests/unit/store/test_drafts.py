"""Drafts: saved in turn, never over a newer one, kept until the work is handed in."""

import pytest

from fakes.label_answers import hand_in
from fakes.labelling_store import demo_batch, demo_project
from heedful.core.errors import DataError, DraftConflictError, NotAllowedError
from heedful.store.database import Database
from heedful.store.drafts import MOST_BYTES, load_draft, save_draft
from heedful.store.presentations import present
from heedful.store.slots import claim_next
from heedful.store.tables import SlotRow

ONE, TWO = "account-labeller1", "account-labeller2"


@pytest.fixture
def item_id(database: Database) -> str:
    """An item that the first labeller has open."""
    with database.write() as session:
        demo_batch(session, demo_project(session, num_prompts=1))
        claim = claim_next(session, ONE)
        assert claim is not None
        present(session, ONE, claim.item_id)
        return claim.item_id


def test_saves_count_up_and_load_gives_the_last(database: Database, item_id: str) -> None:
    with database.write() as session:
        assert load_draft(session, ONE, item_id) is None
        assert save_draft(session, ONE, item_id, {"ranks": {}}, 0) == 1
        assert save_draft(session, ONE, item_id, {"ranks": {"a": 1}}, 1) == 2
    with database.read() as session:
        draft = load_draft(session, ONE, item_id)
        assert draft is not None
        assert (draft.revision, draft.body) == (2, {"ranks": {"a": 1}})
        assert load_draft(session, TWO, item_id) is None


def test_an_older_window_does_not_overwrite(database: Database, item_id: str) -> None:
    with database.write() as session:
        save_draft(session, ONE, item_id, {"text": "first"}, 0)
        save_draft(session, ONE, item_id, {"text": "second"}, 1)
        for base in (0, 1, 5):
            with pytest.raises(DraftConflictError) as caught:
                save_draft(session, ONE, item_id, {"text": "old window"}, base)
            assert (caught.value.revision, caught.value.body) == (2, {"text": "second"})


def test_a_save_whose_answer_was_lost_may_be_repeated(database: Database, item_id: str) -> None:
    with database.write() as session:
        assert save_draft(session, ONE, item_id, {"text": "first"}, 0) == 1
        assert save_draft(session, ONE, item_id, {"text": "first"}, 0) == 1


def test_a_draft_that_is_gone_is_a_conflict(database: Database, item_id: str) -> None:
    with database.write() as session, pytest.raises(DraftConflictError) as caught:
        save_draft(session, ONE, item_id, {"text": "first"}, 3)
    assert (caught.value.revision, caught.value.body) == (0, {})


def test_a_draft_outlives_the_lease_but_not_the_submission(
    database: Database, item_id: str
) -> None:
    with database.write() as session:
        slot = session.query(SlotRow).one()
        slot.state, slot.labeller_id = "free", None
        session.flush()
        assert save_draft(session, ONE, item_id, {"text": "offline"}, 0) == 1
        hand_in(session, ONE, item_id)
        assert load_draft(session, ONE, item_id) is None
        with pytest.raises(DataError, match="already submitted"):
            save_draft(session, ONE, item_id, {"text": "late"}, 1)


def test_drafts_are_for_ones_own_items_and_of_a_size(database: Database, item_id: str) -> None:
    with database.write() as session:
        with pytest.raises(NotAllowedError):
            save_draft(session, TWO, item_id, {"text": "x"}, 0)
        with pytest.raises(DataError, match="bytes"):
            save_draft(session, ONE, item_id, {"text": "é" * (MOST_BYTES // 2)}, 0)
        assert load_draft(session, ONE, item_id) is None
