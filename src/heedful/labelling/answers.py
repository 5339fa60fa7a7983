"""What a labeller's page sends, made into the records that are stored.

Cards become completion ids again here: completions whose identical texts share a card get
its rank and rating. Prompts that labellers write go by the rules of `heedful.data.entry`.
Whether an answer fits its item is checked once more by `heedful.store.label_checks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StrictBool, ValidationError

from heedful.core.errors import DataError
from heedful.core.records import (
    Demonstration,
    Prompt,
    Ranking,
    Rating,
    Record,
    derived_id,
    new_id,
    text_hash,
)
from heedful.data import entry
from heedful.data.items import FieldError, Item, UnusableError
from heedful.labelling.rating_flags import FLAGS, record_flags
from heedful.store.columns import utc_now
from heedful.store.label_checks import Answer
from heedful.store.tables import BatchRow, ItemRow, PresentationRow

LETTERS = "ABCDEFGHI"
MOST_CHARACTERS = 40_000
MOST_PAIRS = 12
Likert = Annotated[int, Field(strict=True, ge=1, le=7)]
Rank = Annotated[int, Field(strict=True, ge=1, le=9)]
Seconds = Annotated[float, Field(ge=0, le=1e6)]


class AnswerError(DataError):
    """An answer that cannot be taken as it is; `fields` says what to change, by field."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields
        super().__init__(" ".join(fields.values()), "Change that and send it again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is answered, and by whom."""

    item: ItemRow
    batch: BatchRow
    presentation: PresentationRow
    labeller_id: str


class BoardAnswer(Record):
    """What the board sends, by card letter.

    Attributes:
        seconds: Time in view of each card while rating, and of `ranking`.
    """

    ranks: dict[str, Rank]
    quality: dict[str, Likert] = Field(default_factory=dict)
    flags: dict[str, dict[str, StrictBool]] = Field(default_factory=dict)
    all_bad: StrictBool = False
    seconds: dict[str, Seconds] = Field(default_factory=dict)


def read_answer(task: Task, sent: Mapping[str, Any], *, now: datetime | None = None) -> Answer:
    """The answer that a page sent for this task, whatever its kind.

    Raises:
        AnswerError: Something is missing or cannot be; says what, by field.
    """
    if task.batch.kind == "prompt":
        return _prompts(task, sent, now or utc_now())
    if task.batch.kind == "demonstration":
        return _demonstration(task, sent)
    return _ranking(task, sent)


def _ranking(task: Task, sent: Mapping[str, Any]) -> Answer:
    try:
        board = BoardAnswer.model_validate(sent)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "answer"
        raise AnswerError({place: f"`{place}`: {fault['msg']}."}) from error
    cards = dict(zip(LETTERS, task.presentation.cards, strict=False))
    _check_board(task, board, cards)
    letter_of = {one: letter for letter, card in cards.items() for one in card}
    about = {
        "prompt_id": str(task.item.prompt_id),
        "labeller_id": task.labeller_id,
        "made_by": "person",
        "batch_id": task.batch.id,
    }
    ids = tuple(task.item.completion_ids)
    ranking = Ranking.model_validate(
        {
            **about,
            "id": new_id("ranking"),
            "completion_ids": ids,
            "ranks": tuple(board.ranks[letter_of[one]] for one in ids),
            "all_bad": board.all_bad,
        }
    )
    ratings = tuple(
        Rating.model_validate(
            {
                **about,
                "id": new_id("rating"),
                "completion_id": one,
                "quality": board.quality[letter_of[one]],
                "flags": record_flags(board.flags.get(letter_of[one], {})),
                "seconds_spent": board.seconds.get(letter_of[one]),
            }
        )
        for one in ids
        if board.quality
    )
    return Answer(ranking=ranking, ratings=ratings, raw=board.model_dump(mode="json"))


def _check_board(task: Task, board: BoardAnswer, cards: Mapping[str, list[str]]) -> None:
    """Refuse letters and flags that are not there, and what is not finished."""
    given = {*board.ranks, *board.quality, *board.flags, *(set(board.seconds) - {"ranking"})}
    if unknown := given - set(cards):
        raise AnswerError({"ranks": f"There is no output {', '.join(sorted(unknown))}."})
    known = {flag.name for flag in FLAGS}
    if strange := {name for marked in board.flags.values() for name in marked} - known:
        raise AnswerError({"flags": f"There is no question {', '.join(sorted(strange))}."})
    if waiting := sorted(set(cards) - set(board.ranks)):
        raise AnswerError({"ranks": f"Still in the tray: {', '.join(waiting)}."})
    if max(board.ranks.values()) > len(cards):
        raise AnswerError({"ranks": f"The last rank is {len(cards)}."})
    unrated = sorted(set(cards) - set(board.quality))
    # Adjudicators may rate, but then all: half a set of ratings cannot be compared.
    if unrated and (task.batch.kind == "ranking" or board.quality):
        raise AnswerError({"quality": f"Without a rating: {', '.join(unrated)}."})


def _demonstration(task: Task, sent: Mapping[str, Any]) -> Answer:
    text = _text(sent, "text", "Write the answer before you send it.")
    demonstration = Demonstration(
        id=new_id("demonstration"),
        prompt_id=str(task.item.prompt_id),
        text=text,
        labeller_id=task.labeller_id,
        made_by="person",
    )
    return Answer(demonstrations=(demonstration,), raw={"text": text})


def _prompts(task: Task, sent: Mapping[str, Any], now: datetime) -> Answer:
    """One prompt of a plain or user-based brief, K of a few-shot one with K pairs."""
    brief = task.item.brief or {}
    kind = brief.get("kind", "plain")
    written: dict[str, Any] = {
        "kind": kind,
        "instruction": _text(sent, "instruction", "Write the instruction."),
        "use_case": brief.get("use_case") or sent.get("use_case") or None,
        "tags": ["sensitive"] if sent.get("sensitive") in (True, "yes") else [],
    }
    if kind == "few_shot":
        written["pairs"] = _pairs(sent)
    else:
        written["context"] = _optional(sent, "context")
        written["completion"] = _optional(sent, "completion")
    row = {**written, "labeller": task.labeller_id, "time": now}
    if kind == "user_based":
        # Its name stays out of the records; see `_tag`.
        row["application"] = _tag(task, str(brief.get("application") or "unnamed"))
    try:
        items = list(entry.labeller({name: value for name, value in row.items() if value}))
    except FieldError as error:
        field = error.field.replace("pairs.", "pair-").replace(".", "-")
        raise AnswerError({field: f"{error.field}: {error.reason}."}) from error
    except UnusableError as error:
        raise AnswerError({"instruction": f"{error}."}) from error
    prompts, demonstrations = [], []
    for item in items:
        prompt = _prompt_record(item, task.labeller_id)
        prompts.append(prompt)
        demonstrations += [
            Demonstration(
                id=new_id("demonstration"),
                prompt_id=prompt.id,
                text=answer.text,
                labeller_id=task.labeller_id,
                made_by="person",
            )
            for answer in item.answers
        ]
    return Answer(prompts=tuple(prompts), demonstrations=tuple(demonstrations), raw=written)


def _prompt_record(item: Item, author_id: str) -> Prompt:
    """A prompt as it is kept; the account's opaque id is the pseudonym of its author."""
    return Prompt(
        id=new_id("prompt"),
        text_hash=text_hash(
            item.instruction, context=item.context, examples=item.examples, turns=item.turns
        ),
        instruction=item.instruction,
        context=item.context,
        examples=item.examples,
        turns=item.turns,
        source=item.source or "labeller",
        use_case=item.use_case,
        user_id=author_id,
        consent=True,
        created_at=item.created_at,
        tags=item.tags if item.application is None else (*item.tags, item.application),
    )


def _tag(task: Task, application: str) -> str:
    """A pseudonym of an application; the project's random id keeps it from being guessed."""
    return derived_id("application", task.batch.project_id, application)


def _pairs(sent: Mapping[str, Any]) -> list[dict[str, str]]:
    """The pairs that were filled in; an untouched pair of fields is none."""
    asked, answered = _list(sent, "pair_prompt"), _list(sent, "pair_completion")
    if len(asked) != len(answered) or len(asked) > MOST_PAIRS:
        raise AnswerError({"pairs": f"Give at most {MOST_PAIRS} pairs of question and answer."})
    faults, pairs = {}, []
    for place, (prompt, completion) in enumerate(zip(asked, answered, strict=True)):
        if not prompt and not completion:
            continue
        if not prompt or not completion:
            lacking = "prompt" if not prompt else "completion"
            word = "question" if not prompt else "answer"
            faults[f"pair-{place}-{lacking}"] = f"Pair {place + 1} has no {word}."
        pairs.append({"prompt": prompt, "completion": completion})
    if not faults and len(pairs) < 2:
        faults["pair-0-prompt"] = "Write at least two pairs: one asks, the others show how."
    if faults:
        raise AnswerError(faults)
    return pairs


def _list(sent: Mapping[str, Any], field: str) -> list[str]:
    value = sent.get(field, [])
    values = value if isinstance(value, list) else [value]
    return [_clean(field, one) for one in values]


def _text(sent: Mapping[str, Any], field: str, missing: str) -> str:
    text = _optional(sent, field)
    if text is None:
        raise AnswerError({field: missing})
    return text


def _optional(sent: Mapping[str, Any], field: str) -> str | None:
    return _clean(field, sent.get(field) or "") or None


def _clean(field: str, value: object) -> str:
    """A text as it was typed, in one kind of line end and without blank ends."""
    if not isinstance(value, str):
        raise AnswerError({field: f"`{field}` is not text."})
    text = value.replace("\r\n", "\n").strip()
    if len(text) > MOST_CHARACTERS:
        raise AnswerError(
            {field: f"This has {len(text):,} characters; at most {MOST_CHARACTERS:,} are taken."}
        )
    if "\x00" in text or text != text.encode("utf-8", "replace").decode():
        raise AnswerError({field: "This holds a character that cannot be stored."})
    return text
