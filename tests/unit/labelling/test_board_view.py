"""What the board is told: letters and texts; nothing of models, gold or other people."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from fakes.label_answers import hand_in
from fakes.labelling_store import DemoProject, demo_batch, demo_completion, demo_project
from heedful.labelling.board_view import answer_by_letter, board_data, cards, task_data
from heedful.labelling.preferences import shortcuts_of
from heedful.store.batches import ItemSpec
from heedful.store.contents import add_completions
from heedful.store.database import Database
from heedful.store.presentations import present
from heedful.store.slots import claim_next
from heedful.store.tables import BatchRow, ItemRow, PresentationRow

SHORTCUTS = shortcuts_of({})


def opened(session: Session, account_id: str, batch: BatchRow) -> tuple[ItemRow, PresentationRow]:
    claim = claim_next(session, account_id, batch_id=batch.id)
    assert claim is not None
    return session.get_one(ItemRow, claim.item_id), present(session, account_id, claim.item_id)


def with_twins(session: Session) -> tuple[DemoProject, BatchRow]:
    """One item: the first prompt's three completions and a fourth that repeats the first."""
    demo = demo_project(session, num_labellers=3)
    prompt = demo.prompts[0]
    twin = demo_completion(prompt, 9, text=demo.completions[prompt.id][0].text)
    add_completions(session, demo.id, [twin])
    ids = [*(one.id for one in demo.completions[prompt.id]), twin.id]
    gold = {"ranks": dict.fromkeys(ids, 1), "flags": {}}
    items = [ItemSpec(prompt.id, ids, gold=gold)]
    return demo, demo_batch(session, demo, items=items, overlap=3)


def test_cards_have_letters_in_the_order_shown_and_twins_share_one(database: Database) -> None:
    with database.write() as session:
        demo, batch = with_twins(session)
        _, shown = opened(session, demo.labellers[0].id, batch)
        found = cards(session, shown)
    assert [card["letter"] for card in found] == ["A", "B", "C"]
    assert len({card["text"] for card in found}) == 3
    assert found[0]["words"] == len(found[0]["text"].split())


def test_the_board_learns_nothing_of_models_gold_or_people(database: Database) -> None:
    with database.write() as session:
        demo, batch = with_twins(session)
        item, shown = opened(session, demo.labellers[0].id, batch)
        hand_in(session, demo.labellers[0].id, item.id)
        item, shown = opened(session, demo.labellers[1].id, batch)
        board = board_data(session, item=item, batch=batch, presentation=shown, shortcuts=SHORTCUTS)
        task = task_data(
            item=item,
            account_id=demo.labellers[1].id,
            presentation=shown,
            csrf="token",
            token=None,
            draft=None,
            revision=0,
        )
    told = json.dumps(board | task)
    assert not [
        secret
        for secret in ("model-", "checkpoint", "gold", "completion-", demo.labellers[0].id)
        if secret in told
    ]
    assert board["ratings_required"]
    assert board["earlier"] == []


def test_an_adjudicator_sees_earlier_rankings_without_names(database: Database) -> None:
    with database.write() as session:
        demo, batch = with_twins(session)
        for labeller in demo.labellers[:2]:
            item, _ = opened(session, labeller.id, batch)
            hand_in(session, labeller.id, item.id)
        original = session.scalars(select(ItemRow).where(ItemRow.batch_id == batch.id)).one()
        again = demo_batch(
            session,
            demo,
            name="Disputed",
            kind="adjudication",
            items=[
                ItemSpec(original.prompt_id, list(original.completion_ids), adjudicates=original.id)
            ],
        )
        item, shown = opened(session, demo.reviewer.id, again)
        board = board_data(session, item=item, batch=again, presentation=shown, shortcuts=SHORTCUTS)
    assert [one["label"] for one in board["earlier"]] == ["Labelling 1", "Labelling 2"]
    assert sorted(letter for tie in board["earlier"][0]["columns"] for letter in tie) == [
        "A",
        "B",
        "C",
    ]
    assert not board["ratings_required"]
    assert not [one.id for one in demo.labellers if one.id in json.dumps(board)]


def test_ranks_are_closed_up_best_first(database: Database) -> None:
    from heedful.core.records import Ranking

    ranking = Ranking(
        id="r",
        prompt_id="p",
        completion_ids=("a", "b", "c"),
        ranks=(9, 2, 2),
        labeller_id="x",
        made_by="person",
        all_bad=True,
    )
    found = answer_by_letter(ranking, [], [["c"], ["a"], ["b"], ["unknown"]])
    assert found == {"columns": [["A", "C"], ["B"]], "quality": {}, "all_bad": True}
