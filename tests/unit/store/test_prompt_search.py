"""Finding prompts by each property, on both databases."""

from typing import Any

import pytest

from fakes.labelling_store import demo_batch, demo_completion, demo_project, demo_prompt
from heedful.store.contents import add_completions, add_prompts
from heedful.store.database import Database
from heedful.store.prompt_search import PromptFilter, count_prompts, find_prompts, known_values


def fill(database: Database) -> str:
    """Four prompts of the demo (three completions each) and three special ones."""
    with database.write() as session:
        demo = demo_project(session)
        percent = demo_prompt("percent", instruction="What is 100% of it?", use_case="open_qa")
        tagged = demo_prompt("tagged", tags=("sensitive", 'Größe "ä"'), split="train")
        add_prompts(session, demo.id, [percent, tagged])
        written = demo_prompt("written", use_case="chat")
        add_prompts(session, demo.id, [written], author_id=demo.labellers[0].id)
        add_completions(session, demo.id, [demo_completion(tagged, 1)])
        demo_batch(session, demo)
        other = demo_project(session, name="Other")
        add_prompts(session, other.id, [demo_prompt("elsewhere", use_case="chat")])
    return demo.id


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"text": "ABOUT WRITTEN"}, {"written"}),
        ({"text": "0% of"}, {"percent"}),
        ({"text": "_% of"}, set()),
        ({"use_case": "chat"}, {"written"}),
        ({"source": "nowhere"}, set()),
        ({"split": "train"}, {"tagged"}),
        ({"tag": 'Größe "ä"'}, {"tagged"}),
        ({"tag": "Gr"}, set()),
        ({"sensitive": True}, {"tagged"}),
        ({"written_here": True}, {"written"}),
        ({"written_here": False, "sensitive": False}, {"1", "2", "3", "4", "percent"}),
        ({"unused_for": "training"}, {"percent", "tagged", "written"}),
        ({"min_completions": 1, "unused_for": "training"}, {"tagged"}),
        ({"min_completions": 2}, {"1", "2", "3", "4"}),
        ({"min_completions": 2, "checkpoints": ("model-1", "model-3")}, {"1", "2", "3", "4"}),
        ({"min_completions": 2, "checkpoints": ("model-1",)}, set()),
    ],
)
def test_each_property(database: Database, wanted: dict[str, Any], found: set[str]) -> None:
    project_id = fill(database)
    with database.read() as session:
        rows = find_prompts(session, project_id, PromptFilter(**wanted), limit=50)
        count = count_prompts(session, project_id, PromptFilter(**wanted))
    assert {one.row.id.removeprefix("prompt-") for one in rows} == found
    assert count == len(found)


def test_pages_and_counts_of_completions(database: Database) -> None:
    project_id = fill(database)
    with database.read() as session:
        pages = [
            find_prompts(session, project_id, PromptFilter(), limit=3, offset=at, order="oldest")
            for at in (0, 3, 6)
        ]
        shuffled = find_prompts(session, project_id, PromptFilter(), limit=7, order="random")
    assert [len(page) for page in pages] == [3, 3, 1]
    found = {one.row.id: one.num_completions for page in pages for one in page}
    assert found.keys() == {one.row.id for one in shuffled}
    assert found["prompt-1"] == 3
    assert found["prompt-tagged"] == 1
    assert found["prompt-written"] == 0


def test_what_there_is_to_choose_from(database: Database) -> None:
    project_id = fill(database)
    with database.read() as session:
        known = known_values(session, project_id)
    assert known.sources == ["demo"]
    assert known.splits == ["train"]
    assert known.use_cases == ["chat", "open_qa"]
    assert known.tags == ['Größe "ä"', "sensitive"]
    assert known.checkpoints == [("model-1", 5), ("model-2", 4), ("model-3", 4)]
