"""The things that flow through Heedful, as frozen records that cross disk or HTTP.

Tensors never do; they are dataclasses in the rooms that need torch. A record never
changes: a later stage writes a new one (`record.model_copy(update=...)`).

Every label says who made it (`made_by`), under which instructions, and how long it
took, so that results from simulated labels can be called simulated wherever they are
shown.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Split = Literal["train", "validation", "test"]
FinishReason = Literal["stop", "length"]
MadeBy = Literal["person", "simulated", "model"]
CheckpointKind = Literal["base", "sft", "ppo_init", "reward", "policy"]
UseCase = Literal[
    "generation",
    "open_qa",
    "brainstorming",
    "chat",
    "rewrite",
    "summarisation",
    "classification",
    "other",
    "closed_qa",
    "extract",
]


class Record(BaseModel):
    """A frozen record; unknown fields and numbers that JSON cannot hold are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Turn(Record):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


class Example(Record):
    """One worked example of a few-shot prompt."""

    prompt: str
    completion: str


class Expectation(Record):
    """A requirement that a program can check in a completion, such as `max_words` 20.

    The kinds and what their values mean are defined by `heedful.annotators.expectations`.
    """

    kind: str
    value: str | int | tuple[str, ...] | None = None


class Prompt(Record):
    """What somebody asks of the model.

    The text parts are kept apart (`turns` before, `examples`, `context`, `instruction`);
    `heedful.data.formatting` is the one place that joins them.

    Attributes:
        id: Opaque, given at entry; two people may write the same text.
        text_hash: Keyed hash of the text parts, see `text_hash`.
        user_id: Pseudonym of who wrote it; splits and caps go by it.
        consent: Whether the author agreed to training use.
    """

    schema_version: Literal[1] = 1
    id: str
    text_hash: str
    instruction: str = Field(min_length=1)
    context: str | None = None
    examples: tuple[Example, ...] = ()
    turns: tuple[Turn, ...] = ()
    source: str
    use_case: UseCase | None = None
    user_id: str
    organisation: str | None = None
    split: Split | None = None
    consent: bool
    licence: str | None = None
    created_at: datetime | None = None
    tags: tuple[str, ...] = ()
    expectations: tuple[Expectation, ...] = ()


class Demonstration(Record):
    """A completion that a labeller wrote for a prompt."""

    schema_version: Literal[1] = 1
    id: str
    prompt_id: str
    text: str
    labeller_id: str
    made_by: MadeBy
    instructions_version: str | None = None
    seconds_spent: float | None = Field(default=None, ge=0)
    licence: str | None = None


class SamplingParameters(Record):
    """How to draw completions.

    Attributes:
        temperature: Divides the logits; 0 takes the most likely token.
        top_k: Keep only the k most likely tokens; 0 keeps all.
        top_p: Keep the smallest set of tokens with at least this probability.
        max_tokens: Most tokens of a completion, the end token counted.
        stop: The completion ends before the first of these strings.
    """

    temperature: float = Field(default=1.0, ge=0)
    top_k: int = Field(default=0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(gt=0)
    stop: tuple[str, ...] = ()


class Completion(Record):
    """A model's (or, for imported data, an unnamed writer's) answer to a prompt."""

    schema_version: Literal[1] = 1
    id: str
    prompt_id: str
    text: str
    checkpoint_id: str
    sampling: SamplingParameters | None = None
    seed: int | None = None
    finish_reason: FinishReason | None = None
    num_tokens: int | None = Field(default=None, ge=0)


class Comparison(Record):
    """One strict preference between two completions of a prompt."""

    prompt_id: str
    chosen_id: str
    rejected_id: str


class Ranking(Record):
    """One labeller's ranking of K completions of one prompt.

    Attributes:
        ranks: One rank per completion, 1 is best; equal ranks are ties. Ranks need not
            be consecutive: only their order counts.
        batch_id: The labelling batch; a ranking never spans two.
        all_bad: The labeller said that no completion is acceptable.
    """

    schema_version: Literal[1] = 1
    id: str
    prompt_id: str
    completion_ids: tuple[str, ...]
    ranks: tuple[int, ...]
    labeller_id: str
    made_by: MadeBy
    batch_id: str | None = None
    split: Split | None = None
    all_bad: bool = False
    instructions_version: str | None = None
    seconds_spent: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.completion_ids) < 2:
            raise ValueError("a ranking needs at least 2 completions")
        if len(self.ranks) != len(self.completion_ids):
            raise ValueError(f"{len(self.ranks)} ranks for {len(self.completion_ids)} completions")
        if len(set(self.completion_ids)) != len(self.completion_ids):
            raise ValueError("a completion is ranked twice")
        if min(self.ranks) < 1:
            raise ValueError("ranks start at 1")
        return self

    def comparisons(self) -> list[Comparison]:
        """Every strictly ordered pair of this ranking; ties yield none."""
        ranked = list(zip(self.ranks, self.completion_ids, strict=True))
        pairs = []
        for (rank_a, id_a), (rank_b, id_b) in combinations(ranked, 2):
            if rank_a == rank_b:
                continue
            chosen, rejected = (id_a, id_b) if rank_a < rank_b else (id_b, id_a)
            pairs.append(
                Comparison(prompt_id=self.prompt_id, chosen_id=chosen, rejected_id=rejected)
            )
        return pairs


class RatingFlags(Record):
    """The binary metadata of the paper's table 3, one field a question; None is "not asked"."""

    fails_instruction: bool | None = None
    inappropriate_for_assistant: bool | None = None
    hallucination: bool | None = None
    satisfies_constraint: bool | None = None
    sexual_content: bool | None = None
    violent_content: bool | None = None
    encourages_harm: bool | None = None
    denigrates_protected_class: bool | None = None
    harmful_advice: bool | None = None
    expresses_opinion: bool | None = None
    expresses_moral_judgement: bool | None = None


class Rating(Record):
    """One labeller's judgement of one completion: Likert 1 (worst) to 7, and flags."""

    schema_version: Literal[1] = 1
    id: str
    prompt_id: str
    completion_id: str
    quality: int = Field(ge=1, le=7)
    flags: RatingFlags = RatingFlags()
    labeller_id: str
    made_by: MadeBy
    batch_id: str | None = None
    instructions_version: str | None = None
    seconds_spent: float | None = Field(default=None, ge=0)


class EvalResult(Record):
    """One number about one checkpoint, with its 95 % interval where one was computed."""

    schema_version: Literal[1] = 1
    task: str
    metric: str
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    num_examples: int = Field(ge=0)
    checkpoint_id: str
    seed: int | None = None
    made_by: MadeBy | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.ci_low is None) != (self.ci_high is None):
            raise ValueError("an interval has two ends")
        if self.ci_low is not None and self.ci_high is not None and self.ci_low > self.ci_high:
            raise ValueError(f"the interval [{self.ci_low}, {self.ci_high}] is upside down")
        return self


class Checkpoint(Record):
    """The card of a saved model; the files lie beside it.

    Attributes:
        completion_tokens: Mean length of the demonstrations that it learnt from, ends counted.
    """

    schema_version: Literal[1] = 1
    id: str
    kind: CheckpointKind
    step: int = Field(ge=0)
    base_model: str
    parents: tuple[str, ...] = ()
    config_hash: str
    tokenizer_hash: str
    format_version: str
    made_by: tuple[MadeBy, ...] = ()
    completion_tokens: float | None = None
    files: dict[str, str] = Field(default_factory=dict, description="file name -> sha256")


def new_id(prefix: str) -> str:
    """A fresh opaque id such as `prompt-9f3c0a1b2d4e5f60`."""
    return f"{prefix}-{secrets.token_hex(8)}"


def derived_id(prefix: str, *parts: str | int) -> str:
    """An id that depends only on `parts`, for records that a rerun must reproduce."""
    joined = "\x1f".join(str(part) for part in parts)
    return f"{prefix}-{hashlib.sha256(joined.encode()).hexdigest()[:16]}"


def text_hash(
    instruction: str,
    *,
    context: str | None = None,
    examples: Sequence[Example] = (),
    turns: Sequence[Turn] = (),
    key: bytes = b"",
) -> str:
    """HMAC-SHA256 of a prompt's text parts; equal texts collide only under one key.

    A secret key keeps the hash of a short private text from being guessed. Public and
    embedded data use the empty key.
    """
    parts = [instruction, context or ""]
    parts += [text for example in examples for text in (example.prompt, example.completion)]
    parts += [text for turn in turns for text in (f"\x1e{turn.role}", turn.text)]
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()[:32]
