"""Prompts and completions of a project."""

import pytest
from sqlalchemy import func, select

from fakes.labelling_store import demo_account, demo_completion, demo_project, demo_prompt
from heedful.core.errors import DataError
from heedful.core.records import Expectation, SamplingParameters, Turn
from heedful.store.contents import (
    Added,
    add_completions,
    add_prompts,
    chunks,
    completions_by_id,
    prompts_by_id,
)
from heedful.store.database import Database
from heedful.store.tables import CompletionRow, PromptRow


def test_records_come_back_as_they_came(database: Database) -> None:
    prompt = demo_prompt(
        "rich",
        turns=(Turn(role="user", text="Hé 🦉"),),
        expectations=(Expectation(kind="words", value=("a", "b")),),
        tags=("sensitive", "x"),
    )
    completion = demo_completion(
        prompt, 1, sampling=SamplingParameters(temperature=0.7, max_tokens=9, stop=("\n",))
    )
    with database.write() as session:
        demo = demo_project(session)
        add_prompts(session, demo.id, [prompt], author_id=demo.labellers[0].id)
        add_completions(
            session, demo.id, [completion], authors={completion.id: demo.labellers[1].id}
        )
    with database.read() as session:
        assert prompts_by_id(session, [prompt.id, "prompt-none"]) == {prompt.id: prompt}
        assert completions_by_id(session, [completion.id]) == {completion.id: completion}
        row = session.get(PromptRow, prompt.id)
        assert (row.sensitive, row.author_id) == (True, demo.labellers[0].id)
        assert session.get(PromptRow, demo.prompts[0].id).sensitive is False
        assert session.get(CompletionRow, completion.id).author_id == demo.labellers[1].id


def test_the_same_again_is_known(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        new = demo_prompt("new")
        assert add_prompts(session, demo.id, [*demo.prompts, new, new]) == Added(1, 5)
        some = demo.completions[demo.prompts[0].id]
        assert add_completions(session, demo.id, [*some, demo_completion(new, 1)]) == Added(1, 3)


def test_many_at_once(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        prompts = [demo_prompt(f"n{number}") for number in range(1203)]
        assert add_prompts(session, demo.id, iter(prompts)) == Added(1203, 0)
        assert len(prompts_by_id(session, (prompt.id for prompt in prompts))) == 1203
        assert session.scalar(select(func.count()).select_from(PromptRow)) == 1207


def test_another_record_under_a_known_id_is_refused(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
    changed = demo.prompts[0].model_copy(update={"licence": "none"})
    twice = [demo_prompt("a"), demo_prompt("a", instruction="Other.")]
    for records in ([changed], twice):
        with pytest.raises(DataError, match="other contents"), database.write() as session:
            add_prompts(session, demo.id, records)
    first = demo.completions[demo.prompts[0].id][0]
    with pytest.raises(DataError, match=first.id), database.write() as session:
        add_completions(session, demo.id, [first.model_copy(update={"text": "Other."})])
    with database.read() as session:
        assert prompts_by_id(session, ["prompt-a"]) == {}


def test_a_record_of_another_project_is_refused(database: Database) -> None:
    with database.write() as session:
        demo, other = demo_project(session), demo_project(session, name="Other")
    with pytest.raises(DataError, match="another project"), database.write() as session:
        add_prompts(session, other.id, demo.prompts)
    stray = demo_completion(demo.prompts[0], 99)
    with pytest.raises(DataError, match="1 prompts of these"), database.write() as session:
        add_completions(session, other.id, [stray])
    with pytest.raises(DataError, match="no project"), database.write() as session:
        add_prompts(session, "project-none", [])


def test_an_author_must_exist(database: Database) -> None:
    with database.write() as session:
        demo = demo_project(session)
        author = demo_account(session, "late", "labeller")
        add_prompts(session, demo.id, [demo_prompt("z")], author_id=author.id)
    with database.read() as session:
        assert session.get(PromptRow, "prompt-z").author_id == author.id


def test_chunks() -> None:
    assert list(chunks("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(chunks([], 2)) == []
