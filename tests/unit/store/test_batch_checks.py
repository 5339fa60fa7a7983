"""What may be an item of a batch."""

from dataclasses import replace

import pytest

from fakes.labelling_store import (
    DemoProject,
    demo_batch,
    demo_completion,
    demo_project,
    demo_prompt,
)
from heedful.core.errors import DataError
from heedful.store.batch_checks import ItemSpec, check_items
from heedful.store.contents import add_completions, add_prompts
from heedful.store.database import Database
from heedful.store.tables import ItemRow


@pytest.fixture
def demo(database: Database) -> DemoProject:
    with database.write() as session:
        return demo_project(session, num_completions=10)


def spec(demo: DemoProject, num: int = 3, prompt: int = 0) -> ItemSpec:
    prompt_id = demo.prompts[prompt].id
    return ItemSpec(prompt_id, tuple(c.id for c in demo.completions[prompt_id][:num]))


def check(database: Database, demo: DemoProject, kind: str, *items: ItemSpec) -> None:
    with database.read() as session:
        check_items(session, demo.id, kind, items)


def test_rankings_of_two_to_nine_texts(database: Database, demo: DemoProject) -> None:
    check(database, demo, "ranking", *(spec(demo, num) for num in range(2, 10)))
    for num in (0, 1, 10):
        with pytest.raises(DataError, match=f"has {num} different completions, not 2 to 9"):
            check(database, demo, "ranking", spec(demo, num))


def test_identical_texts_count_once(database: Database, demo: DemoProject) -> None:
    prompt = demo.prompts[0]
    same = [demo_completion(prompt, number, text="The same.") for number in range(20, 32)]
    with database.write() as session:
        add_completions(session, demo.id, same)
    ids = tuple(completion.id for completion in same)
    check(database, demo, "ranking", ItemSpec(prompt.id, (*ids, spec(demo).completion_ids[0])))
    with pytest.raises(DataError, match="has 1 different"):
        check(database, demo, "ranking", ItemSpec(prompt.id, ids))


def test_each_fault_is_named_with_its_item(database: Database, demo: DemoProject) -> None:
    good = spec(demo)
    gold = {"ranks": dict.fromkeys(good.completion_ids, 1)}
    wrong = {
        "item 1: has no prompt": replace(good, prompt_id=None),
        "`prompt-x` is not in the project": replace(good, prompt_id="prompt-x"),
        "twice": replace(good, completion_ids=good.completion_ids * 2),
        "`completion-x` is not": replace(good, completion_ids=("completion-x",)),
        "another prompt": replace(good, completion_ids=spec(demo, prompt=1).completion_ids),
        "adjudicates another item": replace(good, adjudicates="item-x"),
        "gold ranks leave some": replace(good, gold={"ranks": {good.completion_ids[0]: 1}}),
        "unknown part `note`": replace(good, gold=gold | {"note": ""}),
        "gold flags name `c`": replace(good, gold=gold | {"flags": {"c": {}}}),
        "whole numbers": replace(good, gold={"ranks": dict.fromkeys(good.completion_ids, 0)}),
    }
    for words, item in wrong.items():
        with pytest.raises(DataError, match=words):
            check(database, demo, "ranking", item)
    check(database, demo, "ranking", replace(good, gold=gold))
    with pytest.raises(DataError, match=r"item 2: .*another prompt"):
        check(database, demo, "ranking", good, wrong["another prompt"])


def test_only_the_first_faults_are_told(database: Database, demo: DemoProject) -> None:
    with pytest.raises(DataError, match="item 5: has no prompt\nand 3 more") as caught:
        check(database, demo, "demonstration", *[ItemSpec(None)] * 8)
    assert caught.value.what.count("\n") == 6


def test_demonstrations_and_prompts(database: Database, demo: DemoProject) -> None:
    check(database, demo, "demonstration", ItemSpec(demo.prompts[0].id))
    check(database, demo, "prompt", ItemSpec(None, brief={"kind": "few_shot"}))
    for kind, item, words in (
        ("demonstration", spec(demo), "has completions"),
        ("demonstration", ItemSpec(demo.prompts[0].id, gold={}), "gold answer"),
        ("prompt", ItemSpec(None), "no brief"),
        ("prompt", ItemSpec(None, brief={"kind": "odd"}), "no brief of a kind in plain"),
        ("prompt", ItemSpec(demo.prompts[0].id, brief={"kind": "plain"}), "to be written"),
    ):
        with pytest.raises(DataError, match=words):
            check(database, demo, kind, item)


def test_an_adjudication_is_of_an_item_with_the_same_prompt(
    database: Database, demo: DemoProject
) -> None:
    with database.write() as session:
        batch = demo_batch(session, demo, items=[spec(demo)])
        item = session.query(ItemRow).filter_by(batch_id=batch.id).one()
        other = demo_project(session, name="Other")
        foreign = demo_batch(session, other)
        stranger = session.query(ItemRow).filter_by(batch_id=foreign.id, place=0).one()
    check(database, demo, "adjudication", replace(spec(demo), adjudicates=item.id))
    for adjudicates, prompt, words in (
        (None, 0, "names no item"),
        (stranger.id, 0, "names no item"),
        (item.id, 1, "of another prompt"),
    ):
        one = replace(spec(demo, prompt=prompt), adjudicates=adjudicates)
        with pytest.raises(DataError, match=words):
            check(database, demo, "adjudication", one)


def test_sensitive_prompts_make_sensitive_items(database: Database, demo: DemoProject) -> None:
    with database.write() as session:
        add_prompts(session, demo.id, [demo_prompt("grim", tags=("sensitive",))])
        checked = check_items(
            session,
            demo.id,
            "demonstration",
            [ItemSpec("prompt-grim"), ItemSpec(demo.prompts[0].id)],
        )
    assert [one.sensitive for one in checked] == [True, False]
