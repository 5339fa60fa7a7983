"""The cast of a rehearsal: who is there, which prompts, what an item is made of."""

from datetime import UTC, datetime

import pytest

from heedful.pipeline.composed_completions import COMPOSERS
from heedful.pipeline.rehearsal_cast import Cast, make_cast
from heedful.store.contents import completions_by_id
from heedful.store.database import Database
from heedful.store.tables import AccountRow, MemberRow

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def cast(database: Database) -> Cast:
    return make_cast(database, seed=0, size=6, start=START)


def test_a_third_of_the_labellers_is_held_out(database: Database, cast: Cast) -> None:
    assert (len(cast.labellers), len(cast.held_out), len(cast.reviewers)) == (4, 2, 2)
    with database.read() as session:
        for worker in (*cast.labellers, *cast.held_out, cast.careless):
            member = session.get_one(MemberRow, (cast.project_id, worker.account_id))
            assert member.stage == "screening"
            assert member.held_out == (worker in cast.held_out)
            login = session.get_one(AccountRow, worker.account_id).login
            assert login.startswith("simulated-")


def test_prompts_are_taken_once_and_have_demonstrations(cast: Cast) -> None:
    first, second = cast.take(8, sensitive=4), cast.take(8, sensitive=4)
    assert {one.id for one in first}.isdisjoint(one.id for one in second)
    assert sum("sensitive" in one.tags for one in first) == 4
    assert all(cast.demonstrations[one.id] for one in (*first, *second))


def test_an_item_has_gold_only_where_it_is_wanted(database: Database, cast: Cast) -> None:
    prompt, other = cast.take(2)
    kinds = list(COMPOSERS)[:5]
    with database.write() as session:
        plain = cast.ranking_item(session, prompt, kinds, twice=True, now=START)
        gold = cast.ranking_item(session, other, kinds, gold=True, now=START)
        found = completions_by_id(session, plain.completion_ids)
        assert len({one.text for one in found.values()}) == len(plain.completion_ids) - 1
        assert plain.gold is None
        assert gold.gold is not None
        assert set(gold.gold["ranks"]) == set(gold.gold["flags"]) == set(gold.completion_ids)


def test_the_unspoilt_output_is_always_among_the_kinds(cast: Cast) -> None:
    for number in range(2, 10):
        kinds = cast.some_kinds(number)
        assert kinds[0] == "own"
        assert len(set(kinds)) == number
