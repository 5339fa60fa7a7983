"""What an answer is, and whether it fits its task.

Only what can be told from the item is checked: the same completions, the same labeller, the
same batch, merged cards judged alike. Whether a judgement is any good is not asked here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heedful.core.errors import DataError
from heedful.core.records import Demonstration, MadeBy, Prompt, Ranking, Rating
from heedful.store.tables import BatchRow, ItemRow, PresentationRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Finished work on one item: `raw` is kept as it was sent, the records are its meaning.

    Attributes:
        ranking: Over all completion ids of the item, those of a merged card at one rank.
        ratings: One per completion id, or none at all.
    """

    prompts: tuple[Prompt, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    ranking: Ranking | None = None
    ratings: tuple[Rating, ...] = ()
    raw: dict[str, Any]


def check_answer(
    item: ItemRow,
    batch: BatchRow,
    shown: PresentationRow | None,
    answer: Answer,
    *,
    labeller_id: str,
    made_by: MadeBy,
) -> None:
    """Refuse an answer that is not of this item, kind and labeller.

    Raises:
        DataError: Says what does not fit.
    """
    _KINDS[batch.kind](item, shown, answer)
    labels: list[Demonstration | Ranking | Rating] = [*answer.demonstrations, *answer.ratings]
    if answer.ranking is not None:
        labels.append(answer.ranking)
    for label in labels:
        where = f"{type(label).__name__.lower()} {label.id}"
        if label.labeller_id != labeller_id or label.made_by != made_by:
            _refuse(f"{where} is marked as made by {label.labeller_id} ({label.made_by})")
        if not isinstance(label, Demonstration) and label.batch_id != batch.id:
            _refuse(f"{where} names the batch {label.batch_id}, not {batch.id}")


def _check_prompts(_item: ItemRow, _shown: PresentationRow | None, answer: Answer) -> None:
    if not answer.prompts or answer.ranking is not None or answer.ratings:
        _refuse("the task is to write a prompt")
    known = {prompt.id for prompt in answer.prompts}
    if any(one.prompt_id not in known for one in answer.demonstrations):
        _refuse("a demonstration is of another prompt than those written here")


def _check_demonstration(item: ItemRow, _shown: PresentationRow | None, answer: Answer) -> None:
    others = bool(answer.prompts or answer.ratings) or answer.ranking is not None
    if len(answer.demonstrations) != 1 or others:
        _refuse("the task is to write one demonstration")
    if answer.demonstrations[0].prompt_id != item.prompt_id:
        _refuse("the demonstration is of another prompt")
    if not answer.demonstrations[0].text.strip():
        _refuse("the demonstration is empty")


def _check_ranking(item: ItemRow, shown: PresentationRow | None, answer: Answer) -> None:
    ranking = answer.ranking
    if ranking is None or answer.prompts or answer.demonstrations:
        _refuse("the task is to rank completions")
        return
    wanted = set(item.completion_ids)
    if ranking.prompt_id != item.prompt_id or set(ranking.completion_ids) != wanted:
        _refuse("the ranking is not over exactly the completions of the item")
    rated = [rating.completion_id for rating in answer.ratings]
    if rated and (len(rated) != len(wanted) or set(rated) != wanted):
        _refuse("there is not exactly one rating of each completion")
    if any(rating.prompt_id != item.prompt_id for rating in answer.ratings):
        _refuse("a rating is of another prompt")
    ranks = dict(zip(ranking.completion_ids, ranking.ranks, strict=True))
    qualities = {rating.completion_id: rating.quality for rating in answer.ratings}
    for card in shown.cards if shown is not None else ():
        if len({(ranks[one], qualities.get(one)) for one in card}) != 1:
            _refuse("completions with the same text are judged differently")


_KINDS: dict[str, Callable[[ItemRow, PresentationRow | None, Answer], None]] = {
    "prompt": _check_prompts,
    "demonstration": _check_demonstration,
    "ranking": _check_ranking,
    "adjudication": _check_ranking,
}


def _refuse(what: str) -> None:
    raise DataError(f"The answer does not fit the task: {what}.", "Reload the task, and submit it.")
