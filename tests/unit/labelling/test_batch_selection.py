"""Choosing the items of a batch: completions in turn, gold answers, briefs."""

import pytest

from fakes.labelling_store import demo_batch, demo_completion, demo_project, demo_prompt
from fakes.sent_work import items_of, sent
from heedful.core.errors import DataError
from heedful.labelling.batch_selection import Selection, choose_items
from heedful.store.batches import create_batch
from heedful.store.contents import add_completions, add_prompts
from heedful.store.database import Database
from heedful.store.prompt_search import PromptFilter


def test_one_completion_of_each_checkpoint_comes_before_a_second(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=1)
        (prompt,) = demo.prompts
        more = [
            demo_completion(prompt, number, checkpoint_id="model-1", text=f"More {number}")
            for number in (11, 12)
        ]
        add_completions(session, demo.id, more)
        chosen = choose_items(session, demo.id, Selection(kind="ranking", num_completions=4))
        baseline = choose_items(
            session,
            demo.id,
            Selection(
                kind="ranking", num_completions=2, checkpoints=("model-1",), baseline="model-3"
            ),
        )
        create_batch(
            session,
            project_id=demo.id,
            name="x",
            kind="ranking",
            purpose="training",
            items=chosen.items,
        )
    (item,) = chosen.items
    assert len(item.completion_ids) == 4
    assert {"completion-1-1", "completion-1-2", "completion-1-3"} < set(item.completion_ids)
    assert baseline.items[0].completion_ids[0] == "completion-1-3"


def test_prompts_with_too_little_to_rank_are_passed_over(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        same = demo_prompt("same")
        add_prompts(session, demo.id, [same, demo_prompt("bare")])
        add_completions(
            session, demo.id, [demo_completion(same, n, text="The same") for n in (1, 2, 3)]
        )
        chosen = choose_items(session, demo.id, Selection(kind="ranking", num_completions=3))
        missing = Selection(kind="ranking", num_completions=2, baseline="nowhere")
        without_baseline = choose_items(session, demo.id, missing)
        few = choose_items(session, demo.id, Selection(kind="ranking", num_completions=3, most=1))
    assert {item.prompt_id for item in chosen.items} == {"prompt-1", "prompt-2"}
    assert chosen.passed_over == 2
    assert without_baseline.items == []
    assert len(few.items) == 1


def test_gold_is_the_newest_ranking_of_a_researcher(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session, num_prompts=2)
        batch = demo_batch(session, demo, overlap=3)
        item, other = items_of(session, batch)
        sent(session, batch, item, demo.researcher.id, ranks=(2, 1, 3))
        sent(session, batch, item, demo.labellers[0].id, ranks=(3, 2, 1))
        sent(session, batch, other, demo.labellers[0].id, ranks=(3, 2, 1))
        chosen = choose_items(
            session, demo.id, Selection(kind="ranking", num_completions=2, gold=True)
        )
    gold = {item.prompt_id: item.gold for item in chosen.items}
    assert gold["prompt-2"] is None
    answer = gold["prompt-1"]
    assert answer is not None
    assert list(answer["ranks"].values()) == [2, 1, 3]
    assert answer["flags"]["completion-1-2"] == {"hallucination": False}
    assert chosen.num_gold == 1


def test_demonstrations_and_briefs(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        wanted = PromptFilter(text="about 3")
        found = choose_items(session, demo.id, Selection(kind="demonstration", wanted=wanted))
        briefs = choose_items(
            session,
            demo.id,
            Selection(kind="prompt", briefs=(("plain", 2), ("user_based", 1)), application="Shop"),
        )
    assert [item.prompt_id for item in found.items] == ["prompt-3"]
    kinds = [item.brief["kind"] for item in briefs.items if item.brief]
    assert kinds == ["plain", "plain", "user_based"]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(kind="ranking", most=0), "1 to 5,000"),
        (Selection(kind="ranking", num_completions=10), "2 to 9"),
        (Selection(kind="prompt"), "No prompts are asked for"),
        (Selection(kind="prompt", briefs=(("user_based", 1),)), "an application"),
    ],
)
def test_what_cannot_be_is_refused(database: Database, selection: Selection, message: str) -> None:
    with database.write() as session:
        demo = demo_project(session)
        with pytest.raises(DataError, match=message):
            choose_items(session, demo.id, selection)
