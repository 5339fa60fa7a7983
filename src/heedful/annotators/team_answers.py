"""What a simulated labeller answers to a task of the store, in the form the pages send.

Rankings and ratings come from `SimulatedLabeller`, card by card: identical texts on one card
are judged once. Demonstrations and prompts are taken from texts that are given; nothing is
generated here. Each answer is marked as simulated.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from heedful.annotators.simulated import SimulatedLabeller
from heedful.core.records import (
    Completion,
    Demonstration,
    Prompt,
    Ranking,
    Rating,
    new_id,
    text_hash,
)
from heedful.store.contents import completions_by_id, prompts_by_id
from heedful.store.label_checks import Answer
from heedful.store.slots import Assignment, SkipReason

_LETTERS = "ABCDEFGHI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A simulated labeller at an account, who works at a pace of their own.

    Attributes:
        labeller: Judges; its `labeller_id` stays out of the records, which name the account.
        words_per_minute: How fast this one reads; writing is a sixth of it.
        skip_rate: Chance to pass an item on.
        chance: Draws pace, texts and skips.
    """

    account_id: str
    labeller: SimulatedLabeller
    words_per_minute: float = 220.0
    skip_rate: float = 0.0
    chance: random.Random


@dataclass(frozen=True, slots=True)
class Material:
    """The texts that simulated labellers hand in.

    Attributes:
        demonstrations: By prompt id; a labeller picks one.
        prompts: What they write when a prompt is wanted; the ids are not used again.
    """

    demonstrations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    prompts: Sequence[Prompt] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, or a reason to skip, and how long it took."""

    answer: Answer | None
    seconds: float
    skip_reason: SkipReason = "other"


def answer_task(
    session: Session, worker: Worker, assigned: Assignment, material: Material
) -> Answered:
    """What this worker does with an item that they have open.

    They skip where they have no text to give, and otherwise at their own rate.
    """
    item, kind = assigned.item, assigned.batch.kind
    prompt = (
        prompts_by_id(session, [item.prompt_id]).get(item.prompt_id) if item.prompt_id else None
    )
    if worker.chance.random() < worker.skip_rate:
        return Answered(None, _seconds(worker, 60), _reason(prompt, worker))
    if kind == "prompt":
        return _write_prompt(worker, item.brief or {}, material)
    assert prompt is not None  # the store checks it when the batch is made
    if kind == "demonstration":
        return _demonstrate(worker, prompt, material)
    cards = (
        assigned.shown.cards if assigned.shown is not None else [[c] for c in item.completion_ids]
    )
    return _rank(session, worker, prompt, cards, assigned)


def _reason(prompt: Prompt | None, worker: Worker) -> SkipReason:
    tags = prompt.tags if prompt is not None else ()
    if "sensitive" in tags:
        return "sensitive"
    if "ambiguous" in tags:
        return "unclear"
    return worker.chance.choice(("unclear", "cannot_judge", "other"))


def _write_prompt(worker: Worker, brief: Mapping[str, Any], material: Material) -> Answered:
    """A prompt of the wanted use case if there is one; worked examples only in a few-shot one."""
    fitting = [one for one in material.prompts if one.use_case == brief.get("use_case")]
    pool = fitting or list(material.prompts)
    kind = brief.get("kind", "plain")
    few_shot = [one for one in pool if bool(one.examples) == (kind == "few_shot")]
    if not few_shot:
        return Answered(None, _seconds(worker, 40), "cannot_judge")
    chosen = worker.chance.choice(few_shot)
    prompt = Prompt(
        id=new_id("prompt"),
        text_hash=text_hash(
            chosen.instruction, context=chosen.context, examples=chosen.examples, turns=chosen.turns
        ),
        instruction=chosen.instruction,
        context=chosen.context,
        examples=chosen.examples,
        turns=chosen.turns,
        source=f"simulated/{kind}",
        use_case=chosen.use_case,
        user_id=worker.account_id,
        consent=True,
        tags=chosen.tags,
        expectations=chosen.expectations,
        licence=chosen.licence,
    )
    raw = {"kind": kind, "instruction": prompt.instruction, "use_case": prompt.use_case}
    if prompt.context is not None:
        raw["context"] = prompt.context
    seconds = _seconds(worker, 40 + 6 * _num_words(prompt.instruction, prompt.context or ""))
    return Answered(Answer(prompts=(prompt,), raw=raw), seconds)


def _demonstrate(worker: Worker, prompt: Prompt, material: Material) -> Answered:
    texts = material.demonstrations.get(prompt.id)
    if not texts:
        return Answered(None, _seconds(worker, 60), "cannot_judge")
    text = worker.chance.choice(texts)
    demonstration = Demonstration(
        id=new_id("demonstration"),
        prompt_id=prompt.id,
        text=text,
        labeller_id=worker.account_id,
        made_by="simulated",
    )
    read = _num_words(prompt.instruction, prompt.context or "")
    seconds = _seconds(worker, 80 + read + 6 * _num_words(text))
    return Answered(Answer(demonstrations=(demonstration,), raw={"text": text}), seconds)


def _rank(
    session: Session,
    worker: Worker,
    prompt: Prompt,
    cards: Sequence[Sequence[str]],
    assigned: Assignment,
) -> Answered:
    """Judge one completion of each card, and give the others on it the same."""
    found = completions_by_id(session, assigned.item.completion_ids)
    shown = [found[card[0]] for card in cards]
    judged = worker.labeller.rank(prompt, shown)
    rank_of = {one: rank for card, rank in zip(cards, judged.ranks, strict=True) for one in card}
    about: dict[str, Any] = {
        "labeller_id": worker.account_id,
        "batch_id": assigned.batch.id,
        "instructions_version": None,  # the store fills in the version that was shown
    }
    ids = tuple(assigned.item.completion_ids)
    ranking = judged.model_copy(
        update={
            **about,
            "id": new_id("ranking"),
            "completion_ids": ids,
            "ranks": tuple(rank_of[one] for one in ids),
        }
    )
    by_card = [worker.labeller.rate(prompt, one) for one in shown]
    ratings = tuple(
        rating.model_copy(update={**about, "id": new_id("rating"), "completion_id": one})
        for card, rating in zip(cards, by_card, strict=True)
        for one in card
    )
    seconds = {
        letter: _seconds(worker, 12 + _num_words(one.text))
        for letter, one in zip(_LETTERS, shown, strict=False)
    }
    seconds["ranking"] = _seconds(worker, 25 * len(cards))
    answer = Answer(ranking=ranking, ratings=ratings, raw=_board(judged, by_card, shown, seconds))
    reading = _seconds(worker, _num_words(prompt.instruction, prompt.context or ""))
    return Answered(answer, reading + sum(seconds.values()))


def _board(
    judged: Ranking,
    ratings: Sequence[Rating],
    shown: Sequence[Completion],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """What the board of the page would have sent, by card letter."""
    letters = _LETTERS[: len(shown)]
    return {
        "ranks": dict(zip(letters, judged.ranks, strict=True)),
        "quality": {name: one.quality for name, one in zip(letters, ratings, strict=True)},
        "flags": {
            name: {flag: True for flag, ticked in one.flags if ticked}
            for name, one in zip(letters, ratings, strict=True)
        },
        "all_bad": judged.all_bad,
        "seconds": dict(seconds),
    }


def _num_words(*texts: str) -> int:
    return sum(len(text.split()) for text in texts)


def _seconds(worker: Worker, words: float) -> float:
    """The time this worker takes for so many words; some moments are slower than others."""
    pace = worker.words_per_minute * worker.chance.lognormvariate(0.0, 0.25)
    return round(max(1.0, 60 * words / pace), 1)
