"""Answers that do not fit their task are refused, naming what does not fit."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.orm import Session

from fakes.label_answers import fitting_answer
from fakes.labelling_store import demo_batch, demo_completion, demo_project
from heedful.core.errors import DataError
from heedful.core.records import Demonstration
from heedful.store.batches import ItemSpec
from heedful.store.columns import TaskKind
from heedful.store.contents import add_completions
from heedful.store.database import Database
from heedful.store.label_checks import Answer
from heedful.store.labels import submit
from heedful.store.presentations import present
from heedful.store.slots import claim_next

ONE = "account-labeller1"


def begin(session: Session, kind: TaskKind) -> tuple[str, Answer]:
    """An item of a kind that is open, and an answer that fits."""
    demo = demo_project(session, num_prompts=1)
    items = {}
    if kind == "ranking":
        prompt = demo.prompts[0]
        copy = demo_completion(prompt, 8, text="Answer 2 about 1.")
        add_completions(session, demo.id, [copy])
        ids = [*(one.id for one in demo.completions[prompt.id]), copy.id]
        items = {"items": [ItemSpec(prompt.id, ids)]}
    demo_batch(session, demo, kind=kind, **items)
    claim = claim_next(session, ONE)
    assert claim is not None
    present(session, ONE, claim.item_id)
    return claim.item_id, fitting_answer(session, ONE, claim.item_id)


def refused(session: Session, item_id: str, answer: Answer, why: str) -> None:
    with pytest.raises(DataError, match=why):
        submit(session, ONE, item_id, token=None, answer=answer, seconds_spent=None)


def changed(record: Any, **fields: Any) -> Any:
    return record.model_copy(update=fields)


def test_rankings(database: Database) -> None:
    with database.write() as session:
        item_id, good = begin(session, "ranking")
        ranking, ratings = good.ranking, good.ratings
        assert ranking is not None
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"ranking": None}, "to rank"),
            ({"ranking": changed(ranking, prompt_id="prompt-other")}, "exactly the completions"),
            (
                {"ranking": changed(ranking, completion_ids=ranking.completion_ids[:3])},
                "exactly the completions",
            ),
            ({"ranking": changed(ranking, labeller_id="account-other")}, "account-other"),
            ({"ranking": changed(ranking, made_by="model")}, "model"),
            ({"ranking": changed(ranking, batch_id=None)}, "the batch None"),
            ({"ranking": changed(ranking, ranks=(1, 2, 3, 4))}, "the same text"),
            ({"ratings": ratings[:3]}, "one rating of each"),
            ({"ratings": (*ratings[:3], ratings[0])}, "one rating of each"),
            ({"ratings": (*ratings[:3], changed(ratings[3], quality=1))}, "the same text"),
            ({"ratings": (*ratings[:3], changed(ratings[3], prompt_id="p"))}, "another prompt"),
        ]
        for fields, why in wrong:
            refused(session, item_id, replace(good, **fields), why)
        submit(
            session,
            ONE,
            item_id,
            token=None,
            answer=replace(good, ratings=()),
            seconds_spent=None,
        )


def test_demonstrations(database: Database) -> None:
    with database.write() as session:
        item_id, good = begin(session, "demonstration")
        (written,) = good.demonstrations
        refused(session, item_id, Answer(raw={}), "one demonstration")
        wrong = [
            ((written, written), "one demonstration"),
            ((changed(written, prompt_id="prompt-other"),), "another prompt"),
            ((changed(written, text=" \n"),), "empty"),
            ((changed(written, labeller_id="account-other"),), "account-other"),
        ]
        for demonstrations, why in wrong:
            refused(session, item_id, replace(good, demonstrations=demonstrations), why)


def test_prompts(database: Database) -> None:
    with database.write() as session:
        item_id, good = begin(session, "prompt")
        refused(session, item_id, Answer(raw={}), "to write a prompt")
        written = Demonstration(
            id="d", prompt_id="prompt-other", text="x", labeller_id=ONE, made_by="person"
        )
        refused(session, item_id, replace(good, demonstrations=(written,)), "another prompt")
        own = changed(written, prompt_id=good.prompts[0].id)
        answer = replace(good, demonstrations=(own,))
        submit(session, ONE, item_id, token=None, answer=answer, seconds_spent=None)
