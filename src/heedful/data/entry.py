"""How prompts enter that nobody has published: labellers' own, and served traffic.

Labellers write prompts of three kinds (paper, section 3.2): `plain`; `few_shot`, an
instruction with K pairs, of which each in turn is the question and the other K-1 stand in
context; `user_based`, for a use case that somebody named when applying for access. Served
traffic is what an OpenAI-compatible server logged; only what its users consented to enters.

Unknown columns are errors. Ids, hashes and pseudonyms are `heedful.data.sources`'.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, StrictBool, ValidationError, model_validator

from heedful.core.errors import nearest
from heedful.core.records import Example, Record, Turn, UseCase
from heedful.data.items import Answer, FieldError, Item, Row, UnusableError, ask_of, read_turns

LABELLER_COLUMNS = frozenset({"kind", "labeller", "instruction"})
SERVED_COLUMNS = frozenset({"messages", "user"})

R = TypeVar("R", bound=Record)


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("empty")
    return text.strip()


Said = Annotated[str, AfterValidator(_said)]


class Pair(Record):
    """A question and its answer in a few-shot prompt."""

    prompt: Said
    completion: Said


class WrittenPrompt(Record):
    """A row that a labeller wrote.

    Attributes:
        labeller: Who wrote it; only a pseudonym goes on.
        completion: The demonstration, where the labeller wrote one; for `few_shot` the
            pairs have them.
        pairs: At least 2, for `few_shot` alone.
        application: The application for access whose use case this is, for `user_based`
            alone; its text stays out, and its name becomes a pseudonymous tag.
        consent: Written to be trained on; a row may still say no.
    """

    kind: Literal["plain", "few_shot", "user_based"]
    labeller: Said
    instruction: Said
    context: Said | None = None
    completion: Said | None = None
    pairs: tuple[Pair, ...] = ()
    application: Said | None = None
    use_case: UseCase | None = None
    tags: tuple[str, ...] = ()
    time: datetime | None = None
    consent: bool = True
    licence: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind == "few_shot") != bool(self.pairs):
            raise ValueError("`pairs` go with the kind few_shot, and it with them")
        if len(self.pairs) == 1:
            raise ValueError("`pairs` needs at least 2: one asks, the others are its context")
        if self.pairs and (self.context or self.completion):
            raise ValueError("a few_shot prompt has its texts in `pairs`, no others")
        if (self.kind == "user_based") != bool(self.application):
            raise ValueError("`application` goes with the kind user_based, and it with it")
        return self


class ServedRequest(Record):
    """A request that a server logged; times are ISO 8601 or seconds since 1970.

    Attributes:
        user: Who asked; only a pseudonym goes on.
        consent: Must be there: what does not say cannot be used.
    """

    messages: list[dict[str, Any]]
    user: Said
    organisation: Said | None = None
    time: datetime
    consent: StrictBool
    licence: str | None = Field(default=None)


def labeller(row: Row) -> Iterator[Item]:
    """One item of a plain or user-based row, K of a few-shot row with K pairs."""
    # A cell of a CSV file that was left blank is no value.
    written = _parse(WrittenPrompt, {name: value for name, value in row.items() if value != ""})
    if not written.consent:
        raise UnusableError("no consent")
    shared: dict[str, Any] = {
        "author": written.labeller,
        "created_at": written.time,
        "use_case": written.use_case,
        "licence": written.licence,
        "source": f"labeller:{written.kind}",
        "tags": written.tags,
        "application": written.application,
    }
    if not written.pairs:
        answers = (Answer(text=written.completion),) if written.completion else ()
        yield Item(
            instruction=written.instruction,
            context=written.context,
            answers=_by(written.labeller, answers),
            **shared,
        )
    for place, pair in enumerate(written.pairs):
        others = written.pairs[:place] + written.pairs[place + 1 :]
        yield Item(
            # The formats show the system's turn first, then the examples, then the question.
            turns=(Turn(role="system", text=written.instruction),),
            examples=tuple(
                Example(prompt=other.prompt, completion=other.completion) for other in others
            ),
            instruction=pair.prompt,
            answers=_by(written.labeller, (Answer(text=pair.completion),)),
            key=str(place),
            **shared,
        )


def served(row: Row) -> Iterator[Item]:
    """The item of one request; its last message must be the user's."""
    request = _parse(ServedRequest, row)
    if not request.consent:
        raise UnusableError("no consent")
    instruction, turns = ask_of(read_turns(request.messages, "messages"), "messages")
    yield Item(
        instruction=instruction,
        turns=turns,
        author=request.user,
        organisation=request.organisation,
        created_at=request.time,
        licence=request.licence,
        source="served",
    )


def _by(author: str, answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    return tuple(Answer(text=answer.text, author=author, made_by="person") for answer in answers)


def _parse(record_type: type[R], row: Row) -> R:
    """The row, checked; a complaint names the field and never quotes its value."""
    try:
        return record_type.model_validate(row)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in fault["loc"]) or "kind"
    reason = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        reason = "missing"
    elif fault["type"] == "extra_forbidden":
        likely = nearest(field, record_type.model_fields)
        reason = "there is no such column" + (f"; did you mean `{likely}`?" if likely else "")
    raise FieldError(field, reason)
