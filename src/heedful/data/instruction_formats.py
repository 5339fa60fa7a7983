"""Rows that hold an instruction and an answer somebody wrote: one reader per format."""

from collections.abc import Iterator

from heedful.core.records import UseCase
from heedful.data.items import (
    Answer,
    FieldError,
    Item,
    Row,
    ask_of,
    optional_text,
    read_turns,
    text_field,
)

# Fine-tuning files of the GPT-3 era end each completion with the end token spelled out.
# Formatting adds the model's own; spelled out it would be taught as text.
_END_MARK = "<|endoftext|>"
_DOLLY_USE_CASES: dict[str, UseCase] = {
    "brainstorming": "brainstorming",
    "classification": "classification",
    "closed_qa": "closed_qa",
    "creative_writing": "generation",
    "general_qa": "open_qa",
    "information_extraction": "extract",
    "open_qa": "open_qa",
    "summarization": "summarisation",
}


def prompt_completion(row: Row) -> Iterator[Item]:
    """`prompt` and `completion`, each a text or a list of messages; `completion` may lack."""
    answers: tuple[Answer, ...] = ()
    if row.get("completion") is not None:
        answers = (Answer(text=_completion(row["completion"])),)
    tags = tuple(tag for tag in [optional_text(row, "template")] if tag)
    if isinstance(row.get("prompt"), list):
        instruction, turns = ask_of(read_turns(row["prompt"], "prompt"), "prompt")
        yield Item(instruction=instruction, turns=turns, answers=answers, tags=tags)
    else:
        yield Item(instruction=text_field(row, "prompt"), answers=answers, tags=tags)


def messages(row: Row) -> Iterator[Item]:
    """`messages`, a conversation; where its last turn is the assistant's, that is the answer."""
    turns = read_turns(row.get("messages"), "messages")
    answers: tuple[Answer, ...] = ()
    if turns and turns[-1].role == "assistant":
        answers = (Answer(text=turns.pop().text),)
    instruction, earlier = ask_of(turns, "messages")
    yield Item(instruction=instruction, turns=earlier, answers=answers)


def alpaca(row: Row) -> Iterator[Item]:
    """`instruction`, `input` (may be blank) and `output`."""
    yield Item(
        instruction=text_field(row, "instruction"),
        context=optional_text(row, "input"),
        answers=(Answer(text=text_field(row, "output")),),
    )


def dolly(row: Row) -> Iterator[Item]:
    """`instruction`, `context` (may be blank or missing), `response`, perhaps `category`."""
    yield Item(
        instruction=text_field(row, "instruction"),
        context=optional_text(row, "context"),
        answers=(Answer(text=text_field(row, "response")),),
        use_case=_DOLLY_USE_CASES.get(optional_text(row, "category") or ""),
    )


def self_instruct(row: Row) -> Iterator[Item]:
    """Seed tasks: an `instruction` and `instances` of `input` (may be blank) and `output`."""
    instances = row.get("instances")
    if not isinstance(instances, list) or not instances:
        raise FieldError("instances", "expected a list of at least one instance")
    for place, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise FieldError(f"instances.{place}", "expected an object")
        yield Item(
            instruction=text_field(row, "instruction"),
            context=optional_text(instance, "input"),
            answers=(Answer(text=text_field(instance, "output")),),
            key=str(place),
            use_case="classification" if row.get("is_classification") is True else None,
        )


def question_answer(row: Row) -> Iterator[Item]:
    """`question` and `answer`, the answer as it is, workings and all."""
    answer = Answer(text=text_field(row, "answer"))
    yield Item(instruction=text_field(row, "question"), answers=(answer,))


def instruction_only(row: Row) -> Iterator[Item]:
    """`instruction` and perhaps `context`: prompts without answers."""
    yield Item(instruction=text_field(row, "instruction"), context=optional_text(row, "context"))


def _completion(value: object) -> str:
    if isinstance(value, str):
        return value.strip().removesuffix(_END_MARK).strip()
    turns = read_turns(value, "completion")
    if len(turns) != 1 or turns[0].role != "assistant":
        raise FieldError("completion", "expected exactly one message, the assistant's")
    return turns[0].text
