"""Answers that fit an item, whatever its kind, for tests that hand work in."""

from typing import Any

from sqlalchemy.orm import Session

from heedful.core.records import (
    Demonstration,
    MadeBy,
    Prompt,
    Ranking,
    Rating,
    new_id,
    text_hash,
)
from heedful.store.label_checks import Answer
from heedful.store.labels import Outcome, submit
from heedful.store.tables import BatchRow, CompletionRow, ItemRow


def fitting_answer(
    session: Session,
    account_id: str,
    item_id: str,
    *,
    ranks: dict[str, int] | None = None,
    made_by: MadeBy = "person",
    with_ratings: bool = True,
    **raw: Any,
) -> Answer:
    """An answer by this account: ranks in the item's order, or `ranks`; `raw` is kept."""
    item = session.get_one(ItemRow, item_id)
    kind = session.get_one(BatchRow, item.batch_id).kind
    who = {"labeller_id": account_id, "made_by": made_by}
    if kind == "prompt":
        text = f"Write about {new_id('subject')}."
        prompt = Prompt(
            id=new_id("prompt"),
            text_hash=text_hash(text),
            instruction=text,
            source="labeller",
            user_id=account_id,
            consent=True,
        )
        return Answer(prompts=(prompt,), raw={"text": text, **raw})
    assert item.prompt_id is not None
    if kind == "demonstration":
        demonstration = Demonstration(
            id=new_id("demonstration"), prompt_id=item.prompt_id, text="A fine answer.", **who
        )
        return Answer(demonstrations=(demonstration,), raw={"text": "A fine answer.", **raw})
    texts: list[str] = []
    chosen = {}
    for one in item.completion_ids:
        text = session.get_one(CompletionRow, one).record["text"]
        texts += [] if text in texts else [text]
        chosen[one] = texts.index(text) + 1
    chosen = ranks or chosen
    where = {"prompt_id": item.prompt_id, "batch_id": item.batch_id, **who}
    ranking = Ranking(
        id=new_id("ranking"), completion_ids=tuple(chosen), ranks=tuple(chosen.values()), **where
    )
    ratings = tuple(
        Rating(id=new_id("rating"), completion_id=one, quality=max(1, 8 - rank), **where)
        for one, rank in chosen.items()
        if with_ratings
    )
    return Answer(ranking=ranking, ratings=ratings, raw={"ranks": chosen, **raw})


def hand_in(session: Session, account_id: str, item_id: str, **settings: Any) -> Outcome:
    """Submit a fitting answer."""
    keywords = {"token": None, "seconds_spent": 30.0}
    keywords |= {name: settings.pop(name) for name in ("token", "now") if name in settings}
    answer = fitting_answer(session, account_id, item_id, **settings)
    return submit(session, account_id, item_id, answer=answer, **keywords)
