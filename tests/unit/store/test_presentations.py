"""How items are shown: shuffled per labeller, once, merged where the texts are the same."""

import random
from datetime import UTC, datetime

import pytest

from fakes.labelling_store import demo_batch, demo_completion, demo_project
from heedful.core.errors import DataError, NotAllowedError
from heedful.store.batches import ItemSpec, use_instructions
from heedful.store.contents import add_completions
from heedful.store.database import Database
from heedful.store.presentations import present, same_texts
from heedful.store.projects import publish_instructions
from heedful.store.slots import claim_next
from heedful.store.tables import ItemRow

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ONE, TWO = "account-labeller1", "account-labeller2"


def test_it_is_made_once_and_stays(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, num_completions=9)
        batch = demo_batch(session, demo, overlap=2)
        for account in (ONE, TWO):
            assert claim_next(session, account) is not None
        item_id = session.query(ItemRow).one().id
        first = present(session, ONE, item_id, now=NOW)
        assert first.opened_at == NOW
        assert first.instructions_id == batch.instructions_id
        newer = publish_instructions(
            session, project_id=demo.id, purpose="training", text="New", published_by=None
        )
        use_instructions(session, batch.id, newer.id, None)
        cards = [list(card) for card in first.cards]
    with database.write() as session:
        again = present(session, ONE, item_id, shuffle=random.Random(1))
        assert again.cards == cards
        assert again.instructions_id != newer.id
        assert sorted(one for card in cards for one in card) == sorted(
            session.get_one(ItemRow, item_id).completion_ids
        )
        other = present(session, TWO, item_id, shuffle=random.Random(1))
        assert other.instructions_id == newer.id


def test_a_given_shuffle_can_be_repeated_and_differs_by_seed() -> None:
    names = [(f"completion-{number}", str(number)) for number in range(9)]

    def shuffled(seed: int) -> list[list[str]]:
        cards = same_texts(names)
        random.Random(seed).shuffle(cards)
        return cards

    assert shuffled(1) == shuffled(1) != shuffled(2)


def test_identical_texts_share_a_card(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1, num_completions=3)
        prompt = demo.prompts[0]
        copy = demo_completion(prompt, 8, text="Answer 2 about 1.")
        add_completions(session, demo.id, [copy])
        ids = [one.id for one in demo.completions[prompt.id]]
        demo_batch(session, demo, items=[ItemSpec(prompt.id, [*ids, copy.id])])
        claim = claim_next(session, ONE)
        assert claim is not None
        cards = present(session, ONE, claim.item_id).cards
        assert sorted(map(len, cards)) == [1, 1, 2]
        assert [ids[1], copy.id] in cards


def test_texts_are_the_same_only_to_the_letter() -> None:
    pairs = [("a", "x"), ("b", "X"), ("c", "x "), ("d", "x")]
    assert same_texts(pairs) == [["a", "d"], ["b"], ["c"]]


def test_an_item_of_somebody_else_is_not_shown(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claim_next(session, ONE)
        assert claim is not None
        with pytest.raises(NotAllowedError):
            present(session, TWO, claim.item_id)
        with pytest.raises(NotAllowedError):
            present(session, ONE, "item-nowhere")


def test_missing_completions_are_told(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo)
        claim = claim_next(session, ONE)
        assert claim is not None
        item = session.get_one(ItemRow, claim.item_id)
        item.completion_ids = [*item.completion_ids, "completion-lost"]
        with pytest.raises(DataError, match="completion-lost"):
            present(session, ONE, claim.item_id)


def test_tasks_without_completions_have_no_cards(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        demo_batch(session, demo, kind="demonstration")
        claim = claim_next(session, ONE)
        assert claim is not None
        assert present(session, ONE, claim.item_id).cards == []
