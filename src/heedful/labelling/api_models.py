"""What the JSON API takes and gives. Unknown fields are refused; times are in UTC.

Records (`Prompt`, `Completion`, labels) are those of `heedful.core.records`, as everywhere.
"""

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heedful.core.errors import DataError
from heedful.core.records import (
    Completion,
    Demonstration,
    Example,
    Expectation,
    FinishReason,
    Prompt,
    Ranking,
    Rating,
    SamplingParameters,
    Split,
    Turn,
    UseCase,
    derived_id,
    text_hash,
)
from heedful.store.columns import BatchState, Purpose, TaskKind
from heedful.store.exports import Cursor

MOST_A_PAGE = 500
MOST_AT_ONCE = 5_000
T = TypeVar("T")

Text = Annotated[str, Field(max_length=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Limit = Annotated[int, Field(ge=1, le=MOST_A_PAGE, description="Most entries of this page.")]


class ApiModel(BaseModel):
    """Frozen; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Page(ApiModel, Generic[T]):
    """Some entries; `next` goes into `after` to get those that follow, null at the end."""

    entries: list[T]
    next: str | None = None


class ErrorAnswer(ApiModel):
    """Every error: what happened and what to do."""

    error: str
    detail: str
    hint: str | None = None
    request_id: str = ""
    fields: dict[str, str] = {}


class ProjectOut(ApiModel):
    """A project."""

    id: str
    name: str
    simulated: bool
    pay_rate: float | None
    currency: str
    created_at: datetime


class NewPrompt(ApiModel):
    """A prompt to add. Without an id it gets one that follows from its content.

    Attributes:
        consent: That its author agreed to training use; must be true.
    """

    id: Name | None = None
    instruction: Annotated[str, Field(min_length=1, max_length=1_000_000)]
    context: Text | None = None
    examples: tuple[Example, ...] = ()
    turns: tuple[Turn, ...] = ()
    source: Name = "api"
    use_case: UseCase | None = None
    user_id: Name = "api"
    organisation: Name | None = None
    split: Split | None = None
    consent: bool
    licence: Name | None = None
    tags: tuple[Name, ...] = ()
    expectations: tuple[Expectation, ...] = ()

    def record(self, project_id: str) -> Prompt:
        """The prompt as a record.

        Raises:
            DataError: Its author did not consent.
        """
        if not self.consent:
            raise DataError(
                "a prompt whose author did not consent cannot be labelled", "Leave it out."
            )
        digest = text_hash(
            self.instruction, context=self.context, examples=self.examples, turns=self.turns
        )
        return Prompt(
            **self.model_dump(exclude={"id"}),
            id=self.id or derived_id("prompt", project_id, self.source, self.user_id, digest),
            text_hash=digest,
        )


class NewCompletion(ApiModel):
    """A completion to add. Without an id, the same text of the same model is added once."""

    id: Name | None = None
    prompt_id: Name
    text: Text
    checkpoint_id: Name
    sampling: SamplingParameters | None = None
    seed: int | None = None
    finish_reason: FinishReason | None = None
    num_tokens: Annotated[int, Field(ge=0)] | None = None

    def record(self) -> Completion:
        """The completion as a record."""
        derived = derived_id("completion", self.checkpoint_id, self.prompt_id, self.text)
        return Completion(**self.model_dump(exclude={"id"}), id=self.id or derived)


class AddPrompts(ApiModel):
    """Prompts to add, all or none."""

    prompts: Annotated[list[NewPrompt], Field(min_length=1, max_length=MOST_AT_ONCE)]


class AddCompletions(ApiModel):
    """Completions to add, all or none."""

    completions: Annotated[list[NewCompletion], Field(min_length=1, max_length=MOST_AT_ONCE)]


class AddedOut(ApiModel):
    """How many records were new, how many known, and their ids in the order sent.

    Prompts of people who withdrew their consent are left out and counted.
    """

    new: int
    known: int
    withdrawn: int = 0
    ids: list[str]


class ItemIn(ApiModel):
    """One task of a batch; which fields it needs depends on the batch's kind."""

    prompt_id: Name | None = None
    completion_ids: Annotated[list[Name], Field(max_length=50)] = []
    brief: dict[str, Any] | None = None
    gold: dict[str, Any] | None = None
    adjudicates: Name | None = None


class NewBatch(ApiModel):
    """A batch to make."""

    name: Name
    kind: TaskKind
    purpose: Purpose
    items: Annotated[list[ItemIn], Field(min_length=1, max_length=MOST_AT_ONCE)]
    overlap: Annotated[int, Field(ge=1, le=100)] = 1
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    lease_seconds: Annotated[int, Field(ge=60, le=30 * 86_400)] = 1800
    baseline: Name | None = None
    state: BatchState = "draft"


class NewState(ApiModel):
    """What a batch becomes, and why; a close with labels missing needs a reason."""

    state: BatchState
    reason: Annotated[str, Field(max_length=1000)] = ""


class ProgressOut(ApiModel):
    """How far a batch is; see `heedful.store.batches.Progress`."""

    items: int
    slots: int
    done: int
    leased: int
    free: int
    surplus: int
    excluded: int
    skips: int


class BatchOut(ApiModel):
    """A batch."""

    id: str
    name: str
    kind: str
    purpose: str
    state: str
    overlap: int
    priority: int
    lease_seconds: int
    baseline: str | None
    instructions_id: str
    closed_reason: str
    created_at: datetime
    progress: ProgressOut | None = None


class LabelOut(ApiModel):
    """One submission and the records in it."""

    submission_id: str
    batch_id: str
    batch: str
    kind: str
    purpose: str
    item_id: str
    prompt_id: str | None
    labeller_id: str
    made_by: str
    status: str
    excluded_reason: str | None
    submitted_at: datetime
    seconds_spent: float
    demonstrations: list[Demonstration]
    ranking: Ranking | None
    ratings: list[Rating]


class LabellerOut(ApiModel):
    """A member of a project and what they did in it."""

    account_id: str
    name: str
    role: str
    state: str
    made_by: str
    stage: str
    held_out: bool
    labels: int
    surplus: int
    excluded: int
    skips: int
    hours: float
    last_at: datetime | None


class QuestionOut(ApiModel):
    """A labeller's question and its answer."""

    id: str
    item_id: str
    account_id: str
    text: str
    asked_at: datetime
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None


class AnswerIn(ApiModel):
    """An answer to a question."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class IntervalOut(ApiModel):
    """An estimate with its 95 % interval; no bounds where none can be computed."""

    value: float
    low: float | None
    high: float | None


class AgreementOut(ApiModel):
    """How far some rankings agree; see the page on agreement."""

    num_prompts: int
    num_ranking_pairs: int
    agreed: float
    compared: int
    pairwise: IntervalOut | None
    tau: IntervalOut | None
    alpha: IntervalOut | None


class AgreementReportOut(ApiModel):
    """The agreement of a project's team, ties counted by `ties`."""

    ties: str
    num_rankings: int
    overall: AgreementOut
    within: AgreementOut
    researchers: AgreementOut
    training: AgreementOut
    held_out: AgreementOut
    between: AgreementOut
    labellers: dict[str, AgreementOut]


class AuditOut(ApiModel):
    """One line of the audit log; `account_id` is null for a command on the server."""

    id: int
    at: datetime
    account_id: str | None
    action: str
    object_kind: str
    object_id: str
    detail: dict[str, Any]


class _Place(BaseModel):
    """What is in a cursor; nobody but this server reads it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: str
    id: str


def cursor_text(at: datetime, record_id: str) -> str:
    """A place in a list as text that goes into an address."""
    place = json.dumps({"at": at.isoformat(), "id": record_id}).encode()
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def cursor_from(text: str | None) -> Cursor | None:
    """The place that `cursor_text` wrote.

    Raises:
        DataError: It did not write that.
    """
    if not text:
        return None
    try:
        decoded = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        place = _Place.model_validate_json(decoded)
        at = datetime.fromisoformat(place.at)
        if at.tzinfo is None:
            raise ValueError("no time zone")
    except (ValidationError, binascii.Error, ValueError, OverflowError):
        raise DataError(
            "`after` is no place in this list", "Use the `next` of the page before."
        ) from None
    return Cursor(at, place.id)
